"""A sandbox from its start to its end: what it recorded, its resets, its stop, its arguments, its place."""

from __future__ import annotations

import http.client
import re
import socket
import sqlite3
import threading
import time
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
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


def test_reset_forgets_keys_faults_and_requests(engine: Sandbox, caller: Caller) -> None:
    key = caller.create()
    engine.queue(Fault.drop(), operation="get")
    engine.reset()
    assert (engine.keys(), engine.unmet, engine.requests) == ([], [], [])
    assert not engine.accepts(key["key"])
    assert caller.call("GET", f"{KEYS}{key['id']}").status == 404
    caller.create()


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


def test_reset_drops_what_is_under_way(engine: Sandbox) -> None:
    before = threading.active_count()
    callers = callers_under_way(engine)
    engine.reset()
    check_dropped(callers)
    eventually(lambda: threading.active_count() == before)
    assert engine.keys() == []


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


def test_stop_ends_a_connection_whose_client_does_not_read() -> None:
    before = set(threading.enumerate())
    sandbox = Sandbox()
    sandbox.queue(Fault("big", lambda _: Response(b"x" * 50_000_000)))
    sandbox.start()
    with socket.create_connection(address(sandbox.url), PATIENCE) as connection:
        connection.sendall(head_of("GET", KEYS, sandbox.token))
        assert connection.recv(1, socket.MSG_PEEK) == b"H"
        sandbox.stop()
        assert set(threading.enumerate()) == before


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


@pytest.mark.parametrize("threaded", [False, True])
def test_in_a_pytest_httpserver(capfd: pytest.CaptureFixture[str], *, threaded: bool) -> None:
    sandbox = Sandbox()
    with sandbox_stopped(sandbox), HTTPServer("127.0.0.1", threaded=threaded) as server:
        server.expect_request(re.compile("/")).respond_with_handler(sandbox.respond)
        for fault in (Fault.drop(), Fault.drop(committed=True), Fault.truncated()):
            sandbox.queue(fault)
        with caller_on(server.url_for(""), sandbox.token) as caller:
            for outcome in (ConnectionError, ConnectionError, http.client.IncompleteRead):
                with pytest.raises(outcome):
                    caller.call("POST", KEYS, {"description": "mounted"})
                caller.connection.close()
            caller.create(description="mounted")
        server.check()
        assert [key.description for key in sandbox.keys()] == ["mounted"] * 3
    assert capfd.readouterr() == ("", "")


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
