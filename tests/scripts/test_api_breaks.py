"""The comparison of the public API with that of the last release, in a repository of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CLIENT = "api_keys_client/_sync/client.py"
GENERATED = "_generated/api/api_keys_api.py"

BREAKS = {
    "ApiKeysClient.get: Public object was removed": (CLIENT, "    def get(", "    def look_up("),
    "ApiKeysClient.get(key_id): Parameter was removed": (CLIENT, "get(self, key_id:", "get(self, id:"),
    "ApiKeysClient.create(roles): Parameter kind was changed: positional or keyword -> keyword-only": (
        *(CLIENT, "        roles: Roles = UNSET,\n        *,\n", "        *,\n        roles: Roles = UNSET,\n"),
    ),
    "ApiKeysClient.deactivate_many(bound): Parameter default was changed: 8 -> 4": (
        CLIENT,
        "bound: int = 8",
        "bound: int = 4",
    ),
    "ApiKeysClient.rotate(verify): Parameter is now required": (
        CLIENT,
        "verify: NewKeyCallback | None = None",
        "verify: NewKeyCallback",
    ),
    "RateLimitedError.retry_after: Public object was removed": (
        *("api_keys_client/errors.py", "self.retry_after =", "self.wait ="),
    ),
    "ApiKeyResponse.message: Public object was removed": (
        *("_generated/models/api_key_response.py", "    message: Optional", "    note: Optional"),
    ),
    "Could not resolve alias api_keys_client.ApiKeysClient": (CLIENT, "    def get(", "    def get(("),
}

OTHER_CHANGES = {
    "a new argument": (CLIENT, "bound: int = 8,", "bound: int = 8,\n        spread: bool = False,"),
    "a module that nobody is promised": ("api_keys_client/_core/markers.py", "\ndef ", "\ndef other_"),
    "a generated twin": (GENERATED, "get_with_http_info(\n", "get_with_http_info(url,\n"),
    "the generator's runtime": ("_generated/api_client.py", "def call_api(", "def call("),
}


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("released")
    for package in ("_generated", "api_keys_client"):
        shutil.copytree(PROJECT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts" / "api_breaks.py", root / "scripts")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "Release")
    git(root, "tag", "v9.0.0")
    return root


@pytest.fixture
def root(released: Path) -> Iterator[Path]:
    yield released
    git(released, "checkout", "--", ".")


def compare(root: Path) -> tuple[int, str]:
    finished = subprocess.run(
        [sys.executable, "scripts/api_breaks.py"], cwd=root, capture_output=True, encoding="utf-8", check=False
    )
    return finished.returncode, finished.stdout + finished.stderr


def edit(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text(encoding="utf-8")
    assert old in text
    (root / file).write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(("said", "change"), BREAKS.items(), ids=BREAKS)
def test_a_break_is_named(root: Path, said: str, change: tuple[str, str, str]) -> None:
    edit(root, *change)
    status, output = compare(root)
    assert (status, said in output) == (1, True), output


@pytest.mark.parametrize("change", OTHER_CHANGES.values(), ids=OTHER_CHANGES)
def test_what_breaks_nothing_passes(root: Path, change: tuple[str, str, str]) -> None:
    edit(root, *change)
    assert compare(root) == (0, "")


def test_a_clone_without_the_history_is_told_how_to_get_it(root: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", root.as_uri(), "shallow")
    status, output = compare(tmp_path / "shallow")
    assert (status, output) == (1, "this clone lacks the history to compare with: git fetch --unshallow --tags\n")
