"""What one attempt meant. Pure: time and chance are passed in.

From the request, what came back, the attempt's number and the time gone: the value, a wait before
the next attempt, or the error. The table is in docs/guides/errors.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http.client import responses
from typing import Any, Generic, NamedTuple

from pydantic_core import from_json

from api_keys_client._core.generated import ApiKeyResponse
from api_keys_client._core.masking import masked
from api_keys_client._core.messages import (
    TOO_LONG,
    DecodeFailure,
    Operation,
    RawResponse,
    Request,
    T,
    TransportFailure,
    http_date,
)
from api_keys_client._core.options import Settings
from api_keys_client.errors import (
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

FIRST_BACKOFF = 0.25
MAX_BACKOFF = 8.0
MAX_RETRY_AFTER = 60.0
MAX_DETAIL = 1_000

_CHECK_TLS = "Check the base URL's host, this machine's clock, and what ssl_context= holds."
_FINAL = {
    "tls_untrusted": _CHECK_TLS,
    "tls_refused": _CHECK_TLS,
    "closed": "Keep the client open while calls are in flight.",
}
"""The failures for which trying again is of no use, and what to do about each."""

_REFUSALS: dict[int, type[ApiKeysError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    408: ServerError,
    422: InvalidRequestError,
    429: RateLimitedError,
}
"""The error for a status: ServerError from 500 on, UnexpectedResponseError for the others."""

_REPLAYED = frozenset({408, 500, 502, 503, 504})
_LIMIT_REACHED = "Maximum number of active keys reached"
_UNVERIFIED = "Unable to verify credentials"
_SOURCE_LINE = re.compile(r"\s*File \".*")
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_SEVERITY = (None, *Outcome)


class Success(NamedTuple, Generic[T]):
    """The call has its value, after so many attempts."""

    value: T
    attempts: int
    date: str | None
    """The server's clock, as its answer says it; see `http_date`."""


class Retry(NamedTuple):
    """The call is to be tried again, after a wait in seconds."""

    wait: float
    outcome: Outcome | None
    """The worst over the attempts so far."""


class Deactivation(NamedTuple):
    """What came of one id of `deactivate_many`, or of one key of `sweep`.

    Attributes:
        key_id: the id (str).
        record: the key's record; None where it failed.
        error: why it failed; None where it did not.
    """

    key_id: str
    record: ApiKeyResponse | None = None
    error: ApiKeysError | None = None


@dataclass(repr=False, eq=False)
class _Failure:
    """One attempt that did not give the value."""

    error: type[ApiKeysError]
    what: str
    outcome: Outcome
    replay: bool = False
    asked_wait: float | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def evaluate(
    request: Request[T],
    result: RawResponse | TransportFailure,
    *,
    attempt: int,
    elapsed: float,
    settings: Settings,
    jitter: float,
    worst_outcome: Outcome | None = None,
) -> Success[T] | Retry | ApiKeysError:
    """Gives what this attempt means for the request.

    Args:
        attempt: its number, from 1 on.
        elapsed: seconds since the call began.
        jitter: a random number from 0 to 1, for the jitter.
        worst_outcome: the worst outcome of the attempts before this one: that one may have been done holds, whatever
            the next one says.
    """
    if isinstance(result, TransportFailure):
        failure = _transport_failure(request, result, settings)
    elif 200 <= result.status < 300:
        result.unpack()
        value = DecodeFailure(result.problem) if result.problem else request.operation.decode(result, request.key_id)
        if not isinstance(value, DecodeFailure):
            return Success(value, attempt, result.date)
        failure = _decode_failure(result, value)
    else:
        result.unpack()
        failure = _status_failure(request, result)

    outcome = max(worst_outcome, failure.outcome, key=_SEVERITY.index) if request.operation.changes else None
    if failure.replay and attempt < settings.max_attempts:
        wait = failure.asked_wait
        if wait is None:
            wait = jitter * min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** (attempt - 1))
        if wait <= MAX_RETRY_AFTER and elapsed + wait < settings.deadline:
            return Retry(wait, outcome)
    return _error(request, failure, attempt=attempt, elapsed=elapsed, outcome=outcome)


