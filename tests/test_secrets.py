"""Neither the token, nor a minted secret, nor the proxy's password shows, however a call ends and however one looks."""

from __future__ import annotations

import asyncio
import base64
import copy
import gc
import http.client
import json
import logging
import pickle
import pprint
import pydoc
import re
import reprlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
import rich.pretty
import rich.traceback
from conftest import Connect
from pydantic import BaseModel, SecretStr, ValidationError
from wire import Act, Peer, Request, Server

import api_keys_client
from _generated import ApiKeyResponse, HTTPValidationError, LocationInner, NewApiKeyRequest
from api_keys_client import (
    ApiKeysClient,
    ApiKeysError,
    AsyncApiKeysClient,
    ConfigurationError,
    CreatedKey,
    InvalidRequestError,
    NotStored,
    RotationError,
)
from api_keys_client.sandbox import Fault, Sandbox

TOKEN = "t0ken-of-the-administrator"
KEY_ID = "8f2b6a1c-0d3e-4f56-8a79-b1c2d3e4f506"
MINTED = base64.b64encode(f"{KEY_ID}:{'m1nted-secret_' * 3}x".encode()).decode()
PASSWORD = "pr0xy-passw0rd"
CREDENTIALS = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
# Pieces, so that what shows a part only is found too.
PIECES = (TOKEN[:10], TOKEN[-10:], MINTED[:24], MINTED[52:76], MINTED[-24:], PASSWORD[:10], CREDENTIALS[-16:])
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
    """Any bytes, with the token that came in filled in."""

    def act(peer: Peer, request: Request) -> None:
        token = request.headers.get("authorization", "none").split()[-1]
        peer.send(data.replace(b"@token@", token.encode()))
        peer.close()

    return act


def hold(peer: Peer, _: Request) -> None:
    peer.hold()


RECORD: dict[str, Any] = {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "roles": []}
CREATED = {**RECORD, "key": MINTED}
ECHO = f"@token@, Bearer @token@ and {MINTED}; key={MINTED}"
REFUSALS = (
    "307 Temporary Redirect",
    "400 Bad Request",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "407 Proxy Authentication Required",
    "422 Unprocessable Entity",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "503 Service Unavailable",
)


def get(client: ApiKeysClient) -> object:
    return client.get(KEY_ID)


def list_all(client: ApiKeysClient) -> object:
    return client.list()


def create(client: ApiKeysClient) -> object:
    return client.create("ci")


def deactivate(client: ApiKeysClient) -> object:
    return client.deactivate(KEY_ID)


def deactivate_many(client: ApiKeysClient) -> object:
    return client.deactivate_many([KEY_ID, KEY_ID])


def temporary(client: ApiKeysClient) -> object:
    with client.temporary_key("ci") as created:
        return created


class Exit(NamedTuple):
    """One way for a call to end: the call, and what the server says; None is silence."""

    call: Callable[[ApiKeysClient], object]
    said: bytes | None
    fails: bool | None = True


def faults(*entries: dict[str, object]) -> bytes:
    return reply("422 Unprocessable Entity", {"detail": list(entries)})


