"""What the tests of stores share: a key whose secret is stored, and what holds when nothing was."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from api_keys_client import CreatedKey, NotStored, stores
from tests.support.rotations import assert_hides, caught, shown_by

KEY_ID = "8f2b6a1c-0d3e-4f56-8a79-b1c2d3e4f506"
OLD = "OldSecret0123456789+/" * 5 + "abc="
NEW = "NewSecret9876543210/+" * 5 + "xyz="

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


def unchanged(target: Path) -> bool:
    return target.read_text() == OLD and [*target.parent.iterdir()] == [target]
