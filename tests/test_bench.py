"""`scripts/bench`: what it needs and which rows it measures; the numbers are for people to look at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "scripts" / "bench.py"


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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not here")
def test_a_row_has_ratios_of_instructions_and_of_cpu_time() -> None:
    finished = bench("--instructions", "--markdown", "--rounds", "1", "--only", "process: import")
    assert finished.returncode == 0, finished.stderr
    head, _, row, *_ = finished.stdout.splitlines()
    assert [cell.strip() for cell in head.split("|")[2:-1]] == ["hand-written", "ours", "_generated"]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[0] == "process: import"
    assert 0.5 < float(cells[2].split()[0]) < 1.5
    assert float(cells[3].split()[0]) > 2