EXITS = {
    "a record": Exit(get, reply("200 OK", RECORD), fails=False),
    "a record with a secret": Exit(get, reply("200 OK", CREATED), fails=False),
    "a list with secrets": Exit(list_all, reply("200 OK", [CREATED, CREATED]), fails=False),
    "a created key": Exit(create, reply("200 OK", CREATED), fails=False),
    "a deactivated record with a secret": Exit(
        deactivate, reply("200 OK", {**CREATED, "is_active": False}), fails=False
    ),
    "a record that is still active": Exit(deactivate, reply("200 OK", CREATED)),
    "outcomes of many": Exit(deactivate_many, reply("403 Forbidden", {"detail": ECHO}), fails=False),
    "a temporary key that stays": Exit(temporary, reply("200 OK", CREATED)),
    **{f"get answered {status}": Exit(get, reply(status, {"detail": ECHO})) for status in REFUSALS},
    **{f"create answered {status}": Exit(create, reply(status, {"detail": ECHO})) for status in REFUSALS},
    "deactivate answered 401": Exit(deactivate, reply("401 Unauthorized", {"detail": ECHO})),
    "temporary_key answered 401": Exit(temporary, reply("401 Unauthorized", {"detail": ECHO})),
    "a list of faults": Exit(
        get, faults({"loc": ["header", "@token@", MINTED], "msg": ECHO, "input": ECHO, "ctx": {"error": ECHO}})
    ),
    "faults of other shapes": Exit(create, faults({"loc": ECHO, "msg": [ECHO]}, {"msg": {"x": ECHO}, ECHO: ECHO})),
    "an escaped echo": Exit(get, reply("400 Bad Request", b'{"detail": "\\u0074' + b"@token@" + b'"}')),
    "an echo that is cut": Exit(get, reply("400 Bad Request", {"detail": f"{'x' * 985}@token@"})),
    "a secret that is cut": Exit(get, reply("400 Bad Request", {"detail": f"{'x' * 950} {MINTED}"})),
    "half a secret": Exit(get, reply("400 Bad Request", {"detail": f"bad key '{MINTED[:91]}'"})),
    "a page instead of a detail": Exit(get, reply("502 Bad Gateway", ECHO.encode())),
    "another detail": Exit(get, reply("400 Bad Request", {"detail": {"token": ECHO}})),
    "an echo in the reason": Exit(get, reply(f"401 {ECHO}", {})),
    "an echo in Retry-After": Exit(get, reply("429 Too Many Requests", {}, f"Retry-After: {ECHO}")),
    "an echo in Location": Exit(get, reply("308 Permanent Redirect", b"", "Location: http://localhost/@token@")),
    "an unknown status": Exit(get, reply(f"799 {ECHO}", {"detail": ECHO})),
    **{
        f"{call.__name__} answered with {name}": Exit(call, reply("200 OK", body))
        for call in (get, list_all, create, deactivate)
        for name, body in {
            "text": ECHO.encode(),
            "a string": ECHO,
            "an id that is a secret": {**CREATED, "id": [ECHO]},
            "a key that is none": {**RECORD, "id": "@token@", "key": [ECHO, {ECHO: ECHO}]},
            "a date": {**CREATED, "created_at": ECHO},
            "half a record": json.dumps(CREATED).encode()[:-9],
        }.items()
    },
    "a created key without an id": Exit(create, reply("200 OK", {"key": MINTED})),
    "the record of a secret": Exit(get, reply("200 OK", {**RECORD, "id": ECHO})),
    "an answer that is not HTTP": Exit(get, f"{ECHO}\r\n\r\n".encode()),
    "a header that is none": Exit(get, reply("401 Unauthorized", {"detail": ECHO}, ECHO, "X-Y: z")),
    "a header line too long": Exit(get, reply("200 OK", RECORD, "X-Y: " + ECHO * 1000)),
    "a chunk that is none": Exit(get, reply("200 OK", ECHO.encode(), "Transfer-Encoding: chunked")),
    "a length that is none": Exit(get, reply("200 OK", RECORD, f"Content-Length: {ECHO}"), fails=None),
    "a body cut off": Exit(create, reply("200 OK", CREATED, "Content-Length: 9999")),
    "a compressed answer": Exit(create, reply("200 OK", ECHO.encode(), "Content-Encoding: gzip")),
    "a connection closed": Exit(get, b""),
    "silence": Exit(get, None),
}


def proxied(url: str) -> str:
    return url.replace("//", f"//user:{PASSWORD}@")


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


# What the way to the server and the kind of token change is seen in these already.
ON_EACH_ROUTE = (
    "a record",
    "a created key",
    "get answered 401 Unauthorized",
    "create answered with text",
    "an answer that is not HTTP",
    "an echo in the reason",
    "a connection closed",
    "silence",
)


@pytest.mark.parametrize(
    ("name", "route"),
    [(name, "str") for name in EXITS] + [(name, route) for route in ROUTES if route != "str" for name in ON_EACH_ROUTE],
)
def test_no_end_of_a_call_shows_a_secret(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, route: str
) -> None:
    call, said, fails = EXITS[name]
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    acts: list[Act] = [hold if said is None else echo(said)] * 9
    with Server(*acts) as server, logged() as records:
        timeout = (1.0, 0.1 if said is None else 5.0)
        client = connect(**ROUTES[route](server.url), timeout=timeout, deadline=3, max_attempts=1)
        ended = end_of(call, client)
        if isinstance(ended, ApiKeysError):
            assert fails is not False or route == "tunnel"
            assert [*chain(ended)] == [ended]
            assert assert_error_hides(ended)
            assert vars(pickle.loads(pickle.dumps(ended))) == vars(ended)
        else:
            assert not fails
            for thing in (ended, *(ended if isinstance(ended, list) else ())):
                assert_no_view_shows(thing, "the result")
        assert server.requests
    for record in records:
        assert_hidden(f"{record.__dict__} {logging.Formatter().format(record)}", f"the log of {record.name}")
    assert any(record.name == "api_keys_client" for record in records)
    printed = capfd.readouterr()
    assert_hidden(printed.out + printed.err, "the terminal")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", [ApiKeysClient, AsyncApiKeysClient])
