"""What one attempt means, on the pure function that judges: no socket, no waiting."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

import pytest

from api_keys_client import (
    ApiConnectionError,
    ApiKeysError,
    ApiTimeoutError,
    AuthenticationError,
    ConfigurationError,
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
from api_keys_client._core.messages import RawResponse, Request, TransportFailure
from api_keys_client._core.operations import Operations
from api_keys_client._core.options import ClientOptions, resolve_settings
from api_keys_client._core.policy import (
    Retry,
    Success,
    evaluate,
    never_ended,
    readback_failed,
    still_active,
    token_failure,
)

SETTINGS = resolve_settings(ClientOptions("http://localhost", "token"))
PATIENT = resolve_settings(ClientOptions("http://localhost", "token", deadline=100, max_attempts=50))
CALLS = Operations(SETTINGS)
KEY_ID = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"
RECORD = {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "roles": []}
OTHER = {**RECORD, "id": "00000000-0000-4000-8000-000000000000"}

GET: Request[Any] = CALLS.get(KEY_ID)
LIST: Request[Any] = CALLS.list()
DEACTIVATE: Request[Any] = CALLS.deactivate(KEY_ID)
CREATE: Request[Any] = CALLS.create("ci", ["TASK-ADMIN"])
ALL = {"get": GET, "list": LIST, "deactivate": DEACTIVATE, "create": CREATE}
each_call = pytest.mark.parametrize("call", ALL.values(), ids=ALL)

NOT_SENT = TransportFailure(False, "refused", "the connection was refused")
NOT_SENT_LATE = TransportFailure(False, "timeout", "no connection was made in time")
BROKEN = TransportFailure(True, "reset", "the connection was reset")
BROKEN_LATE = TransportFailure(True, "timeout", "no whole answer came in time")
UNTRUSTED = TransportFailure(False, "tls_untrusted", "the server's certificate does not verify: expired")
REFUSED = TransportFailure(False, "tls_refused", "the server refused the client's certificate")
CLOSED = TransportFailure(False, "closed", "the client is closed")


def evaluated(call: Request[Any], came: RawResponse | TransportFailure, **how: Any) -> Any:
    return evaluate(call, came, **{"attempt": 1, "elapsed": 0.1, "settings": SETTINGS, "jitter": 1.0, **how})


def failed(call: Request[Any], came: RawResponse | TransportFailure, **how: Any) -> ApiKeysError:
    verdict = evaluated(call, came, **how)
    assert isinstance(verdict, ApiKeysError)
    return verdict


def answer(status: int, body: object = b"", retry_after: str | None = None) -> RawResponse:
    return RawResponse(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after)


class Means(NamedTuple):
    """The error of the last attempt, and whether one before it is tried again."""

    error: type[ApiKeysError]
    outcome: Outcome
    replayed: bool = False


LOST = Means(OutcomeUnknownError, Outcome.UNKNOWN)
WORDS = {"detail": "no"}
NO_RECORDS = (b"<html>", b"null", b"[1]", b'"x"', b"{}", b'{"id": 7}', b"\xff", b"[" * 5000)
# What came, and what that means; where it means something else for a create, that too.
TABLE: list[tuple[RawResponse | TransportFailure, Means, Means | None]] = [
    (NOT_SENT, Means(ApiConnectionError, Outcome.NOT_SENT, replayed=True), None),
    (NOT_SENT_LATE, Means(ApiTimeoutError, Outcome.NOT_SENT, replayed=True), None),
    *((came, Means(ApiConnectionError, Outcome.NOT_SENT), None) for came in (UNTRUSTED, REFUSED, CLOSED)),
    (BROKEN, Means(ApiConnectionError, Outcome.UNKNOWN, replayed=True), LOST),
    (BROKEN_LATE, Means(ApiTimeoutError, Outcome.UNKNOWN, replayed=True), LOST),
    *(
        (answer(status, WORDS), Means(ServerError, Outcome.UNKNOWN, replayed=True), LOST)
        for status in (408, 500, 502, 503, 504)
    ),
    *((answer(status, WORDS), Means(ServerError, Outcome.UNKNOWN), LOST) for status in (501, 505, 507, 599)),
    *(
        (answer(status, WORDS), Means(UnexpectedResponseError, Outcome.UNKNOWN), LOST)
        for status in (300, 301, 302, 303, 304)
    ),
    *(
        (answer(status, WORDS), Means(UnexpectedResponseError, Outcome.REJECTED), None)
        for status in (307, 308, 405, 407, 409)
    ),
    (answer(401, WORDS), Means(AuthenticationError, Outcome.REJECTED), None),
    (answer(403, WORDS), Means(PermissionDeniedError, Outcome.REJECTED), None),
    *((answer(status, WORDS), Means(InvalidRequestError, Outcome.REJECTED), None) for status in (400, 422)),
    (answer(429, WORDS), Means(RateLimitedError, Outcome.REJECTED, replayed=True), None),
    *((answer(200, body), Means(UnexpectedResponseError, Outcome.UNKNOWN), LOST) for body in NO_RECORDS),
]


@pytest.mark.parametrize(("came", "means", "for_create"), TABLE)
@each_call
def test_what_an_attempt_means(
    call: Request[Any], came: RawResponse | TransportFailure, means: Means, for_create: Means | None
) -> None:
    if call is CREATE and for_create:
        means = for_create
    assert isinstance(evaluated(call, came), Retry) is means.replayed
    error = failed(call, came, attempt=3)
    assert type(error) is means.error
    assert error.outcome is (means.outcome if call.operation.changes else None)
    assert error.retryable is means.replayed
    assert error.attempts == 3
    if isinstance(came, RawResponse):
        assert (error.status, error.detail) == (came.status, None if came.status == 200 else "no")
    elif isinstance(error, OutcomeUnknownError):
        assert error.reason == came.reason
        assert "may have been created" in str(error)
    else:
        assert isinstance(error, ApiConnectionError)
        assert error.kind == came.kind
        assert came.reason in str(error)


def test_404_is_a_missing_key_only_where_an_id_was_asked_for() -> None:
    for call in (GET, DEACTIVATE):
        error = failed(call, answer(404))
        assert isinstance(error, KeyNotFoundError)
        assert error.key_id == KEY_ID
    for call in (LIST, CREATE):
        assert type(failed(call, answer(404))) is UnexpectedResponseError


def test_the_key_limit_is_told_by_its_text_alone() -> None:
    error = failed(CREATE, answer(400, {"detail": "Maximum number of active keys reached"}))
    assert type(error) is KeyLimitReachedError
    assert error.outcome is Outcome.REJECTED


@each_call
def test_credentials_that_could_not_be_verified_did_nothing(call: Request[Any]) -> None:
    """Whether the token is wrong or the identity provider is away, it is said before any handler runs."""
    unverified = answer(500, {"detail": "Unable to verify credentials"})
    assert isinstance(evaluated(call, unverified), Retry)
    error = failed(call, unverified, attempt=3)
    assert type(error) is ServerError
    assert error.outcome in (None, Outcome.REJECTED)
    assert "The token may be wrong, or the engine cannot reach its identity provider" in str(error)


@pytest.mark.parametrize("status", [200, 201])
def test_2xx_that_decodes_is_the_value(status: int) -> None:
    verdict = evaluated(GET, answer(status, RECORD), attempt=2)
    assert isinstance(verdict, Success)
    assert (verdict.value.id, verdict.attempts) == (KEY_ID, 2)
    created = evaluated(CREATE, answer(status, {**RECORD, "key": "s3cret"}))
    assert created.value.key.get_secret_value() == "s3cret"
    listed = evaluated(LIST, answer(status, [RECORD, {**RECORD, "new": {"field": 1}, "roles": ["NEW-ROLE"]}]))
    assert [record.roles for record in listed.value] == [[], ["NEW-ROLE"]]


def test_a_deactivation_is_answered_without_a_record_or_with_its_own() -> None:
    for status in (200, 204):
        verdict = evaluated(DEACTIVATE, RawResponse(status))
        assert isinstance(verdict, Success)
        assert verdict.value is None
        assert type(failed(GET, RawResponse(status))) is UnexpectedResponseError
    assert evaluated(DEACTIVATE, answer(200, RECORD)).value.id == KEY_ID
    assert failed(DEACTIVATE, answer(200, OTHER)).outcome is Outcome.UNKNOWN
    assert "another key" in str(failed(GET, answer(200, OTHER)))


@pytest.mark.parametrize(
    ("call", "body", "faults"),
    [
        (GET, b"{}", "id: missing; is_active: missing; created_at: missing"),
        (GET, {"roles": [7]}, "id: missing; is_active: missing; created_at: missing"),
        (GET, b"null", "body: model_type"),
        (LIST, [RECORD, {**OTHER, "is_active": "?"}], f"the record of key {OTHER['id']}: 1.is_active: bool_type"),
        (LIST, [{"is_active": True}], "0.id: missing; 0.created_at: missing"),
        (CREATE, RECORD, "key: missing"),
        (CREATE, b"[", "body: json_invalid"),
        (CREATE, {**RECORD, "id": "key-17", "key": "secret"}, "id: no UUID"),
    ],
)
def test_what_does_not_decode_is_told_by_place_and_type(call: Request[Any], body: object, faults: str) -> None:
    assert f"({faults})" in str(failed(call, answer(200, body)))


@pytest.mark.parametrize("key", [None, "", 7])
def test_a_create_without_a_usable_secret_is_applied_and_names_the_id(key: object) -> None:
    error = failed(CREATE, answer(200, {**RECORD, "key": key}))
    assert type(error) is UnexpectedResponseError
    assert (error.outcome, error.status, error.key_id) == (Outcome.APPLIED, 200, KEY_ID)
    assert KEY_ID in str(error)
    assert "(key: " in str(error)
    assert "deactivate it" in error.next_step


@each_call
def test_an_answer_that_cannot_be_taken_is_not_read(call: Request[Any]) -> None:
    came = answer(200, {**RECORD, "key": "s3cret"})
    came.problem = "compressed, which was not asked for"
    assert "(compressed, which was not asked for)" in str(failed(call, came))


def test_an_answer_that_is_too_long_is_not_said_to_be_of_another_service() -> None:
    error = failed(LIST, answer(200, []).mark_truncated())
    assert "longer than this client reads (more than 32 MiB)" in str(error)
    assert "very long descriptions" in error.next_step
    assert "base URL" not in str(error)


@pytest.mark.parametrize(
    ("worst", "call", "came", "outcome"),
    [
        (Outcome.REJECTED, CREATE, NOT_SENT, Outcome.REJECTED),
        (Outcome.NOT_SENT, CREATE, answer(403), Outcome.REJECTED),
        (Outcome.REJECTED, CREATE, answer(200, RECORD), Outcome.APPLIED),
        (Outcome.UNKNOWN, DEACTIVATE, answer(403), Outcome.UNKNOWN),
        (Outcome.REJECTED, DEACTIVATE, BROKEN, Outcome.UNKNOWN),
    ],
)
def test_the_outcome_is_the_worst_of_all_attempts(
    worst: Outcome, call: Request[Any], came: RawResponse | TransportFailure, outcome: Outcome
) -> None:
    assert failed(call, came, attempt=3, worst_outcome=worst).outcome is outcome


def test_the_worst_outcome_is_handed_on() -> None:
    again = evaluated(DEACTIVATE, BROKEN)
    assert again.outcome is Outcome.UNKNOWN
    error = failed(DEACTIVATE, NOT_SENT, attempt=3, worst_outcome=again.outcome)
    assert "may be deactivated or still active" in str(error)


class TestTheWait:
    @each_call
    def test_after_429_is_a_backoff_or_what_the_server_asks_for(self, call: Request[Any]) -> None:
        assert evaluated(call, answer(429), jitter=0.5).wait == 0.125
        assert evaluated(call, answer(429), attempt=2, jitter=0.5).wait == 0.25
        for asked in ("7", "0", "60"):
            assert evaluated(call, answer(429, retry_after=asked), settings=PATIENT).wait == int(asked)

    @each_call
    def test_that_is_too_long_is_raised(self, call: Request[Any]) -> None:
        error = failed(call, answer(429, retry_after="61"), settings=PATIENT)
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == 61
        for_ever = failed(call, answer(429, retry_after="9" * 400))
        assert isinstance(for_ever, RateLimitedError)
        assert for_ever.retry_after == 9_999_999_999

    @pytest.mark.parametrize(("asked", "wait"), [("3", 3), ("1.5", 1.5), (" 0.25 ", 0.25), ("0", 0)])
    def test_after_503_is_what_the_server_asks_for(self, asked: str, wait: float) -> None:
        assert evaluated(GET, answer(503, retry_after=asked)).wait == wait

    def test_until_a_date_counts_from_the_answer(self) -> None:
        for date in ("Mon, 23 Nov 2026 12:00:30 GMT", "Mon Nov 23 12:00:30 2026"):
            came = answer(429, retry_after=date)
            came.received_at = 1795435200.0 + 10  # 12:00:10
            assert evaluated(GET, came).wait == pytest.approx(20)
            came.received_at += 100
            assert evaluated(GET, came).wait == 0
        assert evaluated(GET, answer(429, retry_after="Thu, 01 Jan 1970 00:00:07 GMT")).wait == 7

    @pytest.mark.parametrize(
        "nonsense",
        [
            *("-1", "soon", "", "1e3", "1.", ".5", "1.5.5", "٣", "Mon, 99 Foo 2026"),
            *(f"Fri, 31 Dec {year} 23:59:59 GMT" for year in (99_999, 10**22)),
        ],
    )
    def test_that_makes_no_sense_is_a_backoff(self, nonsense: str) -> None:
        assert evaluated(GET, answer(429, retry_after=nonsense)).wait == 0.25

    def test_is_bounded_and_never_goes_past_the_deadline(self) -> None:
        assert evaluated(GET, NOT_SENT, attempt=20, settings=PATIENT).wait == 8
        assert isinstance(evaluated(GET, NOT_SENT, elapsed=59.7), Retry)
        assert isinstance(evaluated(GET, NOT_SENT, elapsed=59.75), ApiConnectionError)


class TestTheServersWords:
    def test_are_bounded_printable_and_without_the_token(self) -> None:
        came = answer(400, {"detail": "token-1 \x1b[31m" + "x" * 5000})
        came.token = "token-1"
        error = failed(GET, came)
        assert error.detail
        assert error.detail.startswith("[token]  [31mxxx")
        assert error.detail.endswith("xxx…")
        assert len(error.detail) == 1000
        assert "token-1" not in str(error)
        assert failed(GET, answer(400, {"detail": "x" * 1000})).detail == "x" * 1000

    @pytest.mark.parametrize("rest", [b"ab", b"abc", b"abcd", b"a longer secret"])
    @pytest.mark.parametrize("before", ["", "k", "ke", "key", "keys"])
    def test_have_a_secret_masked_whatever_it_is_glued_to(self, before: str, rest: bytes) -> None:
        for key_id in (KEY_ID, KEY_ID.upper()):
            secret = base64.b64encode(key_id.encode() + b":" + rest).decode()
            assert failed(GET, answer(400, {"detail": f"no {before}{secret} here"})).detail == "no [secret] here"

    def test_that_only_look_like_a_secret_stay(self) -> None:
        for text in (f"{KEY_ID} and more", "this is long enough to be a secret, but it is none"):
            words = f"no key XXXX-XXXX {base64.b64encode(text.encode()).decode()}"
            assert failed(GET, answer(400, {"detail": words})).detail == words

    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            ({"loc": ["X-Team", 0], "msg": "Too long: ", "input": "s3cret"}, "X-Team.0: Too long"),
            ({"msg": "Too long"}, "Too long"),
            ({"loc": "body", "msg": "Too long"}, "Too long"),
            ({"loc": ["body"]}, "body"),
        ],
    )
    def test_in_a_list_are_told_as_far_as_they_are_there(self, fault: object, told: str) -> None:
        assert failed(CREATE, answer(422, {"detail": [fault, 7, {"loc": [], "msg": "no"}]})).detail == f"{told}; no"

    def test_in_a_list_are_ten_at_most(self) -> None:
        detail = failed(CREATE, answer(422, {"detail": [{"msg": f"fault {number}"} for number in range(11)]})).detail
        assert detail
        assert detail.split("; ") == [f"fault {number}" for number in range(10)]

    @pytest.mark.parametrize(
        "body", [b"<html>", b"\xff\xfe", b"[" * 5000, b"[7]", b"null", b'{"detail": 7}', b'{"detail": [7]}']
    )
    def test_are_none_in_a_body_of_another_shape(self, body: bytes) -> None:
        assert failed(GET, answer(400, body)).detail is None

    def test_are_told_without_lines_of_its_source(self) -> None:
        detail = "1 error:\n  File \"/app/src/main.py\", line 7, in f\n{'type': 'missing'} in X"
        error = failed(CREATE, answer(400, {"detail": detail}))
        assert error.detail == "1 error: {'type': 'missing'} in X"
        assert f"400 Bad Request: {error.detail}. No key was changed." in str(error)

    @pytest.mark.parametrize(
        ("status", "body", "told"),
        [
            (404, b"", "404 Not Found. "),
            (404, {"detail": "Not Found"}, "404 Not Found. "),
            (404, {"detail": "No such key"}, "404 Not Found: No such key. "),
            (500, {"detail": "It went wrong."}, "500 Internal Server Error: It went wrong. "),
            (499, b"", "499. "),
            (499, {"detail": "gone"}, "499: gone. "),
        ],
    )
    def test_follow_its_status(self, status: int, body: object, told: str) -> None:
        text = str(failed(DEACTIVATE, answer(status, body), elapsed=59.9))
        assert text.startswith(f"deactivate {KEY_ID}: the server answered {told}")


class TestWhatAnErrorSays:
    def test_next_steps(self) -> None:
        for came in (UNTRUSTED, REFUSED):
            assert "ssl_context=" in failed(GET, came).next_step
        assert "Keep the client open" in failed(GET, CLOSED).next_step
        assert "proxy" in failed(GET, answer(407)).next_step

    def test_the_attempts_where_there_were_more_than_one(self) -> None:
        assert "after" not in str(failed(LIST, CLOSED))
        error = failed(LIST, answer(429, retry_after="61"), attempt=2, elapsed=4.51)
        assert error.elapsed == 4.51
        told = "list: the server answered 429 Too Many Requests (after 2 attempts in 4.5 s)."
        assert str(error) == f"{told} {error.next_step}"

    def test_what_was_changed_where_something_could_be(self) -> None:
        unchanged = "No key was changed."
        for call in (CREATE, DEACTIVATE):
            assert unchanged in str(failed(call, NOT_SENT, attempt=3))
            assert unchanged in str(failed(call, answer(403)))
        for call in (GET, LIST):
            assert unchanged not in str(failed(call, answer(403)))
        assert unchanged not in str(failed(CREATE, BROKEN))

    def test_the_place_that_could_not_be_reached(self) -> None:
        place = "(http://localhost)"
        assert f"the connection was refused {place} (after 3 attempts" in str(failed(LIST, NOT_SENT, attempt=3))
        assert place not in str(failed(LIST, CLOSED))
        assert place not in str(failed(LIST, BROKEN, attempt=3))

    def test_that_nothing_could_end_a_key_any_more(self) -> None:
        error = never_ended(KEY_ID)
        told = f"Key {KEY_ID} may still be active: its program or event loop ended before it could be deactivated."
        assert (error.args, error.key_id, error.outcome) == ((told,), KEY_ID, Outcome.UNKNOWN)
        assert error.next_step == "Deactivate it."

    def test_that_no_token_could_be_had_any_more(self) -> None:
        def told(**how: Any) -> ApiKeysError:
            return token_failure(DEACTIVATE, ConfigurationError("It is gone.", outcome=Outcome.NOT_SENT), **how)

        error = told(attempts=2, elapsed=1.5, worst_outcome=Outcome.REJECTED)
        assert error.args == ("deactivate: It is gone. No key was changed.",)
        assert (error.outcome, error.next_step) == (Outcome.REJECTED, "Correct the setting.")
        assert (error.attempts, error.elapsed, error.key_id) == (2, 1.5, KEY_ID)
        error = told(attempts=0, elapsed=0.5, worst_outcome=None)
        assert (error.args, error.outcome) == (("It is gone.",), Outcome.NOT_SENT)
        read = token_failure(LIST, ConfigurationError("Gone."), attempts=1, elapsed=1.5, worst_outcome=None)
        assert read.args == ("list: Gone.",)

    def test_that_a_deactivation_could_not_be_read_back(self) -> None:
        failure = failed(GET, answer(503, {"detail": "busy"}), attempt=3)
        error = readback_failed(failure, attempts=2)
        assert type(error) is ServerError
        assert "is deactivated" in str(error)
        assert str(failure.args[0]) in str(error)
        assert "Get the key" in error.next_step
        kept = {name: value for name, value in vars(error).items() if name not in ("attempts", "outcome", "next_step")}
        assert kept.items() <= vars(failure).items()
        assert (error.status, error.detail, error.attempts, error.outcome) == (503, "busy", 5, Outcome.APPLIED)

    def test_that_the_record_of_a_deactivated_key_is_active(self) -> None:
        error = still_active(evaluated(GET, answer(200, RECORD)).value, attempts=2, elapsed=1.5)
        assert type(error) is UnexpectedResponseError
        assert (error.outcome, error.key_id, error.attempts, error.elapsed) == (Outcome.UNKNOWN, KEY_ID, 2, 1.5)
        assert KEY_ID in str(error)
        assert "deactivate it again" in error.next_step
