"""What the tests of stores begin with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.storing import OLD

# Modes, links and signals are POSIX's.
collect_ignore_glob = [] if os.name == "posix" else ["*.py"]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "engine"
    path.write_text(OLD)
    path.chmod(0o600)
    return path
