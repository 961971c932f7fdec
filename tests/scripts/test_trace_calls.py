"""scripts/trace_calls, as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "trace_calls.py"


def test_each_operation_has_a_row_with_its_counts(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(SCRIPT)]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    rows = [line.replace("│", " ").split() for line in finished.stdout.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == ["create", "get", "list", "deactivate", "rotate"]
    for _, calls, files, changes in rows:
        assert 1 < int(files) <= int(changes) + 1 <= int(calls)
