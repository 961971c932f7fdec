"""A sandbox from its start to its end: what it recorded, its resets, its stop, its arguments."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from typing import Any

import pytest
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
    stored,
)


class TestLife:
    def test_requests_are_recorded_in_order(self, engine: Sandbox, caller: Caller) -> None:
        key = caller.create()
        caller.call("GET", KEYS)
        caller.call("GET", f"{KEYS}{key['id']}?x=1")
        caller.deactivate(key["id"])
        caller.call("GET", "/auth/api_keys")
        assert engine.requests == [
            ReceivedRequest("POST", KEYS, "create", 200),
            ReceivedRequest("GET", KEYS, "list", 200),
            ReceivedRequest("GET", f"{KEYS}{key['id']}", "get", 200),
            ReceivedRequest("DELETE", f"{KEYS}deactivate/{key['id']}", "deactivate", 204),
            ReceivedRequest("GET", "/auth/api_keys", None, 307),
        ]

    def test_keys_and_accepts_look_into_the_database(self, engine: Sandbox, caller: Caller) -> None:
        first = caller.create(description="one", roles=["ORG-ADMIN", "ORG-ADMIN"])
        second = caller.create(roles=[])
        caller.deactivate(first["id"])
        assert [(key.id, key.description, key.is_active, key.roles) for key in stored(engine)] == [
            (first["id"], "one", False, ("ORG-ADMIN", "ORG-ADMIN")),
            (second["id"], None, True, ()),
        ]
        assert engine.accepts(second["key"])
        assert not engine.accepts(first["key"])
        assert not engine.accepts(second["key"].swapcase())
        assert not engine.accepts("\ud800")

    def test_reset_forgets_keys_faults_and_requests(self, engine: Sandbox, caller: Caller) -> None:
        key = caller.create()
        engine.queue(Fault.drop(), operation="get")
        engine.reset()
        assert (engine.keys(), engine.unmet, engine.requests) == ([], [], [])
        assert not engine.accepts(key["key"])
        assert caller.call("GET", f"{KEYS}{key['id']}").status == 404
        caller.create()

    def test_reset_drops_what_is_under_way(self, engine: Sandbox) -> None:
        arrived, release = threading.Event(), threading.Event()
        faults = [Fault.hold(arrived, release), Fault.silence(), Fault.delay(3600), Fault.commit_late(3600)]
        before = threading.active_count()
        for fault in faults:
            engine.queue(fault)
        callers = [Caller(engine.url, engine.token) for _ in faults]
        for caller in callers:
            caller.send("POST", KEYS, {})
        eventually(lambda: len(engine.requests) == len(faults))
        assert arrived.wait(PATIENCE)
        engine.reset()
        for caller in callers:
            with connection_reset():
                caller.receive()
            caller.connection.close()
        eventually(lambda: threading.active_count() == before)
        assert engine.keys() == []

    def test_what_came_before_a_reset_takes_no_effect_after_it(self, engine: Sandbox, caller: Caller) -> None:
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

    def test_stop_is_prompt_and_leaves_no_thread(self, capfd: pytest.CaptureFixture[str]) -> None:
        before = set(threading.enumerate())
        arrived, release = threading.Event(), threading.Event()
        sandbox = Sandbox().start()
        faults = [Fault.hold(arrived, release), Fault.silence(), Fault.delay(3600), Fault.commit_late(3600)]
        for fault in faults:
            sandbox.queue(fault)
        callers = [Caller(sandbox.url, sandbox.token) for _ in range(7)]
        for caller in callers[:4]:
            caller.send("POST", KEYS, {})
        eventually(lambda: len(sandbox.requests) == len(faults))
        assert arrived.wait(PATIENCE)
        callers[4].call("GET", KEYS)
        callers[5].connection.connect()
        callers[6].connection.connect()
        callers[6].connection.send(head_of("POST", KEYS, sandbox.token, "Content-Length: 9\r\n") + b"{")
        started = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - started < 9
        assert set(threading.enumerate()) == before
        for caller in callers[:4]:
            with connection_reset():
                caller.receive()
        for caller in callers:
            caller.connection.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address(sandbox.url), PATIENCE)
        assert capfd.readouterr() == ("", "")

    def test_stop_ends_a_connection_whose_client_does_not_read(self) -> None:
        before = set(threading.enumerate())
        sandbox = Sandbox()
        sandbox.queue(Fault("big", lambda _: Response(b"x" * 50_000_000)))
        sandbox.start()
        with socket.create_connection(address(sandbox.url), PATIENCE) as connection:
            connection.sendall(head_of("GET", KEYS, sandbox.token))
            assert connection.recv(1, socket.MSG_PEEK) == b"H"
            sandbox.stop()
            assert set(threading.enumerate()) == before

    def test_stop_may_come_twice_or_without_start(self) -> None:
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

    def test_its_token_shows_by_name_only(self, engine: Sandbox) -> None:
        assert len(engine.token) >= 32
        assert engine.token not in repr(engine)
        assert engine.url in repr(engine)
        with Sandbox() as other:
            assert other.token != engine.token

    def test_takes_a_token(self) -> None:
        with Sandbox(token="mine") as sandbox, caller_on(sandbox.url, "mine") as caller:
            assert sandbox.token == "mine"
            caller.create()

    def test_does_not_read_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("API_KEYS_TOKEN", "ambient")
        sandbox = Sandbox()
        assert sandbox.token != "ambient"
        sandbox.stop()

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "::1"])
    def test_binds_loopback(self, host: str) -> None:
        try:
            sandbox = Sandbox(host=host).start()
        except OSError:
            pytest.skip(f"this machine has no {host}")
        with sandbox_stopped(sandbox), caller_on(sandbox.url, sandbox.token) as caller:
            caller.create()

    @pytest.mark.parametrize(
        "arguments",
        [
            {"host": "0.0.0.0"},
            {"host": ""},
            {"host": "192.0.2.1"},
            {"host": "example.org"},
            {"token": ""},
            {"token": "two words"},
            {"profile": "other"},
            {"limit": -1},
            {"port": 65536},
            {"port": -1},
        ],
    )
    def test_refuses_arguments_that_make_no_sense(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"the (host|token|profile|limit|port)"):
            Sandbox(**arguments)

    def test_a_port_in_use_is_an_error_that_says_so(self, engine: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
        second = Sandbox(port=address(engine.url)[1])
        with pytest.raises(OSError, match="in use"):
            second.start()
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            second.keys()
        assert capfd.readouterr() == ("", "")

    def test_a_port_can_be_had_again(self, engine: Sandbox, caller: Caller) -> None:
        caller.create()
        port = address(engine.url)[1]
        engine.stop()
        with Sandbox(port=port) as second:
            assert second.url == engine.url
