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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


def assert_hidden(text: str | bytes, where: str, hidden: Sequence[str] = PIECES) -> None:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    for piece in hidden:
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
    for show in (str, repr, format, pprint.pformat, reprlib.repr, pydoc.text.repr, rich.pretty.pretty_repr):
        yield getattr(show, "__qualname__", "pydoc"), show(thing)
    yield "json", json.dumps(thing, default=str)
    # No logger of the program's: whoever collects its records would keep the thing alive.
    logger, handler = logging.Logger("someone", logging.DEBUG), _Records()
    logger.addHandler(handler)
    logger.debug("%s %r", thing, thing)
    yield "logging", "".join(f"{record.getMessage()} {record.__dict__}" for record in handler.records)
    if hasattr(thing, "__dict__"):
        yield "vars", f"{vars(thing)!r}"
    if isinstance(thing, BaseModel):
        yield "its dump", f"{thing.model_dump()!r} {thing.model_dump(mode='json')!r} {thing.model_dump_json()}"
        yield "its fields", f"{dict(thing)!r} {thing.__getstate__()!r}"
    for name in dir(type(thing)):
        if re.fullmatch(r"_(repr|ipython)_\w+_|to_(dict|json|str)|__(rich_repr|repr_args|pretty)__", name):
            with suppress(TypeError):
                given = getattr(type(thing), name)(thing)
                yield name, str(list(given) if isinstance(given, Iterator) else given)
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


def shown_by(error: BaseException) -> Iterator[tuple[str, str | bytes]]:
    """All that a program may show of an error, of those behind it, and of the locals of our frames."""
    for link in chain(error):
        name = type(link).__name__
        for view, text in views(link):
            yield f"{view} of {name}", text
        yield f"the traceback of {name}", "".join(traceback.format_exception(link))
        for frame in traceback.TracebackException.from_exception(link, capture_locals=True).stack:
            if frame.filename.startswith(OURS):
                yield f"{frame.name}, line {frame.lineno}, under {name}", str(frame.locals)
        for ours in (frame for frame, _ in traceback.walk_tb(link.__traceback__)):
            if ours.f_code.co_filename.startswith(OURS):
                for local, value in ours.f_locals.items():
                    yield f"what is in {local} in {ours.f_code.co_name}, under {name}", " ".join(within(value))
        drawn = rich.traceback.Traceback.extract(type(link), link, link.__traceback__, show_locals=True)
        for shown in (frame for stack in drawn.stacks for frame in stack.frames):
            if shown.filename.startswith(OURS):
                for local, node in (shown.locals or {}).items():
                    yield f"rich's {local} in {shown.name}, under {name}", node.render()


def assert_error_hides(error: BaseException) -> int:
    """Looks at all that an error shows; in how many places there were locals of our frames."""
    places = [*shown_by(error)]
    for where, text in places:
        assert_hidden(text, where)
    return sum(", line " in where for where, _ in places)


def pieces(secret: str) -> list[str]:
    """Parts of a secret, so that what shows only some of it is found too; not the id, which is no secret."""
    start = 52 if api_keys_client.key_id_from_secret(secret) else 0
    return [secret[start : start + 16], secret[-40:-24], secret[-16:]]


def assert_hides(shown: Iterable[tuple[str, str | bytes]], *secrets: str) -> None:
    hidden = [piece for secret in secrets for piece in pieces(secret)]
    for where, text in shown:
        assert_hidden(text, where, hidden)


def end_of(call: Callable[[ApiKeysClient], object], client: ApiKeysClient) -> object:
    """What the call gives, or its error."""
    try:
        return call(client)
    except ApiKeysError as error:
        return error
