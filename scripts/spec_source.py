"""Reads an OpenAPI document from a file or from a server, within bounds of size and time."""

from __future__ import annotations

import json
import queue
import re
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn

import urllib3
from failure import Failure

LIMIT = 32 * 1024 * 1024
PART = 1024 * 1024


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
    """Download a URL, up to the limit."""
    headers = {"Accept": "application/json"}
    response = urllib3.request("GET", url, headers=headers, preload_content=False)
    with closing(response):
        if response.status != HTTPStatus.OK:
            raise Failure(f"the source answered {response.status} {response.reason or ''}".rstrip())
        content = b""
        # Up to the empty read, which alone tells whether the end came too early.
        while part := response.read(PART):
            content = bounded(content + part)
        return content