def test_no_object_that_a_client_is_made_of_shows_a_secret(
    kind: Callable[..., ApiKeysClient | AsyncApiKeysClient], route: str
) -> None:
    client = kind(**ROUTES[route]("http://127.0.0.1:9"))
    waiting: list[Any] = [client, client.with_options(token=TOKEN, headers={"X-Other-Key": TOKEN})]
    seen = set[int]()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        assert_hidden(f"{thing!r} {thing} {rich.pretty.pretty_repr(thing)}", type(thing).__name__)
        if type(thing).__module__.startswith(("api_keys_client", "_generated")):
            attributes = [*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())]
            waiting += [getattr(thing, name) for name in attributes]
    assert len(seen) > 30
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied or pickled"):
            refused(client)


@pytest.mark.parametrize(
    "options",
    [
        {"token": f"{TOKEN}\n"},
        {"token": SecretStr(f"{TOKEN} ")},
        {"token": TOKEN.encode()},
        {"token": ("Bearer", TOKEN)},
        {"base_url": f"https://{TOKEN}@engine.example"},
        {"base_url": f"https://engine.example?{TOKEN}"},
        {"base_url": f"ftp://{TOKEN}@engine.example"},
        {"base_url": TOKEN},
        {"base_url": f"http://{TOKEN}.example"},
        {"headers": {"Authorization": f"Bearer {TOKEN}"}},
        {"headers": {"X-Other-Key": f"{TOKEN}\n"}},
        {"proxy": f"socks5://user:{PASSWORD}@proxy.example"},
        {"proxy": f"http://user:{PASSWORD}@proxy.example:port"},
        {"proxy": PASSWORD},
        {"timeout": 0},
    ],
    ids=repr,
)
@pytest.mark.parametrize("kind", [ApiKeysClient, AsyncApiKeysClient])
def test_no_refused_setting_shows_a_secret(kind: Callable[..., object], options: dict[str, Any]) -> None:
    given = {"base_url": "https://engine.example", "token": TOKEN, "proxy": proxied("http://proxy.example"), **options}
    with pytest.raises(ConfigurationError) as caught:
        kind(**given)
    assert assert_error_hides(caught.value)


