"""What the tests of the pages share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from api_keys_client.sandbox import Sandbox


@pytest.fixture
def set_up(engine: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    """A sandbox in the environment, and an empty folder."""
    monkeypatch.setenv("API_KEYS_BASE_URL", engine.url)
    monkeypatch.setenv("API_KEYS_TOKEN", engine.token)
    monkeypatch.chdir(tmp_path)
    return engine


@pytest.fixture
def run(set_up: Sandbox, capsys: pytest.CaptureFixture[str]) -> Callable[[str], list[str]]:
    """Runs an example as a program, and gives the lines that it printed."""

    def run(example: str) -> list[str]:
        exec(compile(example, "example", "exec", dont_inherit=True), {"__name__": "__main__"})
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out.splitlines()

    return run
