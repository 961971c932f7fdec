"""What a client takes does not grow with the calls that it has made."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import Connect

SERVER = """
from api_keys_client.sandbox import Sandbox

with Sandbox(token="token") as sandbox:
    print(sandbox.url, flush=True)
    input()
"""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The base URL of a server in another process, whose memory is not counted."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.communicate("\n")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="open files cannot be counted here")
def test_two_thousand_calls_keep_no_more_than_one_thousand(elsewhere: str, connect: Connect) -> None:
    client = connect(elsewhere, token="token")
    key_id = client.create("ci").id
    kept, files = [], []
    tracemalloc.start()
    try:
        for _ in range(2):
            for _ in range(1_000):
                client.get(key_id)
            gc.collect()
            kept.append(tracemalloc.get_traced_memory()[0])
            files.append(len(os.listdir("/dev/fd")))
    finally:
        tracemalloc.stop()
    # A reference that one call leaves behind is eight bytes at least.
    assert kept[1] - kept[0] < 8_000
    assert files[0] == files[1]
