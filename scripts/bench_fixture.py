"""What a test pays for the pytest fixture: one that creates a key, lists it and deactivates it, against an empty one.

Whole runs of pytest are timed, with one test and with many; the medians of some rounds are shown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

EMPTY = """
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_empty(number):
    pass
"""
WITH_FIXTURE = """
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_life(api_keys_client, number):
    key = api_keys_client.create("bench", ["VALIDATION-USER"])
    assert [record.id for record in api_keys_client.list()] == [key.id]
    assert not api_keys_client.deactivate(key.id).is_active
"""


def seconds(source: str, count: int, folder: Path) -> float:
    """A whole run of pytest with that many tests."""
    path = folder / "test_bench.py"
    path.write_text(source.format(count=count))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "api_keys_client", str(path)]
    began = time.perf_counter()
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="(default %(default)s)")
    parser.add_argument("--tests", type=int, default=200, help="in one run (default %(default)s)")
    arguments = parser.parse_args()
    each, once = [], []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(arguments.rounds):
            one, many = (
                seconds(WITH_FIXTURE, count, folder) - seconds(EMPTY, count, folder) for count in (1, arguments.tests)
            )
            each.append((many - one) / (arguments.tests - 1))
            once.append(one - each[-1])
    print(f"Each test with the fixture: {statistics.median(each) * 1000:.1f} ms more than an empty one (at most 50)")
    print(f"Once for a run that uses it: {statistics.median(once) * 1000:.0f} ms (imports, and the sandbox's start)")


if __name__ == "__main__":
    main()
