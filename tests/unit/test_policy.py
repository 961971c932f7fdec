"""The "One call" table, cell by cell, on the pure function that judges: no socket, no waiting."""

from __future__ import annotations

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
    ServerError,
    UnexpectedResponseError,
)
from api_keys_client._core.messages import RawResponse, Request, TransportFailure
from api_keys_client._core.policy import Retry, Success, readback_failed, still_active
from tests.support.judging import (
    ALL,
    BROKEN,
    BROKEN_LATE,
    CERTIFICATE,
    CLOSED,
    CREATE,
    KEY_ID,
    NOT_SENT,
    NOT_SENT_LATE,
    READS,
    RECORD,
    answer,
    each_call,
    each_replayed,
    evaluated,
    failed,
)


@each_call
@pytest.mark.parametrize("came", [NOT_SENT, NOT_SENT_LATE])
def test_not_sent_is_replayed(call: Request[Any], came: TransportFailure) -> None:
    assert isinstance(evaluated(call, came), Retry)


@each_call
def test_not_sent_to_the_end_is_a_connection_error(call: Request[Any]) -> None:
    error = failed(call, NOT_SENT, attempt=3)
    assert type(error) is ApiConnectionError
    assert error.outcome == (Outcome.NOT_SENT if call.operation.changes else None)
    assert error.attempts == 3
    assert error.retryable
    assert type(failed(call, NOT_SENT_LATE, attempt=3)) is ApiTimeoutError


@pytest.mark.parametrize("came", [CERTIFICATE, CERTIFICATE._replace(kind="tls_refused")])
@each_call
def test_a_certificate_that_does_not_verify_stops(call: Request[Any], came: TransportFailure) -> None:
    error = failed(call, came)
    assert type(error) is ApiConnectionError
    assert error.kind == came.kind
    assert not error.retryable
    assert "does not verify" in str(error)
    assert "ssl_context=" in error.next_step


@each_call
def test_a_closed_client_stops(call: Request[Any]) -> None:
    error = failed(call, CLOSED)
    assert type(error) is ApiConnectionError
    assert not error.retryable
    assert "closed" in str(error)
    assert "Keep the client open" in error.next_step


@each_replayed
@pytest.mark.parametrize("came", [BROKEN, BROKEN_LATE])
def test_no_whole_answer_is_replayed(call: Request[Any], came: TransportFailure) -> None:
    assert isinstance(evaluated(call, came), Retry)


@each_replayed
def test_no_whole_answer_to_the_end(call: Request[Any]) -> None:
    assert type(failed(call, BROKEN, attempt=3)) is ApiConnectionError
    error = failed(call, BROKEN_LATE, attempt=3)
    assert type(error) is ApiTimeoutError
    assert error.outcome == (Outcome.UNKNOWN if call.operation.changes else None)


@pytest.mark.parametrize("came", [BROKEN, BROKEN_LATE])
def test_no_whole_answer_to_a_create_is_unknown(came: TransportFailure) -> None:
    error = failed(CREATE, came)
    assert isinstance(error, OutcomeUnknownError)
    assert error.outcome is Outcome.UNKNOWN
    assert error.reason == came.reason
    assert not error.retryable
    assert "may have been created" in str(error)


@each_replayed
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_failing_server_is_replayed(call: Request[Any], status: int) -> None:
    assert isinstance(evaluated(call, answer(status)), Retry)
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
def test_other_server_errors_stop(call: Request[Any], status: int) -> None:
    assert isinstance(failed(call, answer(status)), ServerError)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304])
