"""The "One call" table, cell by cell, on the pure function that judges: no socket, no waiting."""

from __future__ import annotations

import base64
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
from api_keys_client._outcome import Again, Done, judge, still_active, unconfirmed
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
    assert "does not verify" in str(error)
    assert "ssl_context=" in error.next_step


@each_call
def test_a_closed_client_stops(call: Call[Any]) -> None:
    error = failed(call, CLOSED)
    assert type(error) is ApiConnectionError
    assert not error.retryable
    assert "closed" in str(error)
    assert "Keep the client open" in error.next_step


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
    assert judged(call, answer(429, retry_after="60"), settings=check(Given(token="token", deadline=100))).wait == 60


@each_call
def test_429_that_asks_for_too_long_is_raised(call: Call[Any]) -> None:
    error = failed(call, answer(429, retry_after="61"), settings=check(Given(token="token", deadline=100)))
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
    assert judged(READS["get"], came).wait == pytest.approx(20)
    came.received_at += 100
    assert judged(READS["get"], came).wait == 0
    assert judged(READS["get"], answer(429, retry_after="Thu, 01 Jan 1970 00:00:07 GMT")).wait == 7


def test_a_date_without_a_zone_is_utc() -> None:
    came = answer(429, retry_after="Mon Nov 23 12:00:30 2026")
    came.received_at = 1795435200.0
    assert judged(READS["get"], came).wait == pytest.approx(30)


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
        (300, UnexpectedResponseError),
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
        ("list", [RECORD, {**RECORD, "is_active": "perhaps"}], "1.is_active: bool_type"),
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
    assert "Deactivate that key" in error.next_step


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
    verdict = judged(ALL["deactivate"], Answer(status))
    assert isinstance(verdict, Done)
    assert verdict.value is None


def test_a_deactivation_may_answer_with_its_record_and_no_other() -> None:
    gone = {**RECORD, "is_active": False}
    assert judged(ALL["deactivate"], answer(200, gone)).value.id == KEY_ID
    other = {**gone, "id": "00000000-0000-4000-8000-000000000000"}
    assert failed(ALL["deactivate"], answer(200, other)).outcome is Outcome.UNKNOWN


@each_call
def test_an_answer_that_cannot_be_taken_is_not_read(call: Call[Any]) -> None:
    came = answer(200, {**RECORD, "key": "s3cret"})
    came.problem = "compressed, which was not asked for"
    assert "(compressed, which was not asked for)" in str(failed(call, came))


def test_the_outcome_is_the_worst_of_all_attempts() -> None:
    again = judged(ALL["deactivate"], BROKEN)
    assert again.outcome is Outcome.UNKNOWN
    error = failed(ALL["deactivate"], NOT_SENT, attempt=3, worst=again.outcome)
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
def test_which_outcome_is_worse(worst: Outcome, name: str, came: Answer | Lost, outcome: Outcome) -> None:
    assert failed(ALL[name], came, attempt=3, worst=worst).outcome is outcome


def test_no_wait_goes_past_the_deadline() -> None:
    assert isinstance(judged(READS["get"], NOT_SENT, elapsed=59.7), Again)
    assert isinstance(judged(READS["get"], NOT_SENT, elapsed=59.75), ApiConnectionError)


def test_the_backoff_is_bounded() -> None:
    many = check(Given("http://localhost", "token", max_attempts=50))
    assert judged(READS["get"], NOT_SENT, attempt=20, settings=many).wait == 8


def test_the_detail_is_bounded_printable_and_without_the_token() -> None:
    came = answer(400, {"detail": "token-1 \x1b[31m" + "x" * 5000})
    came.token = "token-1"
    error = failed(READS["get"], came)
    assert error.detail
    assert error.detail.startswith("[token]  [31mxxx")
    assert error.detail.endswith("xxx…")
    assert len(error.detail) == 1000
    assert "token-1" not in str(error)
    assert failed(READS["get"], answer(400, {"detail": "x" * 1000})).detail == "x" * 1000


@pytest.mark.parametrize("rest", [b"ab", b"abc", b"abcd", b"a longer secret"])
@pytest.mark.parametrize("before", ["", "k", "ke", "key", "keys"])
def test_a_secret_in_the_detail_is_masked_whatever_it_is_glued_to(before: str, rest: bytes) -> None:
    secret = base64.b64encode(KEY_ID.encode() + b":" + rest).decode()
    assert failed(READS["get"], answer(400, {"detail": f"no {before}{secret} here"})).detail == "no [secret] here"
    shouted = base64.b64encode(KEY_ID.upper().encode() + b":" + rest).decode()
    assert failed(READS["get"], answer(400, {"detail": f"no {before}{shouted} here"})).detail == "no [secret] here"


