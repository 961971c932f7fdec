"""Two rotations of one key, in every order in which their requests and stores can come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Literal

import pytest

from api_keys_client import ApiKeysClient, CreatedKey, RotationError
from api_keys_client.sandbox import Fault, Sandbox
from api_keys_client.sandbox.faults import Exchange
from tests.support.rotations import Shelf, active, assert_survived, caught, connecting, told_by


class Gate:
    """One step that a side has come to, and that waits for its turn."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def wait(self) -> None:
        assert self.opened.wait(30)


class Side:
    """One of the two rotations, in a thread. It stops before each request and before its store."""

    def __init__(self, client: ApiKeysClient, old_id: str, shelf: Shelf) -> None:
        self._client = client
        self._old_id = old_id
        self._shelf = shelf
        self._moved = threading.Semaphore(0)
        self.gate: Gate | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._rotate)

    def start(self) -> None:
        self._thread.start()
        self._come_to_a_stop()

    def move(self) -> None:
        """Takes one step: to the next request, the store, or the end."""
        gate, self.gate = self.gate, None
        assert gate
        gate.opened.set()
        self._come_to_a_stop()

    @property
    def has_ended(self) -> bool:
        return self.gate is None

    def stop_at(self, gate: Gate) -> None:
        self.gate = gate
        self._moved.release()
        gate.wait()

    def _come_to_a_stop(self) -> None:
        assert self._moved.acquire(timeout=30)
        if self.has_ended:
            self._thread.join()

    def _rotate(self) -> None:
        self.error = caught(lambda: self._client.rotate(self._old_id, store=self._store))
        self._moved.release()

    def _store(self, new: CreatedKey) -> None:
        self.stop_at(Gate())
        self._shelf(new)


class Race:
    """The server and the clients of all races of one kind."""

    def __init__(self, sandbox: Sandbox, clients: list[ApiKeysClient]) -> None:
        self.sandbox = sandbox
        self._clients = clients
        self._moving: Side | None = None
        self.ends = set[tuple[bool, ...]]()

    def run(self, order: list[int]) -> list[int]:
        """One race: who moves, for as long as that is given, and the first one that can from then on.

        Returns: for each move, how many could have made it.
        """
        sandbox = self.sandbox
        sandbox.reset()
        with ExitStack() as quiet:
            old = self._clients[0].create("ci")
            shelf = Shelf(old)
            sides = [Side(client, old.id, shelf) for client in self._clients]
            quiet.callback(self._end, sides)
            # No more than six each, whatever comes of it.
            sandbox.queue(Fault("turns", self._turn), times=12)
            for side in sides:
                self._moving = side
                side.start()
            choices: list[int] = []
            while movable := [side for side in sides if not side.has_ended]:
                choice = order[len(choices)] if len(choices) < len(order) else 0
                choices.append(len(movable))
                self._moving = movable[choice]
                movable[choice].move()
                assert sandbox.accepts(shelf.secret), "there is a moment without a working key"
        self._check(old.id, shelf, [side.error for side in sides])
        return choices

    def _turn(self, exchange: Exchange) -> Any:
        side = self._moving
        # Outside of a race, as at its end, nobody waits.
        if side is not None:
            side.stop_at(Gate())
        return exchange.answer()

    def _end(self, sides: list[Side]) -> None:
        self._moving = None
        for side in sides:
            if side.gate:
                side.gate.opened.set()

    def _check(self, old_id: str, shelf: Shelf, errors: list[BaseException | None]) -> None:
        self.ends.add(tuple(error is None for error in errors))
        created = {key.id for key in self.sandbox.keys()} - {old_id}
        for error in errors:
            assert error is None or isinstance(error, RotationError)
            # A side that was refused names what the other has made.
            assert error is None or any(key_id in told_by(error) for key_id in created)
        assert None in errors, "neither has rotated the key"
        assert old_id not in active(self.sandbox)
        assert_survived(self.sandbox, self._clients[0], shelf, old_id, next(filter(None, errors), None))


def every_order(run: Callable[[list[int]], list[int]]) -> Iterator[list[int]]:
    """Runs a race in every order that it has: each run says where others would have been possible."""
    waiting: list[list[int]] = [[]]
    while waiting:
        order = waiting.pop()
        choices = run(order)
        full = order + [0] * (len(choices) - len(order))
        yield full
        for place in range(len(order), len(full)):
            waiting += [[*full[:place], other] for other in range(1, choices[place])]


@pytest.mark.parametrize(("driver", "profile", "orders"), [("sync", "engine", 150), ("async", "spec", 40)])
def test_two_rotations_of_one_key(driver: str, profile: Literal["engine", "spec"], orders: int) -> None:
    with Sandbox(profile=profile) as sandbox, connecting(driver, sandbox) as one, connecting(driver, sandbox) as other:
        race = Race(sandbox, [one, other])
        seen = list(every_order(race.run))
    assert len({tuple(order) for order in seen}) == len(seen)
    assert len(seen) >= orders
    assert race.ends == {(True, True), (True, False), (False, True)}
