"""scripts/unasync.py: what it derives, and that a substitution cannot rot unseen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import PROJECT

SCRIPT = "scripts/unasync.py"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A project that may be spoiled."""
    shutil.copytree(
        PROJECT / "api_keys_client", tmp_path / "api_keys_client", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "scripts").mkdir()
    for name in (SCRIPT, "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path / name)
    return tmp_path


def unasync(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(project / SCRIPT), *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8", newline="\n")


def derived(project: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in (project / "api_keys_client" / "_sync").glob("*.py")}


def test_the_sync_client_is_what_the_async_one_gives() -> None:
    checked = unasync(PROJECT, "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_an_edited_source_is_shown_and_then_written(copy: Path) -> None:
    edit(
        copy / "api_keys_client" / "_async" / "client.py",
        "    async def __aenter__(self)",
        '    async def ping(self) -> None:\n        """async and await in words stay."""\n'
        "        # So does await in a comment.\n        await self.list()\n\n    async def __aenter__(self)",
    )
    (copy / "api_keys_client" / "_sync" / "executor.py").unlink()
    before = derived(copy)
    checked = unasync(copy, "--check")
    assert checked.returncode == 1
    assert "+    def ping(self) -> None:" in checked.stdout
    assert "run scripts/unasync.py" in checked.stderr
    assert derived(copy) == before
    written = unasync(copy)
    assert (written.returncode, written.stdout, written.stderr) == (0, "", "")
    client = derived(copy)["client.py"]
    assert '    def ping(self) -> None:\n        """async and await in words stay."""\n' in client
    assert "        # So does await in a comment.\n        self.list()\n\n    def __enter__(self)" in client
    assert unasync(copy, "--check").returncode == 0


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_substitution_that_nothing_needs_is_an_error(copy: Path, arguments: tuple[str, ...]) -> None:
    edit(copy / SCRIPT, "SUBSTITUTIONS = {\n", 'SUBSTITUTIONS = {\n    "AsyncNothing": "Nothing",\n')
    finished = unasync(copy, *arguments)
    assert finished.returncode == 1
    assert finished.stderr == "unasync: never used: AsyncNothing\n"
