"""deactivate_many in both clients: how many at once, and what a real Ctrl-C leaves, tells and stops."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from api_keys_client import ApiKeysClient, KeyNotFoundError
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.interrupts import press

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
PATIENCE = 10.0
"""Seconds for what takes next to none."""

both_drivers = pytest.mark.parametrize("driver", ["sync", "async"])


class Crowd:
    """Requests that wait for each other, in groups of one size; the most that were there at once."""

    def __init__(self, size: int) -> None:
        self._group = threading.Barrier(size)
        self._lock = threading.Lock()
        self._here = 0
        self.most = 0

    def act(self, exchange: Any) -> Any:
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
        self._group.wait(PATIENCE)
        answer = exchange.answer()
        with self._lock:
            self._here -= 1
        return answer


@pytest.mark.parametrize(("options", "bound"), [({}, 8), ({"bound": 1}, 1), ({"bound": 20}, 20)])
@both_drivers
def test_as_many_as_the_bound_are_deactivated_at_once(
    sandbox: Sandbox, client: ApiKeysClient, options: dict[str, Any], bound: int
) -> None:
    ids = [client.create().id for _ in range(3 * bound)]
    crowd = Crowd(bound)
    sandbox.queue(Fault("crowd", crowd.act), operation="deactivate", times=len(ids))
    outcomes = client.deactivate_many(ids, **options)
    assert [outcome.key_id for outcome in outcomes] == ids
    assert not any(outcome.error for outcome in outcomes)
    assert crowd.most == bound


@both_drivers
def test_each_id_has_its_outcome_in_order_however_they_end(sandbox: Sandbox, client: ApiKeysClient) -> None:
    ids = [client.create().id for _ in range(6)]
    ids[2:2] = [UNKNOWN_ID]
    first_arrived, others_done = threading.Event(), threading.Event()
    sandbox.queue(Fault.hold(first_arrived, others_done), operation="deactivate")
    told: list[Any] = []

    def done(outcome: Any) -> None:
        told.append(outcome)
        if len(told) == len(ids) - 1:
            others_done.set()

    outcomes = client.deactivate_many(iter(ids), done)
    assert [outcome.key_id for outcome in outcomes] == ids
    assert [isinstance(outcome.error, KeyNotFoundError) for outcome in outcomes] == [name == UNKNOWN_ID for name in ids]
    assert all(outcome.record and not outcome.record.is_active for outcome in outcomes if outcome.error is None)
    assert told != outcomes
    assert sorted(told, key=lambda outcome: ids.index(outcome.key_id)) == outcomes
    assert client.deactivate_many([]) == []


PROGRAMS = {
    "sync": """
import sys
from api_keys_client import ApiKeysClient

with ApiKeysClient(sys.argv[1], token=sys.argv[2]) as client:
    client.deactivate_many(sys.argv[3:], lambda outcome: print(outcome.key_id, flush=True), bound=3)
""",
    "async": """
import asyncio, sys
from api_keys_client import AsyncApiKeysClient

async def main():
    async with AsyncApiKeysClient(sys.argv[1], token=sys.argv[2]) as client:
        await client.deactivate_many(sys.argv[3:], lambda outcome: print(outcome.key_id, flush=True), bound=3)

asyncio.run(main())
""",
}


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process there")
@pytest.mark.parametrize("times", [1, 2])
@both_drivers
def test_ctrl_c_begins_no_more_and_tells_what_is_done(
    sandbox: Sandbox, client: ApiKeysClient, driver: str, times: int
) -> None:
    """Once, those in flight are waited for and told of. Twice they are not; threads are waited for all the same."""
    ids = [client.create().id for _ in range(30)]
    release = threading.Event()
    arrived = [threading.Event() for _ in range(3)]
    sandbox.queue(Fault.delay(0), operation="deactivate", times=4)
    for event in arrived:
        sandbox.queue(Fault.hold(event, release, committed=True), operation="deactivate")
    program = [sys.executable, "-X", "dev", "-c", PROGRAMS[driver], sandbox.url, sandbox.token, *ids]
    hurried = times == 2
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout
        told = [child.stdout.readline().strip() for _ in range(4)]
        assert all(event.wait(PATIENCE) for event in arrived)
        for number in range(times):
            press(child)
            if hurried and driver == "async" and number == 1:
                child.wait(PATIENCE)
            else:
                with pytest.raises(subprocess.TimeoutExpired):
                    child.wait(0.3)
        release.set()
        rest, complaint = child.communicate(timeout=PATIENCE)
    told += rest.split()
    gone = [key.id for key in sandbox.keys() if not key.is_active]
    assert len(gone) == 7
    assert len(told) == len(set(told)) == (4 if hurried else 7)
    assert set(told) <= set(gone)
    assert child.returncode
    assert complaint.splitlines()[-1] == "KeyboardInterrupt"
    assert "Warning" not in complaint
