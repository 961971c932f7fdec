"""A rotation is cut off by Ctrl-C or a cancellation, at every request."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

import pytest

from api_keys_client import ApiKeysClient
from api_keys_client.sandbox import Sandbox
from tests.support.cuts import DRIVERS, NEW, OLD, Cut, Held, Which
from tests.support.interrupts import press_here
from tests.support.rotations import active, assert_hides, assert_survived, blocking_loop, caught, connecting, shown_by

# Where a Ctrl-C or a cancellation meets the request, before it takes effect or after: what is stored, what is left.
INTERRUPTIONS: dict[str, tuple[Which, frozenset[str]]] = {
    "list after": ("old", OLD),
    "create before": ("old", OLD),
    "create after": ("old", OLD),
    "deactivate before": ("new", NEW),
    "deactivate after": ("new", NEW),
    "get after": ("new", NEW),
}


def interrupt(client: ApiKeysClient, rotate: Callable[[], object], held: Held) -> BaseException | None:
    """Ctrl-C, while the request is held."""

    def press() -> None:
        held.arrived.wait(30)
        press_here()
        held.let_go.set()

    pressing = threading.Thread(target=press)
    pressing.start()
    error = caught(rotate)
    pressing.join()
    return error


def cancel(client: ApiKeysClient, rotate: Callable[[], object], held: Held) -> BaseException | None:
    """The cancellation of the task, while the request is held."""
    loop = blocking_loop(client)

    def press() -> None:
        held.arrived.wait(30)
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        held.let_go.set()

    pressing = threading.Thread(target=press)
    pressing.start()
    error = caught(rotate)
    pressing.join()
    return error


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind are POSIX's")
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", INTERRUPTIONS)
def test_what_an_interrupted_request_leaves(driver: str, name: str) -> None:
    stored, left = INTERRUPTIONS[name]
    operation, _, commits = name.partition(" ")
    held = Held(commits)
    with Sandbox() as sandbox, connecting(driver, sandbox) as client:
        cut = Cut(sandbox, client)
        sandbox.queue(held.fault(), operation=operation)  # type: ignore[arg-type]  # one of the four by now

        def rotate() -> object:
            return client.rotate(cut.old_id, store=cut.shelf, verify=cut.keep)

        error = (interrupt if driver == "sync" else cancel)(client, rotate, held)
        assert isinstance(error, KeyboardInterrupt if driver == "sync" else asyncio.CancelledError)
        assert held.over.wait(30)
        assert cut.which(cut.shelf.key_id) == stored
        assert {cut.which(key_id) for key_id in active(sandbox)} == left
        assert_hides(shown_by(error), *cut.secrets)
        assert_survived(sandbox, client, cut.shelf, cut.old_id, error)
