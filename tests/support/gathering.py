"""Requests that a server holds until the test lets them go, over either scheme."""

from __future__ import annotations

import threading

import pytest

from tests.support.wire import GOOD, Peer, Request, message

PATIENCE = 10.0
"""Seconds for what takes next to none."""

both_schemes = pytest.mark.parametrize("scheme", ["http", "https"])


class Gathering:
    """Holds requests until they are let go, or until the client leaves; says when so many are there."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._lock = threading.Lock()
        self.complete = threading.Event()
        self.go_on = threading.Event()

    def _count(self) -> None:
        with self._lock:
            self._missing -= 1
            if not self._missing:
                self.complete.set()

    def until_let_go(self, peer: Peer, request: Request) -> None:
        self._count()
        assert self.go_on.wait(PATIENCE)
        peer.send(message(200, GOOD[request.operation]))

    def until_left(self, peer: Peer, _: Request) -> None:
        self._count()
        peer.hold()
