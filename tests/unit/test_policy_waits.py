"""How long to wait before the next attempt, on the pure function that judges."""

from __future__ import annotations

from typing import Any

import pytest

from api_keys_client import ApiConnectionError, Outcome, RateLimitedError
from api_keys_client._core.messages import Request
from api_keys_client._core.options import ClientOptions, resolve_settings
from api_keys_client._core.policy import Retry
from tests.support.judging import CREATE, NOT_SENT, READS, answer, each_call, evaluated, failed


@each_call
def test_429_is_replayed_after_the_backoff(call: Request[Any]) -> None:
    verdict = evaluated(call, answer(429), jitter=0.5)
    assert isinstance(verdict, Retry)
    assert verdict.wait == 0.125
    assert evaluated(call, answer(429), attempt=2, jitter=0.5).wait == 0.25


@each_call
def test_429_is_replayed_after_what_the_server_asks(call: Request[Any]) -> None:
    assert evaluated(call, answer(429, retry_after="7")).wait == 7
    assert evaluated(call, answer(429, retry_after="0")).wait == 0
    assert (
        evaluated(
            call, answer(429, retry_after="60"), settings=resolve_settings(ClientOptions(token="token", deadline=100))
        ).wait
        == 60
    )


@each_call
def test_429_that_asks_for_too_long_is_raised(call: Request[Any]) -> None:
    error = failed(
        call, answer(429, retry_after="61"), settings=resolve_settings(ClientOptions(token="token", deadline=100))
    )
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 61
    assert error.outcome == (Outcome.REJECTED if call.operation.changes else None)


def test_429_that_asks_for_ever_is_raised_with_a_number() -> None:
    error = failed(CREATE, answer(429, retry_after="9" * 400))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 9_999_999_999


def test_a_retry_after_date_counts_from_the_answer() -> None:
    came = answer(429, retry_after="Mon, 23 Nov 2026 12:00:30 GMT")
    came.received_at = 1795435200.0 + 10  # 12:00:10
    assert evaluated(READS["get"], came).wait == pytest.approx(20)
    came.received_at += 100
    assert evaluated(READS["get"], came).wait == 0
    assert evaluated(READS["get"], answer(429, retry_after="Thu, 01 Jan 1970 00:00:07 GMT")).wait == 7


def test_a_date_without_a_zone_is_utc() -> None:
    came = answer(429, retry_after="Mon Nov 23 12:00:30 2026")
    came.received_at = 1795435200.0
    assert evaluated(READS["get"], came).wait == pytest.approx(30)


@pytest.mark.parametrize(
    "nonsense",
    [
        *("-1", "soon", "", "1e3", "1.", ".5", "1.5.5", "٣", "Mon, 99 Foo 2026"),
        *(f"Fri, 31 Dec {year} 23:59:59 GMT" for year in (99_999, 10**22)),
    ],
)
def test_a_retry_after_that_makes_no_sense_is_a_backoff(nonsense: str) -> None:
    assert evaluated(READS["get"], answer(429, retry_after=nonsense)).wait == 0.25


@pytest.mark.parametrize(("asked", "wait"), [("3", 3), ("1.5", 1.5), (" 0.25 ", 0.25), ("0", 0)])
def test_503_obeys_retry_after(asked: str, wait: float) -> None:
    assert evaluated(READS["get"], answer(503, retry_after=asked)).wait == wait


def test_no_wait_goes_past_the_deadline() -> None:
    assert isinstance(evaluated(READS["get"], NOT_SENT, elapsed=59.7), Retry)
    assert isinstance(evaluated(READS["get"], NOT_SENT, elapsed=59.75), ApiConnectionError)


def test_the_backoff_is_bounded() -> None:
    many = resolve_settings(ClientOptions("http://localhost", "token", max_attempts=50))
    assert evaluated(READS["get"], NOT_SENT, attempt=20, settings=many).wait == 8
