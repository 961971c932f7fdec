"""What the tests of syncing share: scripts as modules, and a run of the one that syncs on a document."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from tests.support.spec_sources import Json

PROJECT = Path(__file__).parents[2]
SCRIPTS = PROJECT / "scripts"
CHECKED_IN = (PROJECT / "openapi.json").read_bytes()


class Finished(NamedTuple):
    """What a run of the script came to."""

    code: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """The changes, as the report for people has them."""
        return [line.strip() for line in self.output.splitlines() if line.startswith("  ")]


Sync = Callable[..., Finished]


def project_in(folder: Path) -> Path:
    """A folder with what the script needs of a project."""
    made = folder / "project"
    made.mkdir()
    (made / "openapi.json").write_bytes(CHECKED_IN)
    (made / "openapi.overlay.json").write_bytes((PROJECT / "openapi.overlay.json").read_bytes())
    return made


@contextmanager
def importing(name: str) -> Iterator[ModuleType]:
    """A script as a module; it finds the other scripts as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        yield importlib.import_module(name)


@contextmanager
def syncing(root: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Sync]:
    """Runs the script on a document, in the root."""

    def run(document: Json, *options: str) -> Finished:
        source = root.parent / "source.json"
        source.write_text(json.dumps(document), encoding="utf-8")
        code = script.main([str(source), "--root", str(root), *options])
        printed = capfd.readouterr()
        return Finished(code, printed.out, printed.err)

    with importing("sync_spec") as script:
        yield run


def with_sixth_role() -> bytes:
    """Today's document plus the role that the engine has and the contract has not."""
    document = json.loads(CHECKED_IN)
    document["components"]["schemas"]["APIKeysRolesEnum"]["enum"].append("TENANT-USER")
    document["components"]["schemas"]["APIKeysRolesEnum"]["x-enum-varnames"].append("TENANT_USER")
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def assert_refused(root: Path, finished: Finished, reason: str) -> None:
    assert finished.code == 1
    assert finished.errors.count("\n") == 1
    assert finished.errors.startswith("sync_spec: ")
    assert reason in finished.errors
    assert (root / "openapi.json").read_bytes() == CHECKED_IN
    assert sorted(path.name for path in root.iterdir()) == ["openapi.json", "openapi.overlay.json"]


def schemas(document: Json) -> Any:
    return document["components"]["schemas"]


def fields(document: Json) -> Any:
    return schemas(document)["ApiKeyResponse"]["properties"]
