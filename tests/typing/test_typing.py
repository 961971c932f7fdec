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

# Line numbers by file, and what each checker calls the error there.
Errors = dict[tuple[str, int], set[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project, away from our own settings."""
    shutil.copytree(USES, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    return tmp_path / "project"


def run(project: Path, *command: str) -> str:
    checker = command[0]
    pytest.importorskip(checker)
    finished = subprocess.run(
        [sys.executable, "-m", *command], cwd=project, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert finished.returncode == 1, finished.stderr
    return finished.stdout


def found_by_mypy(project: Path) -> Errors:
    output = run(project, "mypy", "--strict", "--config-file=", "--output=json", "--cache-dir=.cache", ".")
    errors: Errors = {}
    for line in output.splitlines():
        found = json.loads(line)
        if found["severity"] == "error":
            errors.setdefault((found["file"], found["line"]), set()).add(found["code"])
    return errors


def found_by_basedpyright(project: Path) -> Errors:
    (project / "pyproject.toml").write_text('[tool.basedpyright]\ntypeCheckingMode = "standard"\n')
    output = run(project, "basedpyright", "--pythonpath", sys.executable, "--outputjson")
    errors: Errors = {}
    for found in json.loads(output)["generalDiagnostics"]:
        if found["severity"] == "error":
            place = Path(found["file"]).name, found["range"]["start"]["line"] + 1
            errors.setdefault(place, set()).add(found["rule"])
    return errors


def wrong() -> dict[tuple[str, int], str]:
    """The lines that are to be rejected, and what is wrong with each."""
    lines = (USES / "rejected.py").read_text(encoding="utf-8").splitlines()
    marks = {number: re.search(r"  # ([\w-]+)$", line) for number, line in enumerate(lines, start=1)}
    return {("rejected.py", number): mark[1] for number, mark in marks.items() if mark}


def test_mypy_takes_what_users_write_and_rejects_what_is_wrong(project: Path) -> None:
    errors, expected = found_by_mypy(project), wrong()
    assert errors.keys() == expected.keys()
    assert {place: codes for place, codes in errors.items() if expected[place] not in codes} == {}


def test_basedpyright_takes_what_users_write_and_rejects_what_is_wrong(project: Path) -> None:
    assert found_by_basedpyright(project).keys() == wrong().keys()
