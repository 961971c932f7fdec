"""The record of the public API: it is what the code has, and nothing in it breaks without a word in the changelog."""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

import _generated
import api_keys_client

PROJECT = Path(__file__).parents[1]
RECORD = "docs/public_api"
CLIENT = "api_keys_client/_client.py"
UNRELEASED = "# Changelog\n\n## [Unreleased]\n\n"

# Exit code, standard output and standard error of the script, for a root and options.
Run: TypeAlias = Callable[..., tuple[int, str, str]]

BREAKAGES = {
    "a method is gone": (CLIENT, "    def get(", "    def look_up("),
    "an argument is renamed": (CLIENT, "key_id: str | uuid.UUID) -> ApiKeyResponse", "id: str) -> ApiKeyResponse"),
    "an argument is needed": (CLIENT, "verify: Use | None = None", "verify: Use"),
    "an argument is no longer positional": (CLIENT, "self, description: Desc", "self, *, description: Desc"),
    "another default": ("api_keys_client/settings.py", "DEFAULT_MAX_ATTEMPTS = 3", "DEFAULT_MAX_ATTEMPTS = 5"),
    "another result": (CLIENT, ") -> CreatedKey:", ") -> CreatedKey | None:"),
    "no longer a coroutine": ("api_keys_client/_client_async.py", "    async def get(", "    def get("),
    "no longer a context manager": (CLIENT, "    @contextmanager\n", ""),
    "no longer a ValueError": ("api_keys_client/errors.py", "Error(ApiKeysError, ValueError)", "Error(ApiKeysError)"),
    "an attribute is gone": ("api_keys_client/errors.py", "self.retry_after =", "self.wait ="),
    "another value of an enum": ("api_keys_client/errors.py", 'UNKNOWN = "unknown"', 'UNKNOWN = "not known"'),
    "a name is no longer exported": ("api_keys_client/__init__.py", '    "UNSET": "_arguments",\n', ""),
    "a store is gone": ("api_keys_client/stores.py", '"env_file", ', ""),
    "a fixture is gone": ("api_keys_client/pytest_plugin.py", "def api_keys_sandbox(", "def a_sandbox("),
    "a field is gone": ("_generated/models/api_key_response.py", "    message: Optional", "    note: Optional"),
    "an operation is renamed": ("_generated/api/api_keys_api.py", "def get_api_key_auth", "def read_api_key_auth"),
}

ADDITIONS = {
    "a new method": (CLIENT, "    def get(", "    def count(self) -> int:\n        return 0\n\n    def get("),
    "a new argument": (CLIENT, "bound: int = 8,", "bound: int = 8,\n        spread: bool = False,"),
    "a wider argument": (CLIENT, "self, key_id: str |", "self, key_id: bytes | str |"),
    "a new store": ("api_keys_client/stores.py", '"env_file", ', '"env_file", "STDERR_MOST", '),
}

PRIVATE = {
    "a private method": (CLIENT, "    def get(", "    def _seen(self) -> None: ...\n\n    def get("),
    "another text": ("api_keys_client/errors.py", 'next_step = "Wait, then call again."', 'next_step = "Wait."'),
    "a generated twin": ("_generated/api/api_keys_api.py", "get_with_http_info(\n", "get_with_http_info(url,\n"),
    "the generator's runtime": ("_generated/api_client.py", "def call_api(", "def call("),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of what the script reads."""
    for folder in ("api_keys_client", "_generated", RECORD):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "CHANGELOG.md").write_text(UNRELEASED)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROJECT / "scripts")
        script = importlib.import_module("public_api")

    def main(root: Path, *options: str) -> tuple[int, str, str]:
        status: int = script.main(["--root", str(root), *options])
        written = capsys.readouterr()
        return status, written.out, written.err

    return main


def recorded(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in (root / RECORD).rglob("*.pyi")}


def edit(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text(encoding="utf-8")
    assert old in text
    (root / file).write_text(text.replace(old, new), encoding="utf-8")


def test_the_record_is_what_the_code_has(run: Run) -> None:
    assert run(PROJECT, "--check") == (0, "", "")


@pytest.mark.parametrize("package", [api_keys_client, _generated], ids=lambda package: package.__name__)
def test_every_public_name_is_recorded(package: object) -> None:
    text = (PROJECT / RECORD / f"{package.__name__}/__init__.pyi").read_text()  # type: ignore[attr-defined]
    names = re.findall(r"^(?:class |def )?(\w+)(?:[(:])", text, re.MULTILINE)
    assert names == sorted(package.__all__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", BREAKAGES.values(), ids=BREAKAGES)
def test_a_break_is_refused_and_named(run: Run, root: Path, change: tuple[str, str, str]) -> None:
    before = recorded(root)
    edit(root, *change)
    status, difference, said = run(root)
    assert (status, difference[:4]) == (1, "--- ")
    *broken, last = said.splitlines()
    assert last.startswith("public_api: this breaks the public API")
    assert broken
    assert recorded(root) == before


@pytest.mark.parametrize("change", ADDITIONS.values(), ids=ADDITIONS)
def test_an_addition_is_recorded(run: Run, root: Path, change: tuple[str, str, str]) -> None:
    edit(root, *change)
    status, difference, said = run(root, "--check")
    assert difference.startswith("--- ")
    assert (status, said) == (1, "public_api: the record is not what the code has; run scripts/public_api\n")
    assert recorded(root) == recorded(PROJECT)
    assert run(root)[0] == 0
    assert recorded(root) != recorded(PROJECT)
    assert run(root, "--check") == (0, "", "")


@pytest.mark.parametrize("change", PRIVATE.values(), ids=PRIVATE)
def test_what_is_private_may_change(run: Run, root: Path, change: tuple[str, str, str]) -> None:
    edit(root, *change)
    assert run(root, "--check") == (0, "", "")


@pytest.mark.parametrize(
    ("changelog", "status"),
    [
        ("### Removed\n\n- **Breaking:** `get`.\n", 0),
        ("### Added\n\n- More.\n\n### Changed\n\n- `look_up` in place of `get`; this is breaking.\n", 0),
        ("### Changed\n\n- `look_up` in place of `get`.\n", 1),
        ("### Added\n\n- A breaking `look_up`.\n", 1),
        ("### Changed\n\n- Groundbreaking.\n", 1),
        ("### Added\n\n- `look_up`.\n\n## [0.1.0]\n\n### Removed\n\n- **Breaking:** `get`.\n", 1),
    ],
    ids=["removed", "changed", "not said", "in another part", "another word", "in another release"],
)
def test_a_break_is_recorded_when_the_changelog_says_so(run: Run, root: Path, changelog: str, status: int) -> None:
    edit(root, *BREAKAGES["a method is gone"])
    (root / "CHANGELOG.md").write_text(UNRELEASED + changelog)
    assert run(root)[0] == status
    assert ("look_up" in "".join(recorded(root).values())) is (status == 0)
