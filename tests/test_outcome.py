"""The "One call" table, cell by cell, on the pure function that judges: no socket, no waiting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_keys_client import (
    ApiConnectionError,
    ApiKeysError,
    ApiTimeoutError,
    AuthenticationError,
    InvalidRequestError,
    KeyLimitReachedError,
    KeyNotFoundError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    UnexpectedResponseError,
)
from api_keys_client._calls import Answer, Call, Calls, Lost
from api_keys_client._outcome import Again, Done, judge
from api_keys_client.settings import Given, check

SETTINGS = check(Given("http://localhost", "token"))
CALLS = Calls(SETTINGS)
KEY_ID = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"
RECORD = {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "roles": []}

READS: dict[str, Call[Any]] = {"get": CALLS.get(KEY_ID), "list": CALLS.list()}
REPLAYED: dict[str, Call[Any]] = {**READS, "deactivate": CALLS.deactivate(KEY_ID)}
CREATE: Call[Any] = CALLS.create("ci", ["TASK-ADMIN"])
ALL: dict[str, Call[Any]] = {**REPLAYED, "create": CREATE}

each_replayed = pytest.mark.parametrize("call", REPLAYED.values(), ids=REPLAYED)
each_call = pytest.mark.parametrize("call", ALL.values(), ids=ALL)


def judged(call: Call[Any], came: Answer | Lost, **how: Any) -> Any:
    return judge(call, came, **{"attempt": 1, "elapsed": 0.1, "settings": SETTINGS, "chance": 1.0, **how})


def failed(call: Call[Any], came: Answer | Lost, **how: Any) -> ApiKeysError:
    verdict = judged(call, came, **how)
    assert isinstance(verdict, ApiKeysError)
    return verdict


def answer(status: int, body: object = b"", retry_after: str | None = None) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after)


NOT_SENT = Lost(False, "connection", "the connection was refused")
NOT_SENT_LATE = Lost(False, "timeout", "no connection was made in time")
BROKEN = Lost(True, "connection", "the connection was reset")
BROKEN_LATE = Lost(True, "timeout", "no whole answer came in time")
CERTIFICATE = Lost(False, "certificate", "the server's certificate does not verify: expired")
CLOSED = Lost(False, "closed", "the client is closed")


@each_call
@pytest.mark.parametrize("came", [NOT_SENT, NOT_SENT_LATE])
def test_not_sent_is_replayed(call: Call[Any], came: Lost) -> None:
    assert isinstance(judged(call, came), Again)


@each_call
def test_not_sent_to_the_end_is_a_connection_error(call: Call[Any]) -> None:
    error = failed(call, NOT_SENT, attempt=3)
    assert type(error) is ApiConnectionError
    assert error.outcome == (Outcome.NOT_SENT if call.operation.changes else None)
    assert error.attempts == 3
    assert error.retryable
    assert type(failed(call, NOT_SENT_LATE, attempt=3)) is ApiTimeoutError


@each_call
def test_a_certificate_that_does_not_verify_stops(call: Call[Any]) -> None:
    error = failed(call, CERTIFICATE)
    assert type(error) is ApiConnectionError
    assert not error.retryable
    assert "certificate" in str(error)


@each_call
def test_a_closed_client_stops(call: Call[Any]) -> None:
    error = failed(call, CLOSED)
    assert type(error) is ApiConnectionError
    assert "closed" in str(error)


@each_replayed
@pytest.mark.parametrize("came", [BROKEN, BROKEN_LATE])
def test_no_whole_answer_is_replayed(call: Call[Any], came: Lost) -> None:
    assert isinstance(judged(call, came), Again)


@each_replayed
def test_no_whole_answer_to_the_end(call: Call[Any]) -> None:
    assert type(failed(call, BROKEN, attempt=3)) is ApiConnectionError
    error = failed(call, BROKEN_LATE, attempt=3)
    assert type(error) is ApiTimeoutError
    assert error.outcome == (Outcome.UNKNOWN if call.operation.changes else None)


@pytest.mark.parametrize("came", [BROKEN, BROKEN_LATE])
def test_no_whole_answer_to_a_create_is_unknown(came: Lost) -> None:
    error = failed(CREATE, came)
    assert isinstance(error, OutcomeUnknownError)
    assert error.outcome is Outcome.UNKNOWN
    assert error.reason == came.reason
    assert not error.retryable
    assert "may have been created" in str(error)


@each_call
def test_429_is_replayed_after_the_backoff(call: Call[Any]) -> None:
    verdict = judged(call, answer(429), chance=0.5)
    assert isinstance(verdict, Again)
    assert verdict.wait == 0.125
    assert judged(call, answer(429), attempt=2, chance=0.5).wait == 0.25


@each_call
def test_429_is_replayed_after_what_the_server_asks(call: Call[Any]) -> None:
    assert judged(call, answer(429, retry_after="7")).wait == 7
    assert judged(call, answer(429, retry_after="0")).wait == 0


@each_call
def test_429_that_asks_for_too_long_is_raised(call: Call[Any]) -> None:
    error = failed(call, answer(429, retry_after="61"))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 61
    assert error.outcome == (Outcome.REJECTED if call.operation.changes else None)


def test_a_retry_after_date_counts_from_the_answer() -> None:
    came = answer(429, retry_after="Mon, 23 Nov 2026 12:00:30 GMT")
    came.received_at = 1795435200.0 + 10  # 12:00:10
    assert judged(READS["get"], came).wait == pytest.approx(20)
    came.received_at += 100
    assert judged(READS["get"], came).wait == 0


@pytest.mark.parametrize("nonsense", ["-1", "soon", "", "1e3", "٣", "Mon, 99 Foo 2026"])
def test_a_retry_after_that_makes_no_sense_is_a_backoff(nonsense: str) -> None:
    assert judged(READS["get"], answer(429, retry_after=nonsense)).wait == 0.25


@each_replayed
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_failing_server_is_replayed(call: Call[Any], status: int) -> None:
    assert isinstance(judged(call, answer(status)), Again)
    error = failed(call, answer(status), attempt=3)
    assert isinstance(error, ServerError)
    assert error.status == status
    assert error.retryable


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 501, 507, 599])
def test_a_failing_server_makes_a_create_unknown(status: int) -> None:
    error = failed(CREATE, answer(status, {"detail": "worker died"}))
    assert isinstance(error, OutcomeUnknownError)
    assert error.status == status
    assert error.detail == "worker died"


@each_replayed
@pytest.mark.parametrize("status", [501, 505, 599])
def test_other_server_errors_stop(call: Call[Any], status: int) -> None:
    assert isinstance(failed(call, answer(status)), ServerError)


def test_503_obeys_retry_after() -> None:
    assert judged(READS["get"], answer(503, retry_after="3")).wait == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (400, InvalidRequestError),
        (422, InvalidRequestError),
        (405, UnexpectedResponseError),
        (409, UnexpectedResponseError),
        (307, UnexpectedResponseError),
        (308, UnexpectedResponseError),
    ],
)
@each_call
def test_other_refusals_stop(call: Call[Any], status: int, kind: type[ApiKeysError]) -> None:
    error = failed(call, answer(status, {"detail": "no"}))
    assert type(error) is kind
    assert error.status == status
    assert error.detail == "no"
    assert error.outcome == (Outcome.REJECTED if call.operation.changes else None)
    assert not error.retryable


def test_404_is_a_missing_key_only_where_an_id_was_asked_for() -> None:
    for name in ("get", "deactivate"):
        error = failed(ALL[name], answer(404))
        assert isinstance(error, KeyNotFoundError)
        assert error.key_id == KEY_ID
    for name in ("list", "create"):
        assert type(failed(ALL[name], answer(404))) is UnexpectedResponseError


def test_the_key_limit_is_told_by_its_text_alone() -> None:
    error = failed(CREATE, answer(400, {"detail": "Maximum number of active keys reached"}))
    assert type(error) is KeyLimitReachedError
    assert error.outcome is Outcome.REJECTED


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[1]", b'"x"', b"{}", b'{"id": 7}', b"\xff", b"[" * 5000])
def test_2xx_that_does_not_decode(body: bytes) -> None:
    for name, call in READS.items():
        error = failed(call, answer(200, body))
        assert type(error) is UnexpectedResponseError, name
        assert error.outcome is None
    unknown = failed(CREATE, answer(200, body))
    assert isinstance(unknown, OutcomeUnknownError)
    if body:
        deactivated = failed(ALL["deactivate"], answer(200, body))
        assert type(deactivated) is UnexpectedResponseError
        assert deactivated.outcome is Outcome.UNKNOWN


def test_2xx_with_the_record_of_another_key_does_not_decode() -> None:
    other = {**RECORD, "id": "00000000-0000-4000-8000-000000000000"}
    assert type(failed(READS["get"], answer(200, other))) is UnexpectedResponseError


@pytest.mark.parametrize("key", [None, "", 7])
def test_a_create_without_a_usable_secret_is_applied_and_names_the_id(key: object) -> None:
    error = failed(CREATE, answer(200, {**RECORD, "key": key}))
    assert type(error) is UnexpectedResponseError
    assert error.outcome is Outcome.APPLIED
    assert error.key_id == KEY_ID
    assert KEY_ID in str(error)


@pytest.mark.parametrize("status", [200, 201])
def test_2xx_that_decodes_is_the_value(status: int) -> None:
    verdict = judged(READS["get"], answer(status, RECORD))
    assert isinstance(verdict, Done)
    assert verdict.value.id == KEY_ID
    created = judged(CREATE, answer(status, {**RECORD, "key": "s3cret"}))
    assert created.value.key.get_secret_value() == "s3cret"
    listed = judged(READS["list"], answer(status, [RECORD, {**RECORD, "new": {"field": 1}, "roles": ["NEW-ROLE"]}]))
    assert [record.roles for record in listed.value] == [[], ["NEW-ROLE"]]


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_deactivation_has_no_record(status: int) -> None:
    verdict = judged(ALL["deactivate"], answer(status))
    assert isinstance(verdict, Done)
    assert verdict.value is None


def test_the_outcome_is_the_worst_of_all_attempts() -> None:
    again = judged(ALL["deactivate"], BROKEN)
    assert again.outcome is Outcome.UNKNOWN
    error = failed(ALL["deactivate"], NOT_SENT, attempt=3, worst=again.outcome)
    assert error.outcome is Outcome.UNKNOWN
    assert "may be deactivated or still active" in str(error)


def test_no_wait_goes_past_the_deadline() -> None:
    assert isinstance(judged(READS["get"], NOT_SENT, elapsed=59.7), Again)
    assert isinstance(judged(READS["get"], NOT_SENT, elapsed=59.8), ApiConnectionError)


def test_the_backoff_is_bounded() -> None:
    many = check(Given("http://localhost", "token", max_attempts=50))
    assert judged(READS["get"], NOT_SENT, attempt=20, settings=many).wait == 8


def test_the_detail_is_bounded_printable_and_without_the_token() -> None:
    came = answer(400, {"detail": "token-1 \x1b[31m" + "x" * 5000})
    came.token = "token-1"
    error = failed(READS["get"], came)
    assert error.detail
    assert error.detail.startswith("[token]  [31mxxx")
    assert len(error.detail) == 1000
    assert "token-1" not in str(error)


def test_both_shapes_of_an_error_body_are_read() -> None:
    faults = [{"loc": ["body", "roles", 0], "msg": "Input should be a role", "type": "enum", "input": "s3cret"}]
    error = failed(CREATE, answer(422, {"detail": faults}))
    assert error.detail == "body.roles.0: Input should be a role"
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    "body", [b"<html>proxy</html>", b"\xff\xfe", b"[" * 5000, b'{"detail": 7}', b'{"detail": [7]}']
)
def test_a_body_of_another_shape_has_no_detail(body: bytes) -> None:
    assert failed(READS["get"], answer(400, body)).detail is None
