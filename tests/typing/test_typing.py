"""What type checkers make of code that uses the package: they look at the files beside this one as at a user's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

USES = Path(__file__).parent


def run(project: Path, *command: str) -> str:
    """What a checker says in a user's project, away from our own settings."""
    pytest.importorskip(command[0])
    shutil.copytree(USES, project, ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    (project / "pyproject.toml").write_text('[tool.basedpyright]\ntypeCheckingMode = "standard"\n')
    finished = subprocess.run(
        [sys.executable, "-m", *command], cwd=project, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert finished.returncode == 1, finished.stderr
    return finished.stdout


def wrong() -> dict[tuple[str, int], str]:
    """The lines that are to be rejected, and what is wrong with each."""
    lines = (USES / "rejected.py").read_text(encoding="utf-8").splitlines()
    marks = {number: re.search(r"  # ([\w-]+)$", line) for number, line in enumerate(lines, start=1)}
    return {("rejected.py", number): mark[1] for number, mark in marks.items() if mark}


@pytest.mark.slow
def test_mypy_takes_what_users_write_and_rejects_what_is_wrong(tmp_path: Path) -> None:
    output = run(tmp_path / "project", "mypy", "--strict", "--config-file=", "--output=json", "--cache-dir=.cache", ".")
    found = [error for error in map(json.loads, output.splitlines()) if error["severity"] == "error"]
    places = {(error["file"], error["line"]) for error in found}
    assert places == wrong().keys()
    # What is wrong with a line is among what mypy says of it.
    assert {*wrong().items()} <= {((error["file"], error["line"]), error["code"]) for error in found}


@pytest.mark.slow
def test_basedpyright_takes_what_users_write_and_rejects_what_is_wrong(tmp_path: Path) -> None:
    output = run(tmp_path / "project", "basedpyright", "--pythonpath", sys.executable, "--outputjson")
    found = [error for error in json.loads(output)["generalDiagnostics"] if error["severity"] == "error"]
    places = {(Path(error["file"]).name, error["range"]["start"]["line"] + 1) for error in found}
    assert places == wrong().keys()