def test_a_password_beyond_ascii_is_sent_as_utf_8(connect: Connect) -> None:
    with Server(echo(reply("200 OK", RECORD))) as server:
        proxy = server.url.replace("//", "//user:p%D0%B6@")
        connect("http://engine.example", token=TOKEN, allow_http=True, proxy=proxy).get(KEY_ID)
        sent = server.requests[0].headers["proxy-authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == "user:pж"


@pytest.mark.parametrize("token", [f"{TOKEN}\n", TOKEN.encode(), SecretStr(f"{TOKEN} "), None, "raises"])
def test_no_failing_token_function_shows_a_secret(connect: Connect, token: Any) -> None:
    def ask() -> Any:
        if token == "raises":
            raise LookupError("the vault is closed")
        return token

    with pytest.raises((ConfigurationError, LookupError)) as caught:
        connect("http://127.0.0.1:9", token=ask, headers={"X-Other-Key": TOKEN}).create("ci")
    assert assert_error_hides(caught.value)


def test_no_text_shows_what_was_given_in_a_wrong_place(connect: Connect) -> None:
    client = connect("http://127.0.0.1:9", token=TOKEN)
    calls: list[Callable[[], object]] = [
        lambda: client.get(MINTED),
        lambda: client.get(SecretStr(MINTED)),  # type: ignore[arg-type]
        lambda: client.deactivate(MINTED),
        lambda: client.deactivate_many(MINTED),
        lambda: client.deactivate_many([KEY_ID, MINTED]),
        lambda: client.create("ci", MINTED),
        lambda: client.create("ci", [MINTED]),
        lambda: client.create("ci", ["TASK-ADMIN", TOKEN]),
        lambda: client.create([MINTED]),  # type: ignore[arg-type]
        lambda: client.create(f"\0{MINTED}"),
        lambda: client.rotate(MINTED, store=print),
        lambda: client.rotate(KEY_ID, store=MINTED),  # type: ignore[arg-type]
        lambda: client.rotate(KEY_ID, store=print, leftovers=MINTED),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(InvalidRequestError) as caught:
            call()
        for link in chain(caught.value):
            assert_no_view_shows(link, type(link).__name__)


def test_no_validation_error_of_a_generated_model_shows_a_secret() -> None:
    record = ApiKeyResponse(**{**RECORD, "key": SecretStr(MINTED)})
    wrong: list[Callable[[], object]] = [
        lambda: NewApiKeyRequest(description={TOKEN: MINTED}, roles=[MINTED]),  # type: ignore[arg-type, list-item]
        lambda: NewApiKeyRequest.from_json(json.dumps({"description": [MINTED], "roles": MINTED})),
        lambda: ApiKeyResponse(id=[MINTED], is_active=MINTED, created_at=MINTED, roles=TOKEN),  # type: ignore[arg-type]
        lambda: ApiKeyResponse(key=[MINTED]),  # type: ignore[arg-type, call-arg]
        lambda: ApiKeyResponse.from_dict({**RECORD, "key": [MINTED]}),
        lambda: ApiKeyResponse.model_validate(MINTED),
        lambda: ApiKeyResponse.model_validate_json(MINTED),
        lambda: setattr(record, "key", [MINTED]),
        lambda: setattr(record, "id", SecretStr(MINTED)),
        lambda: HTTPValidationError(detail=[MINTED]),  # type: ignore[list-item]
        lambda: LocationInner([MINTED]),
        lambda: LocationInner(actual_instance={MINTED: TOKEN}),
        lambda: ApiKeysClient(token=TOKEN).generated.create_api_key_auth_api_keys_post({"roles": [MINTED]}),  # type: ignore[arg-type]
        lambda: ApiKeysClient(token=TOKEN).generated.get_api_key_auth_api_keys_api_key_id_get([MINTED]),  # type: ignore[arg-type]
    ]
    for make in wrong:
        with pytest.raises((ValidationError, ValueError)) as caught:
            make()
        for link in chain(caught.value):
            assert_hidden(f"{link} {link!r} {''.join(traceback.format_exception_only(link))}", type(link).__name__)


def test_no_record_of_the_generated_client_shows_or_pickles_its_secret() -> None:
    with Server(*[echo(reply("200 OK", CREATED, "Content-Type: application/json"))] * 2) as server:
        with ApiKeysClient(server.url, token=TOKEN) as client:
            created = client.generated.create_api_key_auth_api_keys_post(NewApiKeyRequest(description="ci"))
            assert created.key
            assert created.key.get_secret_value() == MINTED
            assert_no_view_shows(created, "the generated record")
            assert_no_view_shows(client.generated, "the generated API")
            with pytest.raises(TypeError, match="not pickled"):
                pickle.dumps(created)
            assert copy.deepcopy(created) == created
    without = ApiKeyResponse(**RECORD)
    assert pickle.loads(pickle.dumps(without)) == without


def test_a_servers_words_stay_readable(connect: Connect) -> None:
    other = base64.b64encode(b"this is long enough to be a secret, but it is none at all").decode()
    path = f"/auth/keys/{MINTED}"
    with Server(
        echo(reply("400 Bad Request", {"detail": f"@token@: {KEY_ID}, {other}, {path}, 20{MINTED}."}))
    ) as server:
        with pytest.raises(InvalidRequestError) as caught:
            connect(server.url, token=TOKEN).get(KEY_ID)
    assert caught.value.detail == f"[token]: {KEY_ID}, {other}, [secret], [secret]."


STORES: dict[str, Exception | None] = {
    "done": None,
    "refused": NotStored("the vault is sealed"),
    "failed": LookupError("the vault is closed"),
}


@pytest.mark.parametrize("name", STORES)
def test_no_end_of_a_rotation_shows_a_secret(connect: Connect, name: str) -> None:
    def store(new: CreatedKey) -> None:
        assert new.key.get_secret_value() == MINTED
        problem = STORES[name]
        if problem:
            raise problem

    old = {**RECORD, "id": "00000000-0000-4000-8000-000000000000"}
    refusal = reply("403 Forbidden", {"detail": ECHO})
    acts = [echo(reply("200 OK", [old])), echo(reply("200 OK", CREATED)), *[echo(refusal)] * 9]
    with Server(*acts) as server:
        client = connect(server.url, token=TOKEN)
        with pytest.raises(RotationError) as caught:
            client.rotate(old["id"], store=store)
        assert assert_error_hides(caught.value)
    with Server(*acts) as server:
        client = connect(server.url, token=TOKEN)
        kept = end_of(lambda client: client.rotate(old["id"], store=store, keep_old=True), client)
        assert_hidden(f"{kept} {kept!r} {vars(kept)} {rich.pretty.pretty_repr(kept)}", "what keeps the old key")


def test_no_object_of_the_sandbox_shows_a_secret(connect: Connect) -> None:
    with Sandbox(token=TOKEN) as sandbox:
        client = connect(sandbox.url, token=TOKEN)
        sandbox.queue(Fault.status(503, "later"), operation="list")
        secret = client.create("ci").key.get_secret_value()
        assert sandbox.accepts(secret)
        for thing in (sandbox, *sandbox.requests, *sandbox.keys(), *sandbox.unmet):
            for name, text in views(thing):
                # Its attributes are public, and the token is one.
                if thing is not sandbox or name != "vars":
                    assert_hidden(text, f"{name} of {type(thing).__name__}")
                    assert secret.encode() not in (text.encode() if isinstance(text, str) else text)


class OutOfTime(Exception):
    """What a job's time limit raises from its signal handler, as Celery's does."""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no thread can be interrupted here")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, OutOfTime])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 503 Later\r\nContent-Length: 9\r\n\r\n"], ids=["silence", "refusal"])
