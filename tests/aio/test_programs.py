"""Whole programs with the async client: what they load, what they print, and what they keep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import api_keys_client
from api_keys_client.sandbox import Sandbox

PROJECT = Path(api_keys_client.__file__).parent.parent


def run(code: str, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (PROJECT, PROJECT / "scripts")))}
    command = [sys.executable, *options, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def output(finished: subprocess.CompletedProcess[str]) -> str:
    # asyncio's debug mode also tells of steps that a busy machine made slow.
    complaints = [line for line in finished.stderr.splitlines() if not line.startswith("Executing <")]
    assert complaints == []
    assert finished.returncode == 0
    return finished.stdout.strip()


@pytest.mark.parametrize(
    "use",
    [
        "import api_keys_client",
        "from api_keys_client import ApiKeysClient; ApiKeysClient(sys.argv[1], token=sys.argv[2]).list()",
    ],
)
def test_the_sync_client_loads_nothing_of_asyncio(engine: Sandbox, use: str) -> None:
    code = f"import sys; {use}; print({{'aiohttp', 'asyncio', 'yarl'}} & {{*sys.modules}})"
    assert output(run(code, engine.url, engine.token)) == "set()"


def test_without_aiohttp_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['aiohttp'] = None; from api_keys_client import ApiKeysClient, AsyncApiKeysClient"
    finished = run(code)
    assert finished.returncode
    assert finished.stderr.splitlines()[-1] == (
        "ImportError: AsyncApiKeysClient needs aiohttp: pip install 'api-keys-client[async]'"
    )


@pytest.mark.parametrize(
    "use",
    [
        "from api_keys_client import *",
        "import api_keys_client, inspect; inspect.getmembers(api_keys_client)",
        "import api_keys_client, pydoc; pydoc.render_doc(api_keys_client)",
        "import api_keys_client; from unittest.mock import create_autospec; create_autospec(api_keys_client)",
    ],
)
def test_without_aiohttp_what_goes_through_all_names_goes_past_it(use: str) -> None:
    code = f"import sys; sys.modules['aiohttp'] = None; {use}"
    assert output(run(code)) == ""


PROGRAM = """
import asyncio, sys
from api_keys_client import AsyncApiKeysClient, KeyNotFoundError

async def main():
    async with AsyncApiKeysClient(sys.argv[1], token=sys.argv[2]) as client:
        created = await client.create("ci", ["TASK-ADMIN"])
        rotation = await client.rotate(created.id, store=lambda new: None)
        async with client.temporary_key("ci") as temporary:
            assert len(await client.list("ci")) == 2
        try:
            await client.get("00000000-0000-4000-8000-000000000000")
        except KeyNotFoundError:
            pass
        await asyncio.gather(*(client.get(created.id) for _ in range(50)))
        outcomes = await client.deactivate_many(key.id for key in await client.list())
        task = asyncio.create_task(client.list())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        print(len(outcomes))

asyncio.run(main())
"""


def test_a_program_that_uses_it_properly_prints_nothing(engine: Sandbox) -> None:
    finished = run(PROGRAM, engine.url, engine.token, options=("-X", "dev", "-W", "error"))
    assert output(finished) == "1"


def test_a_program_that_forgets_to_close_it_prints_nothing_either(engine: Sandbox) -> None:
    forgetful = PROGRAM.replace(
        "async with AsyncApiKeysClient(sys.argv[1], token=sys.argv[2]) as client:",
        "client = AsyncApiKeysClient(sys.argv[1], token=sys.argv[2])\n    if client:",
    )
    finished = run(forgetful, engine.url, engine.token, options=("-X", "dev", "-W", "error"))
    assert output(finished) == "1"


KEEPING = """
import asyncio, gc, os, sys, tracemalloc
from bench import KEY_ID, TOKEN, server
from api_keys_client import AsyncApiKeysClient

def state():
    gc.collect()
    return tracemalloc.get_traced_memory()[0], len(os.listdir("/dev/fd"))

async def many(client):
    numbers = iter(range(1000))
    async def work():
        for _ in numbers:
            await client.get(KEY_ID)
    await asyncio.gather(*(work() for _ in range(50)))

async def main(url):
    async with AsyncApiKeysClient(url, token=TOKEN) as client:
        tracemalloc.start()
        await many(client)
        print(*state())
        await many(client)
        print(*state())
        for _ in range(10_000):
            await client.get(KEY_ID)
        print(*state())

with server() as url:
    asyncio.run(main(url))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="open files cannot be counted here")
def test_neither_memory_nor_sockets_grow() -> None:
    """A thousand calls with 50 in flight, and ten thousand in a row; the first thousand may fill what is kept."""
    lines = output(run(KEEPING)).splitlines()
    memory, files = zip(*(map(int, line.split()) for line in lines), strict=True)
    assert max(memory) - memory[0] < 1024 * 1024
    assert max(files) == files[0]
