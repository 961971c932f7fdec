"""A sandbox from its start to its end: what it records, its resets, its stop, its arguments, its place, its file."""

from __future__ import annotations

import base64
import os
import socket
import sqlite3
import stat
import threading
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as WsgiClient
from werkzeug.wrappers import Response

from api_keys_client.sandbox import Fault, ReceivedRequest, Sandbox
from api_keys_client.sandbox.faults import Exchange
from tests.support.calling import (
    KEYS,
    PATIENCE,
    Caller,
    address,
    caller_on,
    connection_reset,
    eventually,
    head_of,
    sandbox_stopped,
)


def test_requests_and_keys_are_recorded_in_order(engine: Sandbox, caller: Caller) -> None:
    first = caller.create(description="one", roles=["ORG-ADMIN", "ORG-ADMIN"])
    caller.call("GET", KEYS)
    caller.call("GET", f"{KEYS}{first['id']}?x=1")
    caller.deactivate(first["id"])
    caller.call("GET", "/auth/api_keys")
    assert engine.requests == [
        ReceivedRequest("POST", KEYS, "create", 200),
        ReceivedRequest("GET", KEYS, "list", 200),
        ReceivedRequest("GET", f"{KEYS}{first['id']}", "get", 200),
        ReceivedRequest("DELETE", f"{KEYS}deactivate/{first['id']}", "deactivate", 204),
        ReceivedRequest("GET", "/auth/api_keys", None, 307),
    ]
    second = caller.create(roles=[])
    assert [(key.id, key.description, key.is_active, key.roles) for key in engine.keys()] == [
        (first["id"], "one", False, ("ORG-ADMIN", "ORG-ADMIN")),
        (second["id"], None, True, ()),
    ]
    assert engine.accepts(second["key"])
    for other in (first["key"], second["key"].swapcase(), "\ud800"):
        assert not engine.accepts(other)


def callers_under_way(sandbox: Sandbox) -> list[Caller]:
    """Callers of whom none gets an answer."""
    arrived, release = threading.Event(), threading.Event()
    faults = [Fault.hold(arrived, release), Fault.silence(), Fault.delay(3600), Fault.commit_late(3600)]
    for fault in faults:
        sandbox.queue(fault)
    callers = [Caller(sandbox.url, sandbox.token) for _ in faults]
    for caller in callers:
        caller.send("POST", KEYS, {})
    eventually(lambda: len(sandbox.requests) == len(faults))
    assert arrived.wait(PATIENCE)
    return callers


def check_dropped(callers: list[Caller]) -> None:
    for caller in callers:
        with connection_reset():
            caller.receive()
        caller.connection.close()


def test_a_reset_forgets_everything_and_drops_what_is_under_way(engine: Sandbox, caller: Caller) -> None:
    key = caller.create()
    engine.reset()
    before = threading.active_count()
    callers = callers_under_way(engine)
    engine.queue(Fault.drop(), operation="get")
    engine.reset()
    check_dropped(callers)
    eventually(lambda: threading.active_count() == before)
    assert (engine.keys(), engine.unmet, engine.requests) == ([], [], [])
    assert not engine.accepts(key["key"])


def test_what_came_before_a_reset_takes_no_effect_after_it(engine: Sandbox, caller: Caller) -> None:
    arrived, release = threading.Event(), threading.Event()

    def outlive_the_reset(exchange: Exchange) -> Response:
        arrived.set()
        release.wait(PATIENCE)
        return exchange.answer()

    engine.queue(Fault("slow", outlive_the_reset))
    caller.send("POST", KEYS, {})
    assert arrived.wait(PATIENCE)
    engine.reset()
    release.set()
    with connection_reset():
        caller.receive()
    assert engine.keys() == []


def test_stop_is_prompt_and_leaves_no_thread(capfd: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    sandbox = Sandbox().start()
    callers = callers_under_way(sandbox)
    idle, silent, halfway = (Caller(sandbox.url, sandbox.token) for _ in range(3))
    idle.call("GET", KEYS)
    silent.connection.connect()
    halfway.connection.connect()
    halfway.connection.send(head_of("POST", KEYS, sandbox.token, "Content-Length: 9\r\n") + b"{")
    started = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - started < 9
    assert set(threading.enumerate()) == before
    check_dropped(callers)
    for caller in (idle, silent, halfway):
        caller.connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address(sandbox.url), PATIENCE)
    assert capfd.readouterr() == ("", "")


def test_stop_may_come_twice_or_without_start() -> None:
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = sandbox.url
    assert sandbox.keys() == []
    sandbox.stop()
    sandbox.stop()
    with pytest.raises(RuntimeError, match="starts once"):
        sandbox.start()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        sandbox.keys()


