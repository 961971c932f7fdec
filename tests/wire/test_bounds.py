"""What a client takes does not grow with the calls that it has made, nor a list beyond the models in it."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from pydantic import TypeAdapter

from api_keys_client import ApiKeyResponse
from tests.support.clients import Connect

PROJECT = Path(__file__).parents[2]
MIB = 1024 * 1024

CALLS = """
import asyncio, json, os, sys
from api_keys_client import ApiKeysClient, AsyncApiKeysClient

driver, url, key_id = sys.argv[1:]

def taken():
    with open("/proc/self/statm") as sizes:
        pages = int(sizes.read().split()[1])
    return {"memory": pages * os.sysconf("SC_PAGE_SIZE"), "descriptors": len(os.listdir("/proc/self/fd"))}

def sync():
    with ApiKeysClient(url, token="token") as client:
        for count in (1_000, 9_000):
            for _ in range(count):
                client.get(key_id)
            yield taken()

async def asynchronous():
    async with AsyncApiKeysClient(url, token="token") as client:
        for count in (1_000, 9_000):
            for _ in range(count):
                await client.get(key_id)
            yield taken()

async def collected():
    return [each async for each in asynchronous()]

print(json.dumps([*sync()] if driver == "sync" else asyncio.run(collected())))
"""


@pytest.fixture(scope="module")
def canned() -> Iterator[str]:
    """The base URL of the benchmark's server, which answers from memory."""
    command = [sys.executable, str(PROJECT / "scripts" / "bench.py"), "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def record_id(url: str) -> str:
    key_id: str = urllib3.request("GET", f"{url}/auth/api_keys/").json()[7]["id"]
    return key_id


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc here")
def test_ten_thousand_calls_take_no_more_than_one_thousand(canned: str, driver: str) -> None:
    command = [sys.executable, "-c", CALLS, driver, canned, record_id(canned)]
    # In a process of its own, where nothing else takes memory or gives it back.
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    early, late = json.loads(finished.stdout)
    assert late["memory"] - early["memory"] < MIB
    assert late["descriptors"] == early["descriptors"]


def test_a_list_keeps_no_more_memory_than_its_models(canned: str, connect: Connect) -> None:
    client = connect(canned, token="token")
    body = urllib3.request("GET", f"{canned}/auth/api_keys/").data
    records = TypeAdapter(list[ApiKeyResponse])
    assert len(client.list()) == 1_000
    assert kept(client.list) <= kept(lambda: records.validate_json(body)) * 1.01


def kept(make: Callable[[], object]) -> int:
    """Bytes that the result keeps."""
    make()
    gc.collect()
    tracemalloc.start()
    try:
        result = make()
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
    return size
