"""The sandbox's faults: what each does to the request that meets it, and which request that is."""

from __future__ import annotations

import http.client
import json
import threading
import time

import pytest
from werkzeug.wrappers import Response

from api_keys_client.sandbox import Fault, Operation, Profile, Sandbox
from tests.support.calling import (
    KEYS,
    PATIENCE,
    UNKNOWN_ID,
    Caller,
    caller_on,
    connection_reset,
    eventually,
    one_of_each,
)


@pytest.mark.parametrize("committed", [False, True])
def test_a_lost_answer_s_request_has_taken_effect_or_not(
    engine: Sandbox, caller: Caller, capfd: pytest.CaptureFixture[str], *, committed: bool
) -> None:
    lost: dict[Fault, type[Exception]] = {
        Fault.drop(committed=committed): ConnectionResetError,
        Fault.silence(committed=committed): TimeoutError,
        Fault.garbage(committed=committed): json.JSONDecodeError,
    }
    before = threading.active_count()
    for made, (fault, error) in enumerate(lost.items(), start=1):
        engine.queue(fault)
        caller.connection.timeout = 0.2 if error is TimeoutError else PATIENCE
        with pytest.raises(error) as caught:
            _ = caller.call("POST", KEYS, {"description": "lost"}).json
        # An orderly end is a ConnectionResetError for http.client too.
        assert caught.type is error
        assert [(key.description, key.is_active) for key in engine.keys()] == [("lost", True)] * committed * made
        caller.connection.close()
    assert [request.status for request in engine.requests] == [None, None, 200]
    eventually(lambda: threading.active_count() == before)
    assert capfd.readouterr() == ("", "")


def test_what_is_late(engine: Sandbox, caller: Caller) -> None:
    engine.queue(Fault.commit_late(3600))
    engine.queue(Fault.commit_late(0.1))
    engine.queue(Fault.delay(0.1))
    started = time.monotonic()
    for description in ("never", "late"):
        with connection_reset():
            caller.call("POST", KEYS, {"description": description})
        caller.connection.close()
    eventually(engine.keys)
    assert time.monotonic() - started >= 0.1
    caller.create(description="at last")
    assert time.monotonic() - started >= 0.2
    assert [key.description for key in engine.keys()] == ["late", "at last"]


def test_status_does_nothing_else(engine: Sandbox, caller: Caller) -> None:
    moment = "Wed, 21 Oct 2026 07:28:00 GMT"
    invalid = [{"loc": [], "msg": "no", "type": "no"}]
    engine.queue(Fault.status(429, "slow down", retry_after=7))
    engine.queue(Fault.status(503))
    engine.queue(Fault.status(422, invalid))
    engine.queue(Fault.status(599, retry_after=moment))
    answers = [caller.call("POST", KEYS, {}) for _ in range(4)]
    assert [answer.status for answer in answers] == [429, 503, 422, 599]
    assert [answer.detail for answer in answers] == ["slow down", "Service Unavailable", invalid, None]
    assert [answer.headers.get("retry-after") for answer in answers] == ["7", None, None, moment]
    assert engine.keys() == []
    assert [received.status for received in engine.requests] == [429, 503, 422, 599]


@pytest.mark.parametrize(("profile", "chunked"), [("engine", False), ("spec", True)])
def test_truncated(profile: Profile, *, chunked: bool) -> None:
    with Sandbox(profile=profile) as sandbox, caller_on(sandbox.url, sandbox.token) as caller:
        sandbox.queue(Fault.truncated(chunked=chunked), times=2)
        for method, path, body in (("POST", KEYS, {}), ("DELETE", f"{KEYS}deactivate/", None)):
            caller.send(method, path + "".join(key.id for key in sandbox.keys()), body)
            response = caller.connection.getresponse()
            assert response.status == 200
            assert response.headers["Transfer-Encoding" if chunked else "Content-Length"]
            with pytest.raises(http.client.IncompleteRead) as caught:
                response.read()
            assert caught.value.partial.startswith(b'{"')
            caller.connection.close()
        assert [key.is_active for key in sandbox.keys()] == [False]
        assert [received.status for received in sandbox.requests] == [200, 200]


@pytest.mark.parametrize("committed", [False, True])
def test_hold(engine: Sandbox, caller: Caller, *, committed: bool) -> None:
    arrived, release = threading.Event(), threading.Event()
    engine.queue(Fault.hold(arrived, release, committed=committed))
    caller.send("POST", KEYS, {"description": "held"})
    assert arrived.wait(PATIENCE)
    assert engine.requests[0].status is None
    with caller_on(engine.url, engine.token) as other:
        other.create(description="overtook")
    assert len(engine.keys()) == 1 + committed
    release.set()
    assert caller.receive().json["description"] == "held"
    assert [key.description for key in engine.keys()] == (["held", "overtook"] if committed else ["overtook", "held"])


def test_a_fault_meets_its_operation_only(engine: Sandbox, caller: Caller) -> None:
    usual: dict[Operation, int] = {"create": 200, "list": 200, "get": 404, "deactivate": 404}
    for operation in usual:
        fault = Fault.status(500)
        engine.queue(fault, operation=operation)
        assert caller.call("GET", "/elsewhere").status == 404
        assert engine.unmet == [fault]
        for expected in (usual | {operation: 500}, usual):
            answers = one_of_each(caller, headers=caller.headers)
            assert [answer.status for answer in answers] == [*expected.values()]
            assert engine.unmet == []


def test_faults_are_met_once_in_the_order_of_the_queue(engine: Sandbox, caller: Caller) -> None:
    engine.queue(Fault.status(500), operation="get")
    engine.queue(Fault.status(501), times=2)
    engine.queue(Fault("a teapot", lambda _: Response("short and stout", 418)), operation="list")
    status = "Fault.status({}, None, retry_after=None)"
    assert [repr(fault) for fault in engine.unmet] == [*map(status.format, (500, 501, 501)), "a teapot"]
    answers = [caller.call("GET", KEYS) for _ in range(4)]
    assert [answer.status for answer in answers] == [501, 501, 418, 200]
    assert answers[2].body == b"short and stout"
    assert engine.unmet == [Fault.status(500)]
    assert caller.call("GET", f"{KEYS}{UNKNOWN_ID}").status == 500
    assert engine.unmet == []
