"""`scripts/bench`: what it needs and which rows it measures; the numbers are for people to look at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench.py"


def bench(*arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BENCH, *arguments],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_without_valgrind_it_says_how_to_get_it(tmp_path: Path) -> None:
    finished = bench("--instructions", path=str(tmp_path))
    assert finished.returncode == 3
    assert finished.stderr == "bench: --instructions needs valgrind; on Debian or Ubuntu: apt install valgrind\n"


def test_a_commit_that_is_not_there_is_one_line() -> None:
    if not (BENCH.parents[1] / ".git").exists():
        pytest.skip("there is no git history here")
    finished = bench("--against", "no-such-commit", "--only", "nothing")
    assert finished.returncode == 1
    assert finished.stderr.startswith("bench: ")
    assert "no-such-commit" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


def test_a_row_has_the_ratios_to_hand_written_code() -> None:
    finished = bench("--markdown", "--rounds", "1", "--only", "deactivate")
    assert finished.returncode == 0, finished.stderr
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in finished.stdout.splitlines())
    assert head[2:] == ["ours", "_generated"]
    assert [row[0] for row in rows] == ["deactivate", "async deactivate"]
    assert all(float(row[2]) > 0 for row in rows)
    assert float(rows[0][3]) > 0
