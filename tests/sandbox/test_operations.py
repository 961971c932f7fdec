"""What each operation of the engine answers, where the conformance tests leave it open."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from api_keys_client.sandbox import Sandbox
from tests.support.calling import KEYS, PATIENCE, Caller, caller_on


def test_what_is_invalid_is_said_in_one_string(caller: Caller) -> None:
    answer = caller.call("POST", KEYS, {"roles": ["TASK-ADMIN", "EMPEROR"]})
    assert answer.detail.startswith("1 validation error:\n  {'type': 'enum', 'loc': ('body', 'roles', 1), ")
    assert "'input': 'EMPEROR'" in answer.detail


def test_the_limit_holds_when_many_threads_create_at_once() -> None:
    barrier = threading.Barrier(16)
    with Sandbox(limit=40) as sandbox:

        def create_four(_: int) -> list[int]:
            with caller_on(sandbox.url, sandbox.token) as caller:
                barrier.wait(PATIENCE)
                return [caller.call("POST", KEYS, {}).status for _ in range(4)]

        with ThreadPoolExecutor(16) as pool:
            statuses = [status for four in pool.map(create_four, range(16)) for status in four]
        assert (statuses.count(200), statuses.count(400)) == (40, 24)
        assert len(sandbox.keys()) == 40
        assert len(sandbox.requests) == 64
