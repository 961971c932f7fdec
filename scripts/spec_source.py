"""Reads an OpenAPI document from a file or from a server, which is not trusted: size, time and hosts are bounded."""

from __future__ import annotations

import json
import queue
import re
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn
from urllib.parse import urljoin

import urllib3
from failure import Failure
from urllib3.util import Url, parse_url

LIMIT = 32 * 1024 * 1024
PART = 1024 * 1024
REDIRECTS = 5


def read_source(source: str, seconds: float) -> dict[str, Any]:
    """Read an OpenAPI 3.1 document.

    Args:
        source: a file, or a URL beginning with http:// or https://.
        seconds: how long the whole answer of a server may take.

    Raises:
        Failure: it cannot be had whole, or is something else.
    """
    if re.match("https?://", source, re.IGNORECASE):
        return parse_document(fetch(source, seconds))
    try:
        with Path(source).open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise Failure(f"cannot read {source}: {(error.strerror or str(error)).lower()}") from error
    return parse_document(bounded(content))


def parse_document(content: bytes) -> dict[str, Any]:
    """Take the JSON of an OpenAPI 3.1 document apart."""
    if content.lstrip().startswith(b"<"):
        raise Failure("the source is a page, not JSON: a server gives its document at /openapi.json")
    try:
        document = json.loads(content, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Failure(f"the source is not JSON: {error}") from error
    version = document.get("openapi") if isinstance(document, dict) else None
    if not isinstance(version, str) or not version.startswith("3.1."):
        raise Failure("the source is not an OpenAPI 3.1 document")
    return dict(document)


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python takes and JSON doesn't have."""
    raise ValueError(f"{name} is no number in JSON")


def bounded(content: bytes) -> bytes:
    """Refuse what is over the limit."""
    if len(content) > LIMIT:
        raise Failure(f"the source is larger than {LIMIT // 1024**2} MiB")
    return content


def fetch(url: str, seconds: float) -> bytes:
    """Fetch a URL within a time, dripped or not."""
    results: queue.Queue[bytes | Exception] = queue.Queue()
    # A socket's own timeout starts again with each byte; a daemon ends with the script.
    Thread(target=download_into, args=(results, url), daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        raise Failure(f"the source gave no whole answer within {seconds:g} s") from None
    if isinstance(result, Exception):
        raise result
    return result


def download_into(results: queue.Queue[bytes | Exception], url: str) -> None:
    """Hand the download, or what went wrong, to the thread that waits for it."""
    try:
        results.put(download(url))
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        results.put(Failure(f"the source cannot be fetched: {error}"))
    except Exception as error:
        results.put(error)


def download(url: str) -> bytes:
    """Download a URL, following redirects on its own host only."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    with urllib3.PoolManager(retries=False) as pool:
        for _ in range(REDIRECTS + 1):
            response = pool.request("GET", url, headers=headers, redirect=False, preload_content=False)
            with closing(response):
                location = response.get_redirect_location()
                if not location:
                    return body(response)
                url = redirected(url, location)
    raise Failure(f"the source redirects more than {REDIRECTS} times")


def redirected(url: str, location: str) -> str:
    """Give the next URL, which must be on the same host and not less safe."""
    target = urljoin(url, location)
    old, new = parse_url(url), parse_url(target)
    if new.host != old.host or new.scheme not in (old.scheme, "https"):
        raise Failure(f"the source redirects to another server, {Url(new.scheme, host=new.host, port=new.port)}")
    return target


def body(response: urllib3.BaseHTTPResponse) -> bytes:
    """Read a whole answer of 200, up to the limit."""
    if response.status != HTTPStatus.OK:
        raise Failure(f"the source answered {response.status} {response.reason or ''}".rstrip())
    # Compressed, a few bytes could become any number.
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Failure("the source is compressed, although that was not asked for")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise Failure("the source is a page, not JSON: a server gives its document at /openapi.json")
    content = b""
    # Up to the empty read, which alone tells whether the end came too early.
    while part := response.read(PART, decode_content=False):
        content = bounded(content + part)
    return content