@pytest.mark.parametrize("call", [create, get])
def test_no_interrupt_is_swallowed_or_shows_a_secret(
    kind: type[BaseException], begun: bytes, call: Callable[[ApiKeysClient], object]
) -> None:
    arrived = threading.Event()

    def announce(peer: Peer, _: Request) -> None:
        peer.send(begun)
        arrived.set()
        peer.hold()

    def interrupt(thread: int) -> None:
        arrived.wait()
        signal.pthread_kill(thread, signal.SIGUSR1)

    def handle(*_: object) -> None:
        raise kind

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with Server(announce) as server, ApiKeysClient(server.url, token=TOKEN) as client:
            interrupting = threading.Thread(target=interrupt, args=(threading.get_ident(),))
            interrupting.start()
            with pytest.raises(kind) as caught:
                call(client)
            interrupting.join()
            assert len(server.requests) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert assert_error_hides(caught.value)
    # Not even the library's frames are left, which hold the headers.
    for frame in traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack[1:]:
        assert_hidden(str(frame.locals), f"{frame.filename}, line {frame.lineno}")


def test_no_cancellation_shows_a_secret() -> None:
    async def cancelled(url: str, arrived: threading.Event) -> asyncio.CancelledError:
        async with AsyncApiKeysClient(url, token=TOKEN) as client:
            task = asyncio.ensure_future(client.create("ci"))
            await asyncio.to_thread(arrived.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    arrived = threading.Event()

    def announce(peer: Peer, _: Request) -> None:
        arrived.set()
        peer.hold()

    with Server(announce) as server:
        assert assert_error_hides(asyncio.run(cancelled(server.url, arrived)))


# What is cut off in the middle of its making, or of being handed over, complains when it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["a created key", "a list of faults", "a page instead of a detail"])
def test_no_interrupt_at_any_line_of_ours_shows_a_secret(connect: Connect, driver: str, name: str) -> None:
    call, said, _ = EXITS[name]
    assert said is not None
    kind = KeyboardInterrupt if driver == "sync" else asyncio.CancelledError
    lines = 0
    with Server(*[echo(said)] * 999) as server:
        while error := interruption_at(lines + 1, kind, call, connect(server.url, token=lambda: TOKEN, max_attempts=1)):
            lines += 1
            assert assert_error_hides(error)
    gc.collect()
    assert lines > 100


def interruption_at(
    line: int, kind: type[BaseException], call: Callable[[ApiKeysClient], object], client: ApiKeysClient
) -> BaseException | None:
    """What the call ends with if it is interrupted at the line of ours that is the so-manieth to run, if it was."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        count += event == "line"
        if count == line:
            count += 1
            raise kind
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        end_of(call, client)
    except kind as interruption:
        return interruption
    finally:
        sys.settrace(before)
    return None