@each_call
def test_a_redirection_may_be_the_answer_to_what_was_done(call: Request[Any], status: int) -> None:
    error = failed(call, answer(status, {"detail": "see the key"}))
    assert isinstance(error, OutcomeUnknownError if call.operation.name == "create" else UnexpectedResponseError)
    assert error.outcome == (Outcome.UNKNOWN if call.operation.changes else None)
    assert (error.status, error.detail) == (status, "see the key")
    assert not error.retryable


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
def test_other_refusals_stop(call: Request[Any], status: int, kind: type[ApiKeysError]) -> None:
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
        assert error.status == 200
    unknown = failed(CREATE, answer(200, body))
    assert isinstance(unknown, OutcomeUnknownError)
    if body:
        deactivated = failed(ALL["deactivate"], answer(200, body))
        assert type(deactivated) is UnexpectedResponseError
        assert deactivated.outcome is Outcome.UNKNOWN


def test_2xx_with_the_record_of_another_key_does_not_decode() -> None:
    other = {**RECORD, "id": "00000000-0000-4000-8000-000000000000"}
    error = failed(READS["get"], answer(200, other))
    assert type(error) is UnexpectedResponseError
    assert "another key" in str(error)


@pytest.mark.parametrize(
    ("name", "body", "faults"),
    [
        ("get", b"{}", "id: missing; is_active: missing; created_at: missing"),
        ("get", {"roles": [7]}, "id: missing; is_active: missing; created_at: missing"),
        ("get", b"null", "body: model_type"),
        (
            "list",
            [RECORD, {**RECORD, "is_active": "perhaps"}],
            f"the record of key {RECORD['id']}: 1.is_active: bool_type",
        ),
        ("create", RECORD, "key: missing"),
        ("create", b"[", "body: json_invalid"),
    ],
)
def test_what_does_not_decode_is_told_by_place_and_type(name: str, body: object, faults: str) -> None:
    assert f"({faults})" in str(failed(ALL[name], answer(200, body)))


@pytest.mark.parametrize("key", [None, "", 7])
def test_a_create_without_a_usable_secret_is_applied_and_names_the_id(key: object) -> None:
    error = failed(CREATE, answer(200, {**RECORD, "key": key}))
    assert type(error) is UnexpectedResponseError
    assert error.outcome is Outcome.APPLIED
    assert error.status == 200
    assert error.key_id == KEY_ID
    assert KEY_ID in str(error)
    assert "(key: " in str(error)
    assert "deactivate it" in error.next_step


def test_a_created_key_needs_an_id_that_it_can_be_found_by() -> None:
    error = failed(CREATE, answer(200, {**RECORD, "id": "key-17", "key": "secret"}))
    assert isinstance(error, OutcomeUnknownError)
    assert "(id: no UUID)" in error.reason


@pytest.mark.parametrize("status", [200, 201])
def test_2xx_that_decodes_is_the_value(status: int) -> None:
    verdict = evaluated(READS["get"], answer(status, RECORD))
    assert isinstance(verdict, Success)
    assert verdict.value.id == KEY_ID
    created = evaluated(CREATE, answer(status, {**RECORD, "key": "s3cret"}))
    assert created.value.key.get_secret_value() == "s3cret"
    listed = evaluated(READS["list"], answer(status, [RECORD, {**RECORD, "new": {"field": 1}, "roles": ["NEW-ROLE"]}]))
    assert [record.roles for record in listed.value] == [[], ["NEW-ROLE"]]


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_deactivation_has_no_record(status: int) -> None:
    verdict = evaluated(ALL["deactivate"], RawResponse(status))
    assert isinstance(verdict, Success)
    assert verdict.value is None


def test_a_deactivation_may_answer_with_its_record_and_no_other() -> None:
    gone = {**RECORD, "is_active": False}
    assert evaluated(ALL["deactivate"], answer(200, gone)).value.id == KEY_ID
    other = {**gone, "id": "00000000-0000-4000-8000-000000000000"}
    assert failed(ALL["deactivate"], answer(200, other)).outcome is Outcome.UNKNOWN


@each_call
def test_an_answer_that_cannot_be_taken_is_not_read(call: Request[Any]) -> None:
    came = answer(200, {**RECORD, "key": "s3cret"})
    came.problem = "compressed, which was not asked for"
    assert "(compressed, which was not asked for)" in str(failed(call, came))


