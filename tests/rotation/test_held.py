"""A rotation is cut off by Ctrl-C, a cancellation or the end of its process, at every request and in its store."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from api_keys_client import ApiKeysClient, AsyncApiKeysClient
from api_keys_client.sandbox import Fault, Operation, Sandbox
from api_keys_client.sandbox.faults import Dropped, Exchange
from tests.support.interrupts import press_here
from tests.support.leaks import assert_hides, shown_by
from tests.support.rotations import Cut, caught

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of these kinds are POSIX's")
PATIENCE = 30


class Held:
    """A request that is kept until the test lets it go: it takes effect before, after, or never."""

    def __init__(self, sandbox: Sandbox, place: str) -> None:
        operation, self._commits = place.split(" ")
        self.arrived = threading.Event()
        self.let_go = threading.Event()
        self.over = threading.Event()
        sandbox.queue(Fault(f"held, commits {self._commits}", self._act), operation=cast("Operation", operation))

    def _act(self, exchange: Exchange) -> Any:
        try:
            answer = exchange.answer() if self._commits == "before" else None
            self.arrived.set()
            while not self.let_go.wait(0.02):
                exchange.pause(0)
            if self._commits == "never":
                raise Dropped
            return answer or exchange.answer()
        finally:
            self.over.set()


# Where a Ctrl-C or a cancellation meets the request, before it takes effect or after: what is stored, what is left.
INTERRUPTIONS = {
    "list after": ("old", "old"),
    "create before": ("old", "old"),
    "create after": ("old", "old"),
    "deactivate before": ("new", "new"),
    "deactivate after": ("new", "new"),
    "get after": ("new", "new"),
}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("place", INTERRUPTIONS)
def test_what_an_interrupted_request_leaves(
    sandbox: Sandbox, client: ApiKeysClient, place: str, kind: type[BaseException]
) -> None:
    cut = Cut(sandbox, client)
    held = Held(sandbox, place)
    arguments: dict[str, Any] = {"store": cut.shelf, "verify": cut.keep}

    async def cancelled() -> None:
        async with AsyncApiKeysClient(sandbox.url, token=sandbox.token) as async_client:
            task = asyncio.ensure_future(async_client.rotate(cut.old_id, **arguments))
            await asyncio.to_thread(held.arrived.wait, PATIENCE)
            task.cancel()
            held.let_go.set()
            await task

    def press() -> None:
        held.arrived.wait(PATIENCE)
        press_here()
        held.let_go.set()

    if kind is KeyboardInterrupt:
        pressing = threading.Thread(target=press)
        pressing.start()
        error = caught(lambda: client.rotate(cut.old_id, **arguments))
        pressing.join()
    else:
        error = caught(lambda: asyncio.run(cancelled()))
    assert isinstance(error, kind)
    assert held.over.wait(PATIENCE)
    assert_hides(shown_by(error), *cut.secrets)
    cut.assert_left(client, *INTERRUPTIONS[place], error)


CHILD = """
import sys
from api_keys_client import ApiKeysClient, stores

key_id, path, step = sys.argv[1:]
write = stores.file(path)

def reach(name):
    if name == step:
        sys.stdout.write("reached")
        sys.stdout.flush()
        sys.stdin.read()

def store(new):
    reach("store before")
    write(new)
    reach("store after")

sys.addaudithook(lambda event, arguments: reach("store rename") if event == "os.rename" else None)
with ApiKeysClient() as client:
    client.rotate(key_id, store=store, verify=lambda _: reach("verify"))
"""

# Where the process is killed: what is stored then, and which keys are active once the server is done.
KILLS = {
    "list after": ("old", "old"),
    "create never": ("old", "old"),
    "create before": ("old", "old new"),
    "create after": ("old", "old new"),
    "verify": ("old", "old new"),
    "store before": ("old", "old new"),
    "store rename": ("old", "old new"),
    "store after": ("new", "old new"),
    "deactivate never": ("new", "old new"),
    "deactivate before": ("new", "new"),
    "deactivate after": ("new", "new"),
    "get after": ("new", "new"),
}


@pytest.mark.parametrize("place", KILLS)
def test_what_a_killed_process_leaves(sandbox: Sandbox, client: ApiKeysClient, place: str, tmp_path: Path) -> None:
    cut = Cut(sandbox, client)
    path = tmp_path / "secret"
    path.write_text(cut.shelf.secret)
    held = None if place.startswith(("verify", "store")) else Held(sandbox, place)
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CHILD, cut.old_id, str(path), place],
        env={**os.environ, "API_KEYS_BASE_URL": sandbox.url, "API_KEYS_TOKEN": sandbox.token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout
        try:
            assert held.arrived.wait(PATIENCE) if held else child.stdout.read(7) == b"reached"
        finally:
            child.kill()
    if held:
        held.let_go.set()
        assert held.over.wait(PATIENCE)
    cut.shelf.secret = path.read_text()
    cut.assert_left(client, *KILLS[place], None)