def test_what_only_looks_like_a_secret_in_the_detail_stays() -> None:
    alone = base64.b64encode(f"{KEY_ID} and more".encode()).decode()
    assert failed(READS["get"], answer(400, {"detail": alone})).detail == alone
    words = "no key XXXX-XXXX " + base64.b64encode(b"this is long enough to be a secret, but it is none").decode()
    assert failed(READS["get"], answer(400, {"detail": words})).detail == words


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"loc": ["X-Team", 0], "msg": "Too long: "}, "X-Team.0: Too long"),
        ({"msg": "Too long"}, "Too long"),
        ({"loc": "body", "msg": "Too long"}, "Too long"),
        ({"loc": ["body"]}, "body"),
    ],
)
def test_faults_are_told_as_far_as_they_are_there(fault: object, told: str) -> None:
    assert failed(CREATE, answer(422, {"detail": [fault, 7, {"loc": [], "msg": "no"}]})).detail == f"{told}; no"


def test_no_more_than_ten_faults_are_told() -> None:
    detail = failed(CREATE, answer(422, {"detail": [{"msg": f"fault {number}"} for number in range(11)]})).detail
    assert detail
    assert detail.split("; ") == [f"fault {number}" for number in range(10)]


def test_both_shapes_of_an_error_body_are_read() -> None:
    faults = [{"loc": ["body", "roles", 0], "msg": "Input should be a role", "type": "enum", "input": "s3cret"}]
    error = failed(CREATE, answer(422, {"detail": faults}))
    assert error.detail == "body.roles.0: Input should be a role"
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    "body",
    [b"<html>proxy</html>", b"\xff\xfe", b"[" * 5000, b"[7]", b"null", b'{"detail": 7}', b'{"detail": [7]}'],
)
def test_a_body_of_another_shape_has_no_detail(body: bytes) -> None:
    assert failed(READS["get"], answer(400, body)).detail is None


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b"", "get {}: the server answered 404 Not Found. "),
        (404, {"detail": "Not Found"}, "get {}: the server answered 404 Not Found. "),
        (404, {"detail": "No such key"}, "get {}: the server answered 404 Not Found: No such key. "),
        (499, b"", "get {}: the server answered 499. "),
        (499, {"detail": "gone"}, "get {}: the server answered 499: gone. "),
    ],
)
def test_a_refusal_is_told_by_its_status_and_the_servers_words(status: int, body: object, told: str) -> None:
    assert str(failed(READS["get"], answer(status, body))).startswith(told.format(KEY_ID))


def test_a_proxy_that_wants_a_password_is_told_from_a_server() -> None:
    error = failed(READS["get"], answer(407))
    assert type(error) is UnexpectedResponseError
    assert "proxy" in error.next_step


def test_the_attempts_are_told_where_there_were_more_than_one() -> None:
    assert "after" not in str(failed(READS["list"], CLOSED))
    error = failed(READS["list"], answer(429, retry_after="61"), attempt=2, elapsed=4.51)
    assert error.elapsed == 4.51
    told = "list: the server answered 429 Too Many Requests (after 2 attempts in 4.5 s)."
    assert str(error) == f"{told} {error.next_step}"


def test_what_was_changed_is_told_where_something_could_be() -> None:
    unchanged = "No key was changed."
    for call in (CREATE, ALL["deactivate"]):
        assert unchanged in str(failed(call, NOT_SENT, attempt=3))
        assert unchanged in str(failed(call, answer(403)))
    for call in READS.values():
        assert unchanged not in str(failed(call, answer(403)))
    assert unchanged not in str(failed(CREATE, BROKEN))


def test_a_deactivation_that_cannot_be_read_back_is_applied() -> None:
    failure = failed(READS["get"], answer(503, {"detail": "busy"}), attempt=3)
    error = unconfirmed(failure, attempts=2)
    assert type(error) is ServerError
    assert error.outcome is Outcome.APPLIED
    assert "is deactivated" in str(error)
    assert str(failure.args[0]) in str(error)
    assert "Get the key" in error.next_step
    kept = {name: value for name, value in vars(error).items() if name not in ("attempts", "outcome", "next_step")}
    assert kept.items() <= vars(failure).items()
    assert (error.status, error.detail, error.attempts, error.key_id) == (503, "busy", 5, KEY_ID)


def test_a_deactivation_whose_record_is_active_is_unknown() -> None:
    error = still_active(judged(READS["get"], answer(200, RECORD)).value, attempts=2, elapsed=1.5)
    assert type(error) is UnexpectedResponseError
    assert error.outcome is Outcome.UNKNOWN
    assert error.key_id == KEY_ID
    assert (error.attempts, error.elapsed) == (2, 1.5)
    assert KEY_ID in str(error)
    assert "deactivate it again" in error.next_step