def test_its_token_is_new_or_given_and_shows_by_name_only(engine: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(engine.token) >= 32
    assert engine.token not in repr(engine)
    assert engine.url in repr(engine)
    monkeypatch.setenv("API_KEYS_TOKEN", "ambient")
    for token in (None, "mine"):
        with Sandbox(token=token) as other, caller_on(other.url, other.token) as caller:
            assert other.token not in (engine.token, "ambient")
            assert token in (None, other.token)
            caller.create()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "::1"])
def test_it_binds_loopback(host: str) -> None:
    try:
        sandbox = Sandbox(host=host).start()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with sandbox_stopped(sandbox), caller_on(sandbox.url, sandbox.token) as caller:
        caller.create()


def test_arguments_that_make_no_sense_are_refused() -> None:
    refused: dict[str, list[Any]] = {
        "host": ["0.0.0.0", "", "192.0.2.1", "example.org"],
        "token": ["", "two words"],
        "profile": ["other"],
        "limit": [-1],
        "port": [65536, -1],
    }
    for name, values in refused.items():
        for value in values:
            with pytest.raises(ValueError, match=f"the {name}"):
                Sandbox(**{name: value})


def test_a_port_is_in_use_until_the_stop(engine: Sandbox, caller: Caller, capfd: pytest.CaptureFixture[str]) -> None:
    caller.create()
    port = address(engine.url)[1]
    second = Sandbox(port=port)
    with pytest.raises(OSError, match="in use"):
        second.start()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        second.keys()
    assert capfd.readouterr() == ("", "")
    engine.stop()
    with Sandbox(port=port) as third:
        assert third.url == engine.url


def test_as_a_wsgi_application_under_a_prefix() -> None:
    sandbox = Sandbox()
    with sandbox_stopped(sandbox):
        client = WsgiClient(DispatcherMiddleware(Response("elsewhere"), {"/engine": sandbox.application}))
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        assert client.get(f"/engine{KEYS}", headers=headers).json == []
        redirect = client.get("/engine/auth/api_keys", headers=headers)
        assert redirect.headers["Location"] == "http://localhost/engine/auth/api_keys/"
        sandbox.queue(Fault.drop())
        with pytest.raises(RuntimeError, match="only Werkzeug's servers"):
            client.get(f"/engine{KEYS}")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    # What means something in a URI means nothing here.
    return tmp_path / ("a#b%20 c.db" if os.name == "nt" else "a?b#c%20 d.db")


def test_it_survives_a_restart(database: Path) -> None:
    database.touch()
    with Sandbox(database=database) as first, caller_on(first.url, first.token) as caller:
        kept, ended = caller.create(description="kept", roles=["ORG-AUDITOR"]), caller.create()
        caller.deactivate(ended["id"])
        before = caller.call("GET", KEYS).json
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript("analyze")
    with Sandbox(database=str(database), limit=1) as second:
        assert [(key.id, key.is_active) for key in second.keys()] == [(kept["id"], True), (ended["id"], False)]
        assert second.accepts(kept["key"])
        with caller_on(second.url, second.token) as caller:
            assert caller.call("GET", KEYS).json == before
            assert caller.call("POST", KEYS, {}).status == 400
    with Sandbox(database=database, profile="spec") as spec, caller_on(spec.url, spec.token) as caller:
        aware = datetime.fromisoformat(caller.call("GET", KEYS).json[0]["created_at"])
    assert datetime.fromisoformat(kept["created_at"]).astimezone() == aware
    assert list(database.parent.iterdir()) == [database]


def test_it_holds_no_secret_and_is_for_its_owner_alone(database: Path) -> None:
    before = os.umask(0)
    try:
        with Sandbox(database=database) as sandbox, caller_on(sandbox.url, sandbox.token) as caller:
            secret = caller.create(description="findable")["key"]
            during = database.read_bytes()
            modes = {stat.S_IMODE(path.stat().st_mode) for path in database.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}
    for content in (during, database.read_bytes()):
        assert b"findable" in content
        for hidden in (secret, base64.b64decode(secret).decode().split(":")[1], sandbox.token):
            assert hidden.encode() not in content


def test_what_is_no_database_is_an_error(database: Path) -> None:
    database.write_text("This is a letter, " * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        Sandbox(database=database)


@pytest.mark.parametrize(
    "made",
    [
        "create table sandbox_keys (id text)",
        "pragma journal_mode = wal; create table customers (name text)",
    ],
)
def test_that_of_another_program_is_left_as_it_is(database: Path, made: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(f"{made}; pragma user_version = 7")
    before = database.read_bytes()
    with pytest.raises(sqlite3.DatabaseError, match="another program"):
        Sandbox(database=database)
    assert database.read_bytes() == before
