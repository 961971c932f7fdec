"""Two rotations of one key, in every order in which their requests and stores can come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import pytest

from api_keys_client import ApiKeysClient, CreatedKey, RotationError
from api_keys_client.sandbox import Fault, Sandbox
from api_keys_client.sandbox.faults import Exchange
from tests.support.rotations import Shelf, active, assert_survived, caught, connecting, told_by


class Side:
    """One of the two rotations, in a thread. It stops before each request and before its store."""

    def __init__(self, rotate: Callable[..., object], shelf: Shelf) -> None:
        self._rotate = rotate
        self._shelf = shelf
        self._moved = threading.Semaphore(0)
        self.gate: threading.Event | None = None
        """Where it waits for its turn; nowhere once it has ended."""
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        assert self._moved.acquire(timeout=30)

    def move(self) -> None:
        """Takes one step: to the next request, the store, or the end."""
        gate, self.gate = self.gate, None
        assert gate
        gate.set()
        assert self._moved.acquire(timeout=30)
        if not self.gate:
            self._thread.join()

    def stop(self) -> None:
        self.gate = gate = threading.Event()
        self._moved.release()
        assert gate.wait(30)

    def _run(self) -> None:
        self.error = caught(lambda: self._rotate(store=self._store))
        self._moved.release()

    def _store(self, new: CreatedKey) -> None:
        self.stop()
        self._shelf(new)


def race(sandbox: Sandbox, clients: list[ApiKeysClient], order: list[int]) -> tuple[list[int], tuple[bool, ...]]:
    """One race: who moves, for as long as that is given, and the first one that can from then on.

    Returns: for each move, how many could have made it; and which sides came to a good end.
    """
    sandbox.reset()
    old = clients[0].create("ci")
    shelf = Shelf(old)
    sides = [Side(partial(client.rotate, old.id), shelf) for client in clients]
    moving: Side | None = None

    def turn(exchange: Exchange) -> Any:
        if moving:
            moving.stop()
        return exchange.answer()

    choices: list[int] = []
    try:
        # No more than six each, whatever comes of it.
        sandbox.queue(Fault("turns", turn), times=12)
        for moving in sides:
            moving.start()
        while movable := [side for side in sides if side.gate]:
            moving = movable[order[len(choices)] if len(choices) < len(order) else 0]
            choices.append(len(movable))
            moving.move()
            assert sandbox.accepts(shelf.secret), "there is a moment without a working key"
    finally:
        # From here on nobody waits.
        moving = None
        for side in sides:
            if side.gate:
                side.gate.set()
    errors = [side.error for side in sides]
    created = {key.id for key in sandbox.keys()} - {old.id}
    for error in filter(None, errors):
        assert isinstance(error, RotationError)
        # A side that was refused names what the other has made.
        assert any(key_id in told_by(error) for key_id in created)
    assert None in errors, "neither has rotated the key"
    assert old.id not in active(sandbox)
    assert_survived(sandbox, clients[0], shelf, old.id, next(filter(None, errors), None))
    return choices, tuple(error is None for error in errors)


@pytest.mark.parametrize(("driver", "profile", "orders"), [("sync", "engine", 150), ("async", "spec", 40)])
def test_two_rotations_of_one_key_in_every_order(driver: str, profile: Literal["engine", "spec"], orders: int) -> None:
    seen: list[list[int]] = []
    ends = set[tuple[bool, ...]]()
    with Sandbox(profile=profile) as sandbox, connecting(driver, sandbox) as one, connecting(driver, sandbox) as other:
        waiting: list[list[int]] = [[]]
        while waiting:
            order = waiting.pop()
            choices, end = race(sandbox, [one, other], order)
            ends.add(end)
            full = order + [0] * (len(choices) - len(order))
            seen.append(full)
            for place in range(len(order), len(full)):
                waiting += [[*full[:place], choice] for choice in range(1, choices[place])]
    assert len({*map(tuple, seen)}) == len(seen) >= orders
    assert ends == {(True, True), (True, False), (False, True)}
