"""The sandbox's faults: what each does to the request that meets it, and which request that is."""

from __future__ import annotations

import http.client
import threading
import time
from typing import Any

import pytest
from werkzeug.wrappers import Response

from api_keys_client.sandbox import Fault, Operation, Profile, ReceivedRequest, Sandbox
from tests.support.calling import (
    KEYS,
    PATIENCE,
    UNKNOWN_ID,
    Caller,
    caller_on,
    connection_reset,
    eventually,
    one_of_each,
    stored,
)


class TestFaults:
    def test_drop_before_the_commit(self, engine: Sandbox, caller: Caller, capfd: pytest.CaptureFixture[str]) -> None:
        engine.queue(Fault.drop())
        with connection_reset():
            caller.call("POST", KEYS, {})
        assert engine.keys() == []
        assert engine.requests == [ReceivedRequest("POST", KEYS, "create", None)]
        caller.connection.close()
        caller.create()
        assert capfd.readouterr() == ("", "")

    def test_drop_after_the_commit(self, engine: Sandbox, caller: Caller) -> None:
        engine.queue(Fault.drop(committed=True))
        with connection_reset():
            caller.call("POST", KEYS, {"description": "there"})
        assert [(key.description, key.is_active) for key in stored(engine)] == [("there", True)]
        assert engine.requests[0].status is None

    def test_commit_late(self, engine: Sandbox, caller: Caller) -> None:
        engine.queue(Fault.commit_late(0.1))
        started = time.monotonic()
        with connection_reset():
            caller.call("POST", KEYS, {"description": "late"})
        eventually(engine.keys)
        assert time.monotonic() - started >= 0.1
        assert [key.description for key in stored(engine)] == ["late"]

    def test_commit_late_drops_at_once(self, engine: Sandbox, caller: Caller) -> None:
        engine.queue(Fault.commit_late(3600))
        with connection_reset():
            caller.call("POST", KEYS, {})
        assert engine.keys() == []

    def test_delay(self, engine: Sandbox, caller: Caller) -> None:
        engine.queue(Fault.delay(0.1))
        started = time.monotonic()
        caller.create()
        assert time.monotonic() - started >= 0.1

    @pytest.mark.parametrize("committed", [False, True])
    def test_silence_lasts_until_the_client_leaves(self, engine: Sandbox, caller: Caller, *, committed: bool) -> None:
        before = threading.active_count()
        engine.queue(Fault.silence(committed=committed))
        caller.connection.timeout = 0.2
        with pytest.raises(TimeoutError):
            caller.call("POST", KEYS, {})
        assert threading.active_count() == before + 1
        caller.connection.close()
        eventually(lambda: threading.active_count() == before)
        assert len(engine.keys()) == committed
        assert engine.requests[0].status is None

    def test_status_does_nothing_else(self, engine: Sandbox, caller: Caller) -> None:
        engine.queue(Fault.status(429, "slow down", retry_after=7))
        engine.queue(Fault.status(503))
        engine.queue(Fault.status(422, [{"loc": [], "msg": "no", "type": "no"}]))
        engine.queue(Fault.status(599, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"))
        answers = [caller.call("POST", KEYS, {}) for _ in range(4)]
        assert [answer.status for answer in answers] == [429, 503, 422, 599]
        assert [answer.detail for answer in answers] == [
            "slow down",
            "Service Unavailable",
            [{"loc": [], "msg": "no", "type": "no"}],
            None,
        ]
        assert [answer.headers.get("retry-after") for answer in answers] == [
            "7",
            None,
            None,
            "Wed, 21 Oct 2026 07:28:00 GMT",
        ]
        assert engine.keys() == []
        assert [received.status for received in engine.requests] == [429, 503, 422, 599]

    @pytest.mark.parametrize("committed", [False, True])
    def test_garbage(self, engine: Sandbox, caller: Caller, *, committed: bool) -> None:
        engine.queue(Fault.garbage(committed=committed))
        answer = caller.call("POST", KEYS, {})
        assert answer.status == 200
        with pytest.raises(ValueError, match="Expecting value"):
            _ = answer.json
        assert len(engine.keys()) == committed

    @pytest.mark.parametrize("profile", ["engine", "spec"])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_truncated(self, profile: Profile, *, chunked: bool) -> None:
        with Sandbox(profile=profile) as sandbox, caller_on(sandbox.url, sandbox.token) as caller:
            sandbox.queue(Fault.truncated(chunked=chunked), times=2)
            for method, path in [("POST", KEYS), ("DELETE", f"{KEYS}deactivate/")]:
                target = path + "".join(key.id for key in stored(sandbox))
                caller.send(method, target, {} if method == "POST" else None)
                response = caller.connection.getresponse()
                assert response.status == 200
                assert response.headers["Transfer-Encoding" if chunked else "Content-Length"]
                with pytest.raises(http.client.IncompleteRead) as caught:
                    response.read()
                assert caught.value.partial.startswith(b'{"')
                caller.connection.close()
            assert [key.is_active for key in stored(sandbox)] == [False]
            assert [received.status for received in sandbox.requests] == [200, 200]

    def test_hold_before_the_commit(self, engine: Sandbox, caller: Caller) -> None:
        arrived, release = threading.Event(), threading.Event()
        engine.queue(Fault.hold(arrived, release))
        caller.send("POST", KEYS, {})
        assert arrived.wait(PATIENCE)
        assert engine.keys() == []
        with caller_on(engine.url, engine.token) as other:
            other.create(description="overtook")
        release.set()
        assert caller.receive().status == 200
        assert [key.description for key in stored(engine)] == ["overtook", None]

    def test_hold_after_the_commit(self, engine: Sandbox, caller: Caller) -> None:
        arrived, release = threading.Event(), threading.Event()
        engine.queue(Fault.hold(arrived, release, committed=True))
        caller.send("POST", KEYS, {})
        assert arrived.wait(PATIENCE)
        (key,) = engine.keys()
        assert engine.requests[0].status is None
        release.set()
        assert caller.receive().json["id"] == key.id

    def test_a_client_that_leaves_while_held_is_committed_all_the_same(
        self, engine: Sandbox, caller: Caller, capfd: pytest.CaptureFixture[str]
    ) -> None:
        arrived, release = threading.Event(), threading.Event()
        engine.queue(Fault.hold(arrived, release))
        caller.send("POST", KEYS, {})
        assert arrived.wait(PATIENCE)
        caller.connection.close()
        release.set()
        eventually(engine.keys)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("operation", ["create", "list", "get", "deactivate"])
    def test_meets_its_operation_only(self, engine: Sandbox, caller: Caller, operation: Operation) -> None:
        fault = Fault.status(500)
        engine.queue(fault, operation=operation)
        assert caller.call("GET", "/elsewhere").status == 404
        assert engine.unmet == [fault]
        usual = {"create": 200, "list": 200, "get": 404, "deactivate": 404}
        answers = one_of_each(caller, headers=caller.headers)
        assert [answer.status for answer in answers] == list((usual | {operation: 500}).values())
        assert engine.unmet == []
        answers = one_of_each(caller, headers=caller.headers)
        assert [answer.status for answer in answers] == list(usual.values())

    def test_are_met_once_in_the_order_of_the_queue(self, engine: Sandbox, caller: Caller) -> None:
        engine.queue(Fault.status(500), operation="get")
        engine.queue(Fault.status(501), times=2)
        engine.queue(Fault.status(502), operation="list")
        assert [repr(fault) for fault in engine.unmet] == [
            "Fault.status(500, None, retry_after=None)",
            "Fault.status(501, None, retry_after=None)",
            "Fault.status(501, None, retry_after=None)",
            "Fault.status(502, None, retry_after=None)",
        ]
        statuses = [caller.call("GET", KEYS).status for _ in range(4)]
        assert statuses == [501, 501, 502, 200]
        assert engine.unmet == [Fault.status(500)]
        assert caller.call("GET", f"{KEYS}{UNKNOWN_ID}").status == 500
        assert engine.unmet == []

    def test_for_an_operation_that_there_is_not_is_refused(self, engine: Sandbox) -> None:
        mistyped: Any = "creates"
        with pytest.raises(ValueError, match="one of create, list, get, deactivate"):
            engine.queue(Fault.drop(), operation=mistyped)
        assert engine.unmet == []

    def test_what_is_no_fault_is_refused(self, engine: Sandbox) -> None:
        not_called: Any = Fault.drop
        with pytest.raises(TypeError, match=r"such as Fault\.drop\(\)"):
            engine.queue(not_called)
        assert engine.unmet == []

    def test_can_be_made_by_the_user(self, engine: Sandbox, caller: Caller) -> None:
        engine.queue(Fault("a teapot", lambda _: Response("short and stout", 418)))
        assert repr(engine.unmet) == "[a teapot]"
        answer = caller.call("GET", KEYS)
        assert (answer.status, answer.body) == (418, b"short and stout")
