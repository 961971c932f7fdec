"""What the tests of stores share: a key whose secret is stored, and what holds when nothing was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pydantic import SecretStr

from api_keys_client import CreatedKey, NotStored, _files, stores
from tests.support.leaks import assert_hides, shown_by
from tests.support.rotations import caught

KEY_ID = "8f2b6a1c-0d3e-4f56-8a79-b1c2d3e4f506"
OLD = "OldSecret0123456789+/" * 5 + "abc="
NEW = "NewSecret9876543210/+" * 5 + "xyz="

MakeStore: TypeAlias = Callable[[Any], stores.Store]
MAKERS: list[MakeStore] = [stores.file, lambda path: stores.env_file(path, "KEY")]

looks_into_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc")


def created(secret: str = NEW) -> CreatedKey:
    return CreatedKey.model_validate(
        {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "key": SecretStr(secret)}
    )


def not_stored(store: stores.Store) -> str:
    """The reason for which a store wrote nothing, after a look at what that error shows."""
    error = caught(lambda: store(created()))
    assert type(error) is NotStored
    assert_hides(shown_by(error), NEW, OLD)
    return str(error)


def left_in(folder: Path) -> list[str]:
    """What is in the folder beside the lock."""
    return sorted({entry.name for entry in folder.iterdir()} - {_files.LOCK_NAME})


def unchanged(target: Path) -> bool:
    return target.read_text() == OLD and left_in(target.parent) == [target.name]


_IN_A_PROCESS = """
import os, signal, sys
from pydantic import SecretStr
from api_keys_client import CreatedKey, stores

def created(secret):
    record = {"id": sys.argv[1], "is_active": True, "created_at": "2026-01-02T03:04:05", "key": SecretStr(secret)}
    return CreatedKey.model_validate(record)

def kill_at_the_rename():
    sys.addaudithook(lambda event, _: os.kill(os.getpid(), signal.SIGKILL) if event == "os.rename" else None)
"""


def begun(code: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    """A process that runs this, whose arguments begin at `sys.argv[2]`."""
    return subprocess.Popen([sys.executable, "-c", _IN_A_PROCESS + code, KEY_ID, *arguments], stdin=subprocess.PIPE)
