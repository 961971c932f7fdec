"""`scripts/bench`: what it needs and which rows it measures; the numbers are for people to look at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench.py"


def bench(*arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        [sys.executable, BENCH, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_what_it_lacks_is_said_in_one_line(tmp_path: Path) -> None:
    finished = bench("--instructions", path=str(tmp_path))
    assert finished.returncode == 3
    assert finished.stderr == "bench: --instructions needs valgrind; on Debian or Ubuntu: apt install valgrind\n"
    finished = bench("--against", "no-such-commit", "--only", "nothing")
    assert finished.returncode == 1
    assert finished.stderr.startswith("bench: ")
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_row_has_the_ratios_to_hand_written_code() -> None:
    finished = bench("--rounds", "1", "--only", "deactivate")
    assert finished.returncode == 0, finished.stderr
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in finished.stdout.splitlines())
    assert head[2:] == ["ours", "_generated"]
    assert [row[0] for row in rows] == ["deactivate", "async deactivate"]
    assert all(float(row[2]) > 0 for row in rows)
    assert float(rows[0][3]) > 0