def token_failure(
    request: Request[Any], error: ApiKeysError, *, attempts: int, elapsed: float, worst_outcome: Outcome | None
) -> ApiKeysError:
    """Adds to the error for a token that could not be had what the attempts before it mean; gives the same error."""
    error.attempts, error.elapsed, error.key_id = attempts, elapsed, request.key_id
    if attempts:
        error.outcome, error.next_step = worst_outcome, "Correct the setting."
        meaning = _meaning(request.operation, worst_outcome)
        error.args = (f"{request.operation.name}: {error.args[0]} {meaning}".rstrip(),)
    return error


def readback_failed(failure: ApiKeysError, *, attempts: int) -> ApiKeysError:
    """Makes of the error of a reading back that of a deactivation, which was done in so many attempts."""
    failure.args = (f"The server answered that the key is deactivated, but reading it back failed: {failure.args[0]}",)
    failure.attempts += attempts
    failure.outcome, failure.next_step = Outcome.APPLIED, "Get the key to see that it is inactive."
    return failure


def never_ended(key_id: str) -> ApiKeysError:
    """Gives the error of a deactivation that was to be done to its end, but that nothing could do any more."""
    return ApiConnectionError(
        f"Key {key_id} may still be active: its program or event loop ended before it could be deactivated.",
        outcome=Outcome.UNKNOWN,
        key_id=key_id,
        next_step="Deactivate it.",
    )


def still_active(record: ApiKeyResponse, *, attempts: int, elapsed: float) -> ApiKeysError:
    """Gives the error of a deactivation that was answered as done, while the record says that the key is active."""
    return UnexpectedResponseError(
        f"The server answered that key {record.id} is deactivated, but its record says that it is active.",
        attempts=attempts,
        elapsed=elapsed,
        outcome=Outcome.UNKNOWN,
        key_id=record.id,
        next_step="Get the key to see whether it is still active, and deactivate it again.",
    )


def _transport_failure(request: Request[Any], failed: TransportFailure, settings: Settings) -> _Failure:
    error: type[ApiKeysError] = ApiTimeoutError if failed.kind == "timeout" else ApiConnectionError
    outcome = Outcome.UNKNOWN if failed.sent else Outcome.NOT_SENT
    replay = failed.kind not in _FINAL and (request.operation.idempotent or not failed.sent)
    # Where it could not be reached: the address may be the default, or another's.
    place = f" ({settings.base_url})" if not failed.sent and failed.kind != "closed" else ""
    failure = _Failure(error, f"{failed.reason}{place}", outcome, replay, fields={"kind": failed.kind})
    if failed.kind in _FINAL:
        failure.fields["next_step"] = _FINAL[failed.kind]
    return failure


def _decode_failure(answer: RawResponse, found: DecodeFailure) -> _Failure:
    failure = _Failure(
        UnexpectedResponseError,
        f"the server answered {answer.status} with what is no answer of this API ({found.reason})",
        Outcome.UNKNOWN,
        fields={"status": answer.status},
    )
    if found.reason.startswith(TOO_LONG):
        failure.what = f"the server's answer is longer than this client reads ({found.reason})"
        failure.fields["next_step"] = "Keys with very long descriptions make it so: deactivate those, by their ids."
    elif found.key_id is not None:
        failure.what = f"the server answered with key {found.key_id}, but its answer cannot be used ({found.reason})"
        failure.outcome = Outcome.APPLIED
        failure.fields["key_id"] = found.key_id
        failure.fields["next_step"] = (
            "Get that key. If it is the one that was to be created, deactivate it: its secret is lost."
        )
    return failure


