"""What the tests of the wire share: who vouches for certificates, and names that lead nowhere."""

from __future__ import annotations

import pytest
import trustme

from tests.support.failing import unresolved_at_once


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def _names_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unresolved_at_once(monkeypatch)
