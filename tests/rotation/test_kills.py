"""A rotation is cut off by the end of its process, at every step."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api_keys_client.sandbox import Sandbox
from tests.support.cuts import BOTH, NEW, OLD, Cut, Held, Which, at_the_same_time
from tests.support.rotations import active, assert_survived, connecting

CHILD = """
import asyncio, sys
from api_keys_client import ApiKeysClient, AsyncApiKeysClient, stores

driver, key_id, path, step = sys.argv[1:]
write = stores.file(path)

def reach(name):
    if name == step:
        sys.stdout.write("reached")
        sys.stdout.flush()
        sys.stdin.read()

def verify(new):
    reach("verify")

def store(new):
    reach("store before")
    write(new)
    reach("store after")

def rotate(client):
    return client.rotate(key_id, store=store, verify=verify)

async def main():
    async with AsyncApiKeysClient() as client:
        await rotate(client)

sys.addaudithook(lambda event, arguments: reach("store rename") if event == "os.rename" else None)
if driver == "async":
    asyncio.run(main())
else:
    with ApiKeysClient() as client:
        rotate(client)
"""

# Where the process is killed: what is stored then, and which keys are active once the server is done.
KILLS: dict[str, tuple[Which, frozenset[str]]] = {
    "list after": ("old", OLD),
    "create never": ("old", OLD),
    "create before": ("old", BOTH),
    "create after": ("old", BOTH),
    "verify": ("old", BOTH),
    "store before": ("old", BOTH),
    "store rename": ("old", BOTH),
    "store after": ("new", BOTH),
    "deactivate never": ("new", BOTH),
    "deactivate before": ("new", NEW),
    "deactivate after": ("new", NEW),
    "get after": ("new", NEW),
}


def kill(name: str, driver: str, folder: Path) -> None:
    """Kills a process at one step of its rotation."""
    stored, left = KILLS[name]
    path = folder / f"{name}-{driver}"
    operation, _, commits = name.partition(" ")
    with Sandbox() as sandbox, connecting("sync", sandbox) as client:
        cut = Cut(sandbox, client)
        path.write_text(cut.shelf.secret)
        held = Held(commits)
        at_a_request = operation not in ("verify", "store")
        if at_a_request:
            sandbox.queue(held.fault(), operation=operation)  # type: ignore[arg-type]  # one of the four by now
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD, driver, cut.old_id, str(path), name],
            env={**os.environ, "API_KEYS_BASE_URL": sandbox.url, "API_KEYS_TOKEN": sandbox.token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout
            try:
                reached = held.arrived.wait(30) if at_a_request else child.stdout.read(7) == b"reached"
            finally:
                child.kill()
            assert reached
        held.let_go.set()
        assert not at_a_request or held.over.wait(30)

        cut.shelf.secret = path.read_text()
        assert cut.which(cut.shelf.key_id) == stored
        assert {cut.which(key_id) for key_id in active(sandbox)} == left
        assert_survived(sandbox, client, cut.shelf, cut.old_id, None)


@pytest.fixture(scope="module")
def killing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    cut = partial(kill, folder=tmp_path_factory.mktemp("stores"))
    with at_the_same_time(request, "test_what_a_killed_process_leaves", cut) as futures:
        yield futures


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("driver", ["sync"])
@pytest.mark.parametrize("name", KILLS)
def test_what_a_killed_process_leaves(
    killing: dict[str, Future[Any]], request: pytest.FixtureRequest, name: str, driver: str
) -> None:
    killing[request.node.nodeid].result()