def _status_failure(request: Request[Any], answer: RawResponse) -> _Failure:
    status, detail = answer.status, _detail(answer)
    phrase = responses.get(status, "")
    what = f"the server answered {status} {phrase}".rstrip()
    # Some servers say the status's name again.
    told = what if detail in (None, phrase) else f"{what}: {detail}".rstrip(".")
    error = _REFUSALS.get(status, ServerError if status >= 500 else UnexpectedResponseError)
    fields: dict[str, Any] = {"status": status, "detail": detail}
    failure = _Failure(error, told, Outcome.REJECTED, fields=fields)
    said = detail or ""
    if status == 404 and request.key_id is not None:
        failure.error = KeyNotFoundError
    elif error is InvalidRequestError and said.startswith(_LIMIT_REACHED):
        failure.error = KeyLimitReachedError
    elif status == 407:
        fields["next_step"] = "Give the proxy what it asks for, as user:password@ in its URL."
    elif status == 429:
        failure.replay, failure.asked_wait = True, _retry_after(answer)
        fields["retry_after"] = failure.asked_wait
    elif 300 <= status < 400 and status not in (307, 308):
        # These are also how a request that was done is answered; the other two say that it is to be sent elsewhere.
        failure.outcome = Outcome.UNKNOWN
    elif status == 500 and said.startswith(_UNVERIFIED):
        # Said before any handler runs, so that nothing was done.
        failure.replay = True
        fields["next_step"] = "The token may be wrong, or the engine cannot reach its identity provider: see which."
    elif error is ServerError:
        failure.outcome = Outcome.UNKNOWN
        failure.replay = status in _REPLAYED and request.operation.idempotent
        failure.asked_wait = _retry_after(answer)
    return failure


def _error(
    request: Request[Any], failure: _Failure, *, attempt: int, elapsed: float, outcome: Outcome | None
) -> ApiKeysError:
    kind, fields = failure.error, failure.fields
    operation = request.operation
    if not operation.idempotent and outcome is Outcome.UNKNOWN:
        kind = OutcomeUnknownError
        fields = {"status": fields.get("status"), "detail": fields.get("detail"), "reason": failure.what}
    name = operation.name if request.key_id is None else f"{operation.name} {request.key_id}"
    tried = f" (after {attempt} attempts in {elapsed:.1f} s)" if attempt > 1 else ""
    return kind(
        f"{name}: {failure.what}{tried}. {_meaning(operation, outcome)}".rstrip(),
        attempts=attempt,
        elapsed=elapsed,
        retryable=failure.replay,
        outcome=outcome,
        **{"key_id": request.key_id, **fields},
    )


def _meaning(operation: Operation[Any], outcome: Outcome | None) -> str:
    if outcome is Outcome.UNKNOWN:
        return operation.unknown
    return "No key was changed." if outcome in (Outcome.NOT_SENT, Outcome.REJECTED) else ""


def _detail(answer: RawResponse) -> str | None:
    """Gives the server's words: a string, or FastAPI's list of faults without the caller's input."""
    try:
        body = from_json(masked(answer.body, answer.token))
    except ValueError:
        return None
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(_fault(item) for item in detail[:10] if isinstance(item, dict))
    if not isinstance(detail, str):
        return None
    # The engine tells where in its own source a fault was found, too.
    detail = "\n".join(line for line in detail.splitlines() if not _SOURCE_LINE.fullmatch(line))
    if not detail:
        return None
    if len(detail) > MAX_DETAIL:
        detail = detail[: MAX_DETAIL - 1] + "…"
    return "".join(character if character.isprintable() else " " for character in detail)


def _fault(item: dict[str, Any]) -> str:
    place = item.get("loc")
    where = ".".join(str(part) for part in place) if isinstance(place, list) else ""
    return f"{where}: {item.get('msg', '')}".strip(": ")


def _retry_after(answer: RawResponse) -> float | None:
    """Gives seconds from a Retry-After of either form; None where it is absent, negative or nonsense."""
    asked = (answer.retry_after or "").strip()
    if _SECONDS.fullmatch(asked):
        return float(asked[:10])
    date = http_date(asked)
    return None if date is None else max(0.0, date.timestamp() - answer.received_at)
