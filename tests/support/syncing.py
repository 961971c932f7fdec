"""What the tests of syncing share: scripts as modules, and a run of the one that syncs, in a folder of its own."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from tests.support.spec_sources import CHECKED_IN, PROJECT as PROJECT, Json

SCRIPTS = PROJECT / "scripts"


class Finished(NamedTuple):
    """What a run of the script came to."""

    code: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """The changes, as the report for people has them."""
        return [line.strip() for line in self.output.splitlines() if line.startswith("  ")]


@contextmanager
def importing(name: str) -> Iterator[ModuleType]:
    """A script as a module; it finds the other scripts as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        yield importlib.import_module(name)


class Sync:
    """Runs the script on documents, in a folder with what it needs of a project."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        self.contract = self.root / "openapi.json"
        self.contract.write_bytes(CHECKED_IN)
        (self.root / "openapi.overlay.json").write_bytes((PROJECT / "openapi.overlay.json").read_bytes())
        self._source = folder / "source.json"
        self._capture = capture

    def __call__(self, document: Json | bytes, *options: str) -> Finished:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self._source.write_bytes(content)
        return self.run(self._source, *options)

    def run(self, source: str | Path, *options: str) -> Finished:
        with importing("sync_spec") as script:
            code = script.main([str(source), "--root", str(self.root), *options])
        printed = self._capture.readouterr()
        return Finished(code, printed.out, printed.err)

    def assert_refused(self, finished: Finished, reason: str) -> None:
        """It failed with one line, and changed nothing."""
        assert finished.code == 1
        assert finished.errors.count("\n") == 1
        assert finished.errors.startswith("sync_spec: ")
        assert reason in finished.errors
        assert self.contract.read_bytes() == CHECKED_IN
        assert sorted(path.name for path in self.root.iterdir()) == ["openapi.json", "openapi.overlay.json"]
