"""The dates of a key's life: where each ends, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from api_keys_client import ApiKeyResponse, InvalidRequestError, Lifetime
from api_keys_client._core.lifetimes import check_grace, checked_life, clock_problem, end_of_life, length_of_life

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NAIVE = MADE.replace(tzinfo=None)


def test_where_each_limit_is() -> None:
    assert checked_life(SECOND) == SECOND
    assert end_of_life(MADE, None, MADE + SECOND) == MADE + SECOND
    assert Lifetime(ends=MADE).expired(MADE)
    assert not Lifetime(ends=MADE + SECOND).expired(MADE)
    assert clock_problem(MADE, MADE + SECOND, SECOND) is None
    assert clock_problem(MADE, MADE - SECOND * 2, SECOND)
    check_grace(timedelta())


def test_a_key_that_ends_when_it_is_made_has_no_length_of_life() -> None:
    marker = "(made 2026-01-02T03:04:05Z, ends 2026-01-02T03:04:05Z #0123456789ab)"
    record = ApiKeyResponse(id="x", is_active=True, created_at=MADE, description=marker)
    assert length_of_life(record) is None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda: end_of_life(MADE, SECOND, MADE), "expires_in= or at expires_at=: give one of them"),
        (lambda: end_of_life(MADE, None, MADE), "expires_at= is in the future"),
        (lambda: end_of_life(MADE, None, NAIVE), "^expires_at= is a datetime with an offset"),
        (lambda: Lifetime(ends=MADE).expired(NAIVE), "^now= is a datetime with an offset"),
        (lambda: checked_life(timedelta(milliseconds=999)), "at least a second"),
        (lambda: check_grace(-SECOND), "from 0 on"),
    ],
)
def test_what_cannot_be_is_refused(asked: Callable[[], object], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        asked()
