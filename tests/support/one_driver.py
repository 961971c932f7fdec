"""Fixtures of one driver and one profile, unless a test asks for others: both clients come from one source."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_keys_client.sandbox import Sandbox


@pytest.fixture(params=["engine"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(profile=request.param) as running:
        yield running


@pytest.fixture
def driver() -> str:
    return "sync"
