"""The dry run of a release; what it installs is seen by `scripts/release --check` itself."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def release() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROJECT / "scripts")
        yield importlib.import_module("release")


def test_the_list_of_what_the_wheel_has_names_every_module() -> None:
    """Of each package every file, so that a module is not forgotten, and nothing gets in that nobody meant to ship."""
    listed = (PROJECT / "scripts" / "wheel-content.txt").read_text().splitlines()
    folders = [PROJECT / name for name in ("_generated", "api_keys_client")]
    files = [path.relative_to(PROJECT) for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = {path.as_posix() for path in files if "__pycache__" not in path.parts}
    assert {name for name in listed if ".dist-info/" not in name} == found
    assert listed == sorted(set(listed))


def test_a_wheel_with_other_files_is_refused(release: ModuleType, tmp_path: Path) -> None:
    wheel = tmp_path / "api_keys_client-9.9-py3-none-any.whl"
    names = (PROJECT / "scripts" / "wheel-content.txt").read_text().splitlines()
    with zipfile.ZipFile(wheel, "w") as opened:
        for name in names:
            opened.writestr(name.replace("-*.", "-9.9."), "")
    release.check_content(release.content(wheel))
    with zipfile.ZipFile(wheel, "a") as opened:
        opened.writestr("api_keys_client/secrets.txt", "")
    with pytest.raises(release.Failure, match=r"\+api_keys_client/secrets\.txt\n"):
        release.check_content(release.content(wheel))


def test_the_other_wheel_is_one_that_shadows_ours(release: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(release.build_other(tmp_path)) as opened:
        opened.extractall(tmp_path)
    assert (tmp_path / "_generated" / "__init__.py").is_file()
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(PROJECT)!r}); {release.PROBE}"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert finished.stderr.splitlines()[-1].startswith(release.REFUSES + str(tmp_path / "_generated"))


def test_without_check_it_says_what_a_release_takes_and_does_nothing() -> None:
    command = [sys.executable, str(PROJECT / "scripts" / "release.py")]
    finished = subprocess.run(command, env={}, capture_output=True, encoding="utf-8", check=True)
    assert "nothing of it happens here" in finished.stdout
    for script in re.findall(r"\./(scripts/\w+)", finished.stdout):
        assert (PROJECT / script).is_file()
    for page in re.findall(r"[A-Z]+\.md", finished.stdout):
        assert (PROJECT / page).is_file()
