"""What a client takes does not grow with the calls that it has made, nor a list beyond the models in it."""

from __future__ import annotations

import gc
import os
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

BENCH = Path(__file__).parents[2] / "scripts" / "bench.py"


@pytest.fixture(scope="module")
def canned() -> Iterator[str]:
    """The base URL of the benchmark's server, which answers from memory."""
    with subprocess.Popen([sys.executable, str(BENCH), "--serve"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Tells how many bytes are kept of what was made since."""

    def kept() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    yield kept
    tracemalloc.stop()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="open files cannot be counted here")
def test_two_thousand_calls_keep_no_more_than_one_thousand(
    canned: str, connect: Connect, traced: Callable[[], int]
) -> None:
    client = connect(canned, token="token")
    key_id = client.list()[7].id
    kept, files = [], []
    for _ in range(2):
        for _ in range(1_000):
            client.get(key_id)
        kept.append(traced())
        files.append(len(os.listdir("/dev/fd")))
    # A reference that one call leaves behind is eight bytes at least.
    assert kept[1] - kept[0] < 8_000
    assert files[0] == files[1]


def test_a_list_keeps_no_more_memory_than_its_models(canned: str, connect: Connect, traced: Callable[[], int]) -> None:
    body = urllib3.request("GET", f"{canned}/auth/api_keys/").data
    client, records = connect(canned, token="token"), TypeAdapter(list[ApiKeyResponse])
    ways: list[Callable[[], list[ApiKeyResponse]]] = [lambda: records.validate_json(body), client.list]
    kept = []
    for way in (*ways, *ways):
        before = traced()
        listed = way()
        assert len(listed) == 1_000
        kept.append(traced() - before)
        del listed
    assert kept[3] <= kept[2] * 1.01
