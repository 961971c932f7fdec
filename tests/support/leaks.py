"""Secrets, ways to a server that knows them, and every way to look for them afterwards."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import pprint
import pydoc
import re
import reprlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import rich.pretty
import rich.traceback
from pydantic import BaseModel, SecretStr

import api_keys_client
from api_keys_client import ApiKeysClient, ApiKeysError
from tests.support.wire import Act, Peer, Request

TOKEN = "t0ken-of-the-administrator"
KEY_ID = "8f2b6a1c-0d3e-4f56-8a79-b1c2d3e4f506"
MINTED = base64.b64encode(f"{KEY_ID}:{'m1nted-secret_' * 3}x".encode()).decode()
PASSWORD = "pr0xy-p@ss:w%rd/ü"
QUOTED = quote(PASSWORD, safe="")
CREDENTIALS = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
# Pieces, so that what shows a part only is found too.
PIECES = (
    *(TOKEN[:10], TOKEN[-10:], MINTED[:24], MINTED[52:76], MINTED[-24:]),
    *(PASSWORD[:7], QUOTED[9:], CREDENTIALS[-16:]),
)
OURS = str(Path(api_keys_client.__file__).parent)


def assert_hidden(text: str | bytes, where: str) -> None:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    for piece in PIECES:
        assert piece not in shown, f"{where} shows {piece!r}"


def reply(status: str, body: object, *headers: str) -> bytes:
    """An answer whose body ends with the connection."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", "Connection: close", *headers))
    return lines.encode() + b"\r\n" + text


def echo(data: bytes) -> Act:
    """Any bytes, with the token and the description that came in filled in."""

    def act(peer: Peer, request: Request) -> None:
        token = request.headers.get("authorization", "none").split()[-1]
        description = json.loads(request.body or b"{}").get("description") or ""
        peer.send(data.replace(b"@token@", token.encode()).replace(b"@description@", description.encode()))
        peer.close()

    return act


RECORD: dict[str, Any] = {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "roles": []}
CREATED = {**RECORD, "key": MINTED, "description": "@description@"}
ECHO = f"@token@, Bearer @token@ and {MINTED}; key={MINTED}"


def proxied(url: str) -> str:
    return url.replace("//", f"//user:{QUOTED}@")


ROUTES: dict[str, Callable[[str], dict[str, Any]]] = {
    "str": lambda url: {"base_url": url, "token": TOKEN},
    "SecretStr": lambda url: {"base_url": url, "token": SecretStr(TOKEN)},
    "function": lambda url: {"base_url": url, "token": lambda: TOKEN},
    "proxy": lambda url: {
        "base_url": "http://engine.example",
        "allow_http": True,
        "token": TOKEN,
        "proxy": proxied(url),
        "headers": {"X-Other-Key": TOKEN},
    },
    "tunnel": lambda url: {"base_url": "https://engine.example", "token": TOKEN, "proxy": proxied(url)},
}


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def logged() -> Iterator[list[logging.LogRecord]]:
    """What anyone logs at DEBUG."""
    handler, root = _Records(), logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        yield handler.records
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def views(thing: Any) -> Iterator[tuple[str, str | bytes]]:
    """Every way in which an object becomes text or bytes without its secret being asked for by name."""
    yield "str", str(thing)
    yield "repr", repr(thing)
    yield "ascii", ascii(thing)
    yield "format", format(thing)
    yield "f-string", f"{thing} {thing!r}"
    yield "%", "%s %r" % (thing, thing)  # noqa: UP031  # one of the ways
    yield "pprint", pprint.pformat(thing)
    yield "reprlib", reprlib.repr(thing)
    yield "pydoc", pydoc.text.repr(thing)
    yield "rich", rich.pretty.pretty_repr(thing)
    yield "json", json.dumps(thing, default=str)
    # No logger of the program's: whoever collects its records would keep the thing alive.
    logger, handler = logging.Logger("someone", logging.DEBUG), _Records()
    logger.addHandler(handler)
    logger.debug("%s %r", thing, thing)
    for record in handler.records:
        yield "logging", f"{record.getMessage()} {record.__dict__}"
    if hasattr(thing, "__dict__"):
        yield "vars", repr(vars(thing))
    if isinstance(thing, BaseModel):
        yield "model_dump", repr(thing.model_dump())
        yield "model_dump json", repr(thing.model_dump(mode="json"))
        yield "model_dump_json", thing.model_dump_json()
        yield "dict", repr(dict(thing))
        yield "__getstate__", repr(thing.__getstate__())
    for name in ("to_dict", "to_json", "to_str", "__rich_repr__", "__pretty__", "__repr_args__"):
        method = getattr(type(thing), name, None)
        if method:
            with suppress(TypeError):
                given = method(thing)
                yield name, str(list(given) if isinstance(given, Iterator) else given)
    for name in dir(type(thing)):
        if re.fullmatch(r"_(repr|ipython)_\w+_", name):
            yield name, str(getattr(thing, name)())
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        # Refusing is fine.
        with suppress(TypeError, AttributeError, pickle.PicklingError):
            yield f"pickle {protocol}", pickle.dumps(thing, protocol)
    with suppress(TypeError):
        yield "deepcopy", repr(copy.deepcopy(thing))


def assert_no_view_shows(thing: Any, what: str) -> None:
    for name, text in views(thing):
        assert_hidden(text, f"{name} of {what}")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and everything behind it."""
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__]


def within(value: object) -> Iterator[str]:
    """What a tool shows that looks into mappings and sequences, whatever their repr, as Sentry does."""
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set)):
        for item in value:
            yield from within(item)
    else:
        yield repr(value)


def assert_error_hides(error: BaseException) -> int:
    """Looks at an error, at all that is behind it, and at the locals of our frames; how many frames there were."""
    frames = 0
    for link in chain(error):
        name = type(link).__name__
        assert_no_view_shows(link, name)
        assert_hidden("".join(traceback.format_exception(link)), f"the traceback of {name}")
        for frame in traceback.TracebackException.from_exception(link, capture_locals=True).stack:
            if frame.filename.startswith(OURS):
                frames += 1
                assert_hidden(str(frame.locals), f"{frame.name}, line {frame.lineno}, under {name}")
        for ours in (frame for frame, _ in traceback.walk_tb(link.__traceback__)):
            if ours.f_code.co_filename.startswith(OURS):
                for local, value in ours.f_locals.items():
                    assert_hidden(" ".join(within(value)), f"what is in {local} in {ours.f_code.co_name}, under {name}")
        shown = rich.traceback.Traceback.extract(type(link), link, link.__traceback__, show_locals=True)
        for shown_frame in (frame for stack in shown.stacks for frame in stack.frames):
            if shown_frame.filename.startswith(OURS):
                for local, node in (shown_frame.locals or {}).items():
                    assert_hidden(node.render(), f"rich's {local} in {shown_frame.name}, under {name}")
    return frames


def end_of(call: Callable[[ApiKeysClient], object], client: ApiKeysClient) -> object:
    """What the call gives, or its error."""
    try:
        return call(client)
    except ApiKeysError as error:
        return error