def test_the_outcome_is_the_worst_of_all_attempts() -> None:
    again = evaluated(ALL["deactivate"], BROKEN)
    assert again.outcome is Outcome.UNKNOWN
    error = failed(ALL["deactivate"], NOT_SENT, attempt=3, worst_outcome=again.outcome)
    assert error.outcome is Outcome.UNKNOWN
    assert "may be deactivated or still active" in str(error)


@pytest.mark.parametrize(
    ("worst", "name", "came", "outcome"),
    [
        (Outcome.REJECTED, "create", NOT_SENT, Outcome.REJECTED),
        (Outcome.NOT_SENT, "create", answer(403), Outcome.REJECTED),
        (Outcome.REJECTED, "create", answer(200, RECORD), Outcome.APPLIED),
        (Outcome.UNKNOWN, "deactivate", answer(403), Outcome.UNKNOWN),
        (Outcome.REJECTED, "deactivate", BROKEN, Outcome.UNKNOWN),
    ],
)
def test_which_outcome_is_worse(
    worst: Outcome, name: str, came: RawResponse | TransportFailure, outcome: Outcome
) -> None:
    assert failed(ALL[name], came, attempt=3, worst_outcome=worst).outcome is outcome


def test_a_deactivation_that_cannot_be_read_back_is_applied() -> None:
    failure = failed(READS["get"], answer(503, {"detail": "busy"}), attempt=3)
    error = readback_failed(failure, attempts=2)
    assert type(error) is ServerError
    assert error.outcome is Outcome.APPLIED
    assert "is deactivated" in str(error)
    assert "reading it back failed: get" in str(error)
    assert "the server answered 503" in str(error)
    assert "Get the key" in error.next_step
    assert (error.status, error.detail, error.attempts, error.key_id) == (503, "busy", 5, KEY_ID)


def test_a_deactivation_whose_record_is_active_is_unknown() -> None:
    done = evaluated(READS["get"], answer(200, RECORD), attempt=2)
    assert done.attempts == 2
    error = still_active(done.value, attempts=2, elapsed=1.5)
    assert type(error) is UnexpectedResponseError
    assert error.outcome is Outcome.UNKNOWN
    assert error.key_id == KEY_ID
    assert (error.attempts, error.elapsed) == (2, 1.5)
    assert KEY_ID in str(error)
    assert "deactivate it again" in error.next_step


UNVERIFIED = {"detail": "Unable to verify credentials"}


@pytest.mark.parametrize("name", ALL)
def test_credentials_that_could_not_be_verified_did_nothing(name: str) -> None:
    """Whether the token is wrong or the identity provider is away, it is said before any handler runs."""
    assert isinstance(evaluated(ALL[name], answer(500, UNVERIFIED)), Retry)
    error = failed(ALL[name], answer(500, UNVERIFIED), attempt=3)
    assert type(error) is ServerError
    assert error.outcome in (None, Outcome.REJECTED)
    assert "The token may be wrong, or the engine cannot reach its identity provider" in str(error)


def test_a_server_that_ends_its_sentence_ends_it_once() -> None:
    assert "Something went wrong. " in str(failed(ALL["create"], answer(500, {"detail": "Something went wrong."})))


def test_the_source_lines_of_the_server_are_not_shown() -> None:
    detail = "1 validation error:\n  {'type': 'missing', 'loc': ('body',)}\n\n  File \"/app/src/main.py\", line 7, in f"
    error = failed(ALL["create"], answer(400, {"detail": detail}))
    assert "'missing'" in str(error)
    assert "main.py" not in f"{error} {error.detail}"


def test_an_answer_that_is_too_long_is_not_said_to_be_of_another_service() -> None:
    came = answer(200, [])
    error = failed(ALL["list"], came.mark_truncated())
    assert "longer than this client reads (more than 32 MiB)" in str(error)
    assert "very long descriptions" in error.next_step
    assert "base URL" not in str(error)
