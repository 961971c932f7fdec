"""Neither the token, nor a minted secret, nor the proxy's password shows, however a call ends and however one looks."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import rich.pretty
from pydantic import SecretStr

from api_keys_client import (
    ApiKeysClient,
    ApiKeysError,
    AsyncApiKeysClient,
    ConfigurationError,
    CreatedKey,
    NotStored,
    RotationError,
    tokens,
)
from tests.support.clients import Connect
from tests.support.leaks import (
    CREATED,
    ECHO,
    KEY_ID,
    MINTED,
    RECORD,
    ROUTES,
    TOKEN,
    assert_error_hides,
    assert_hidden,
    assert_no_view_shows,
    chain,
    echo,
    end_of,
    logged,
    reply,
)
from tests.support.wire import Peer, Server, held, say

REFUSALS = ["307", "400", "401", "403", "404", "407", "422", "429", "500", "503"]
CALLS: dict[str, Callable[[ApiKeysClient], object]] = {
    "get": lambda client: client.get(KEY_ID),
    "list": lambda client: client.list(),
    "create": lambda client: client.create("ci"),
    "deactivate": lambda client: client.deactivate(KEY_ID),
    "deactivate_many": lambda client: client.deactivate_many([KEY_ID, KEY_ID]),
}


def temporary(client: ApiKeysClient) -> object:
    with client.temporary_key("ci") as created:
        return created


class Exit(NamedTuple):
    """A call, the answers that it is to end by, one at a time, and whether it fails; an answer of None is silence."""

    call: Callable[[ApiKeysClient], object]
    said: Sequence[bytes | None]
    fails: bool | None = True


REFUSED = [reply(f"{status} No", {"detail": ECHO}) for status in REFUSALS]
WORDS = [
    *(
        reply("422 Unprocessable Entity", {"detail": detail})
        for detail in (
            [{"loc": ["header", "@token@", MINTED], "msg": ECHO, "input": ECHO, "ctx": {"error": ECHO}}],
            [{"loc": ECHO, "msg": [ECHO]}, {"msg": {"x": ECHO}, ECHO: ECHO}],
            *(f"{'x' * 985}@token@", f"{'x' * 950} {MINTED}", f"bad key '{MINTED[:91]}'", {"token": ECHO}),
        )
    ),
    reply("400 Bad Request", b'{"detail": "\\u0074' + b"@token@" + b'"}'),
    reply("502 Bad Gateway", ECHO.encode()),
    reply(f"401 {ECHO}", {}),
    reply(f"799 {ECHO}", {"detail": ECHO}),
    reply("429 Too Many Requests", {}, f"Retry-After: {ECHO}"),
    reply("308 Permanent Redirect", b"", "Location: http://localhost/@token@"),
]
NO_RECORDS = [
    reply("200 OK", body)
    for body in (
        ECHO.encode(),
        ECHO,
        {**CREATED, "id": [ECHO]},
        {**RECORD, "id": ECHO},
        {**RECORD, "id": "@token@", "key": [ECHO, {ECHO: ECHO}]},
        {"key": MINTED},
        {**CREATED, "created_at": ECHO},
        json.dumps(CREATED).encode()[:-9],
    )
]
BROKEN = [
    f"{ECHO}\r\n\r\n".encode(),
    reply("401 Unauthorized", {"detail": ECHO}, ECHO, "X-Y: z"),
    reply("200 OK", CREATED, "X-Y: " + ECHO * 1000),
    reply("200 OK", ECHO.encode(), "Transfer-Encoding: chunked"),
    reply("200 OK", CREATED, "Content-Length: 9999"),
    reply("200 OK", ECHO.encode(), "Content-Encoding: gzip"),
]

EXITS = {
    "a record": Exit(CALLS["get"], [reply("200 OK", RECORD), reply("200 OK", CREATED)], fails=False),
    "a list": Exit(CALLS["list"], [reply("200 OK", [CREATED, CREATED])], fails=False),
    "a created key": Exit(CALLS["create"], [reply("200 OK", CREATED)], fails=False),
    "a deactivated record": Exit(CALLS["deactivate"], [reply("200 OK", {**CREATED, "is_active": False})], fails=False),
    "a record that is still active": Exit(CALLS["deactivate"], [reply("200 OK", CREATED)]),
    "outcomes of many": Exit(CALLS["deactivate_many"], REFUSED[3:4], fails=False),
    "a temporary key that stays": Exit(temporary, [reply("200 OK", CREATED), *REFUSED[2:3]]),
    "get refused": Exit(CALLS["get"], REFUSED),
    "create refused": Exit(CALLS["create"], REFUSED),
    "words": Exit(CALLS["get"], WORDS),
    **{f"{name} of no record": Exit(CALLS[name], NO_RECORDS) for name in CALLS if name != "deactivate_many"},
    "a broken answer": Exit(CALLS["create"], BROKEN),
    "a length that is none": Exit(CALLS["get"], [reply("200 OK", RECORD, f"Content-Length: {ECHO}")], fails=None),
    "a connection closed": Exit(CALLS["get"], [b""]),
    "silence": Exit(CALLS["get"], [None]),
}

# What the way to the server and the kind of token change is seen in these already.
ON_EACH_ROUTE = ("a created key", "get refused", "a broken answer", "a connection closed", "silence")


@pytest.mark.parametrize(
    ("name", "route"), [(name, route) for route in ROUTES for name in (EXITS if route == "str" else ON_EACH_ROUTE)]
)
def test_no_end_of_a_call_shows_a_secret(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, route: str
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with logged() as records:
        for said in EXITS[name].said:
            check_end(connect, EXITS[name], said, route)
    for record in records:
        assert_hidden(f"{record.__dict__} {logging.Formatter().format(record)}", f"the log of {record.name}")
    assert any(record.name == "api_keys_client" for record in records)
    printed = capfd.readouterr()
    assert_hidden(printed.out + printed.err, "the terminal")


def check_end(connect: Connect, way: Exit, said: bytes | None, route: str) -> None:
    """Calls a server that says just this, and looks at the result or error."""
    with Server(*[say(then=Peer.hold) if said is None else echo(said)] * 9) as server:
        limits = {"timeout": (5, 0.1), "deadline": 1.5} if said is None else {"timeout": 5, "deadline": 5}
        client = connect(**ROUTES[route](server.url), **limits, max_attempts=1)
        ended = end_of(way.call, client)
        assert server.requests
    if isinstance(ended, ApiKeysError):
        assert way.fails is not False or route == "tunnel"
        assert [*chain(ended)] == [ended]
        assert assert_error_hides(ended)
        assert vars(pickle.loads(pickle.dumps(ended))) == vars(ended)
    else:
        assert not way.fails
        for thing in (ended, *(ended if isinstance(ended, list) else ())):
            assert_no_view_shows(thing, "the result")


def test_no_failing_token_function_shows_a_secret(connect: Connect) -> None:
    given: list[Any] = [f"{TOKEN}\n", TOKEN.encode(), SecretStr(f"{TOKEN} "), None]
    client = connect("http://127.0.0.1:9", token=given.pop, headers={"X-Other-Key": TOKEN})
    for _ in range(5):
        # The last finds no token any more, and so raises an error of its own.
        with pytest.raises(ConfigurationError) as caught:
            client.create("ci")
        assert assert_error_hides(caught.value)


@pytest.mark.parametrize("printed", [f"{TOKEN}\n{TOKEN}", f"{TOKEN} {TOKEN}", f"{TOKEN}\xff"])
def test_no_failing_token_command_or_file_shows_a_secret(connect: Connect, tmp_path: Path, printed: str) -> None:
    place = tmp_path / "token"
    place.write_bytes(printed.encode("latin-1"))
    failing = ["sh", "-c", f"cat {place}; cat {place} >&2; exit 3"]
    for source in (tokens.file(place), tokens.command(["cat", str(place)]), tokens.command(failing)):
        with pytest.raises(ConfigurationError) as caught:
            connect("http://127.0.0.1:9", token=source).create("ci")
        assert assert_error_hides(caught.value)


@pytest.mark.parametrize(
    "problem", [None, NotStored("the vault is sealed"), LookupError("the vault is closed")], ids=repr
)
@pytest.mark.parametrize("keep_old", [False, True])
def test_no_end_of_a_rotation_shows_a_secret(problem: Exception | None, keep_old: bool) -> None:
    refusal = echo(reply("403 Forbidden", {"detail": ECHO}))

    def store(new: CreatedKey) -> None:
        assert new.key.get_secret_value() == MINTED
        # The new key is found at once where it is to be ended, and stays.
        server.act_next(echo(reply("200 OK", {**RECORD, "description": new.description})), *[refusal] * 9)
        if problem:
            raise problem

    old = {**RECORD, "id": "00000000-0000-4000-8000-000000000000"}
    with Server(echo(reply("200 OK", [old])), echo(reply("200 OK", CREATED))) as server:
        with ApiKeysClient(server.url, token=TOKEN) as client:
            ended = end_of(lambda client: client.rotate(old["id"], store=store, keep_old=keep_old), client)
    if problem or not keep_old:
        assert isinstance(ended, RotationError)
        assert assert_error_hides(ended)
    assert_hidden(f"{ended} {ended!r} {vars(ended)} {rich.pretty.pretty_repr(ended)}", "what came of it")


def assert_no_frame_shows(error: BaseException) -> None:
    """Not even those of the library are left, which hold the headers."""
    assert assert_error_hides(error)
    for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
        if frame.filename != __file__:
            assert_hidden(str(frame.locals), f"{frame.filename}, line {frame.lineno}")


class OutOfTime(Exception):
    """What a job's time limit raises from its signal handler, as Celery's does."""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no thread can be interrupted here")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, OutOfTime])
@pytest.mark.parametrize(
    ("call", "begun"), [("create", b""), ("get", b"HTTP/1.1 503 Later\r\nContent-Length: 9\r\n\r\n")]
)
def test_no_interrupt_is_swallowed_or_shows_a_secret(kind: type[BaseException], begun: bytes, call: str) -> None:
    arrived, main = threading.Event(), threading.get_ident()

    def interrupt() -> None:
        arrived.wait()
        signal.pthread_kill(main, signal.SIGUSR1)

    def handle(*_: object) -> None:
        raise kind

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with Server(held(arrived, data=begun)) as server, ApiKeysClient(server.url, token=TOKEN) as client:
            interrupting = threading.Thread(target=interrupt)
            interrupting.start()
            with pytest.raises(kind) as caught:
                CALLS[call](client)
            interrupting.join()
            assert len(server.requests) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert_no_frame_shows(caught.value)


def test_no_cancellation_shows_a_secret() -> None:
    arrived = threading.Event()

    async def cancelled() -> asyncio.CancelledError:
        async with AsyncApiKeysClient(server.url, token=TOKEN) as client:
            task = asyncio.ensure_future(client.create("ci"))
            await asyncio.to_thread(arrived.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    with Server(held(arrived)) as server:
        assert_no_frame_shows(asyncio.run(cancelled()))
