"""What can go wrong, as a tree.

ApiKeysError
├── ConfigurationError          a setting is wrong; nothing was sent (a ValueError too)
├── ApiConnectionError          the server could not be reached, or the connection broke
│   └── ApiTimeoutError         it took too long
├── AuthenticationError         401
├── PermissionDeniedError       403
├── KeyNotFoundError            404 for an id
├── InvalidRequestError         400 or 422, or refused before it was sent (a ValueError too)
├── KeyLimitReachedError        400: as many active keys as the server allows
├── RateLimitedError            429
├── ServerError                 5xx and 408
├── UnexpectedResponseError     an answer that this API does not give
├── ClockError                  the clocks of server and machine disagree: no end is known
├── OutcomeUnknownError         a create that may have happened: always this, and only then
└── RotationError               a rotation that did not end as it should

NotStored is no error of ours: a rotation's `store` raises it to say that it wrote nothing.

All of them pickle, so that a process pool hands them back whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Literal, TypeAlias, TypeVar

__all__ = [
    "ApiConnectionError",
    "ApiKeysError",
    "ApiTimeoutError",
    "AuthenticationError",
    "ClockError",
    "ConfigurationError",
    "InvalidRequestError",
    "KeyLimitReachedError",
    "KeyNotFoundError",
    "NotStored",
    "Outcome",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RotationError",
    "ServerError",
    "UnexpectedResponseError",
]


Error = TypeVar("Error", bound=BaseException)

FailureKind: TypeAlias = Literal[
    "closed",
    "dns",
    "not_tls",
    "other",
    "protocol",
    "proxy",
    "refused",
    "reset",
    "timeout",
    "tls",
    "tls_refused",
    "tls_untrusted",
]


class Outcome(StrEnum):
    """What a failed call that changes something did to the caller's keys."""

    NOT_SENT = "not_sent"
    """No byte of the request left, so nothing changed."""
    REJECTED = "rejected"
    """The server refused it, so nothing changed."""
    APPLIED = "applied"
    """The server did it, although the call failed afterwards."""
    UNKNOWN = "unknown"
    """It may have been done or not."""


class ApiKeysError(Exception):
    """Root of all errors of this package.

    Attributes:
        status: HTTP status (int) of the last answer; None if there was none.
        detail: the server's own words (str, at most 1,000 characters); None if it gave none.
        attempts: requests tried (int), those of reading back included; 0 if the call was refused before the first.
        elapsed: seconds (float) from the start of the call.
        retryable: whether the same call may succeed later without changing anything else.
        outcome: what became of a call that changes something; None for one that only reads.
        key_id: id (str) of the key that the error is about; None where there is none.
        next_step: what to do about it, one sentence (str).

    Example:
        >>> try:
        ...     client.deactivate("00000000-0000-4000-8000-000000000000")
        ... except ApiKeysError as error:
        ...     print(error.outcome)
        rejected
    """

    status: int | None = None
    detail: str | None = None
    attempts: int = 0
    elapsed: float = 0.0
    retryable: bool = False
    outcome: Outcome | None = None
    key_id: str | None = None
    next_step: str = ""

    def __init__(self, message: str, **fields: Any) -> None:
        """Takes any of the attributes by name; the class has the others."""
        super().__init__(message)
        for name in fields:
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no attribute {name}")
        vars(self).update(fields)

    def __str__(self) -> str:
        return f"{self.args[0]} {self.next_step}".rstrip()


class ConfigurationError(ApiKeysError, ValueError):
    """A setting of the client is missing or wrong. Nothing was sent, unless the token was lost between two attempts."""


class ApiConnectionError(ApiKeysError):
    """The server could not be reached, or the connection broke before the whole answer was there.

    Attributes:
        kind: what failed (FailureKind): "dns" the name, "refused" the connection, "proxy" its proxy's refusal,
            "tls_untrusted" the server's certificate, "tls_refused" this side's certificate or protocol, "not_tls" a
            port that speaks no TLS, "tls" the rest of TLS, "reset" a connection that broke, "protocol" an answer that
            is no HTTP, "timeout" the time allowed, "closed" the client, which was closed; "other" anything else.
    """

    next_step = "Check the base URL, the network and the proxy, then try again."
    kind: FailureKind = "other"


class ApiTimeoutError(ApiConnectionError):
    """The server could not be reached, or did not answer, within the time allowed."""

    next_step = "Check that the server is up, or allow more time with timeout= and deadline=."


class AuthenticationError(ApiKeysError):
    """401: the token was not accepted."""

    next_step = "Give the engine's admin key as token= or API_KEYS_TOKEN: keys minted here are not let in."


class PermissionDeniedError(ApiKeysError):
    """403: the token is valid, but not for this."""

    next_step = "Use a token that may manage API keys."


class KeyNotFoundError(ApiKeysError):
    """404: the server knows no key with this id."""

    next_step = "Check the id and the base URL; a deactivated key would still be found."


class InvalidRequestError(ApiKeysError, ValueError):
    """400 or 422, or an argument that was refused before it was sent (then `status` is None)."""

    next_step = "Correct the request; the same one will be refused again."


class KeyLimitReachedError(ApiKeysError):
    """400: the server has as many active keys as its setting allows."""

    next_step = "Deactivate keys that are no longer needed, or ask for a higher limit."


class RateLimitedError(ApiKeysError):
    """429: too many requests.

    Attributes:
        retry_after: seconds (float) that the server asked to wait; None if it named none.
    """

    next_step = "Wait, then try again."
    retry_after: float | None = None


class ServerError(ApiKeysError):
    """The server failed (5xx), or gave up waiting for the request (408)."""

    next_step = "Look at the server's log, then try again."


class UnexpectedResponseError(ApiKeysError):
    """The answer is not one that this API gives: often a proxy's, or another service's at this address."""

    next_step = "Check that the base URL is that of a GenAI Engine."


class ClockError(ApiKeysError):
    """The server's clock and this machine's are too far apart, or the server's isn't known: no end can be relied on."""

    next_step = "Set the clock that is wrong, then try again."


class OutcomeUnknownError(ApiKeysError):
    """A create that may have made a key, whose secret is then lost.

    Attributes:
        reason: what happened instead of a whole answer (str).
    """

    next_step = "List the keys and deactivate the one that this call may have made before creating again."
    reason: str = ""


class RotationError(ApiKeysError):
    """A rotation that stopped or was undone. Its text names every key that it knows to be active.

    Attributes:
        stage: the step (str) at which it stopped: "list", "leftovers", "verify", "store" or "deactivate".
        old_id: id (str) of the key that was to be replaced.
        new_id: id (str) of the new key; None where none is known to have been made.
        leftovers: ids (list of str) of further keys that are still active.
    """

    next_step = "See which of the named keys is in use, then rotate that one."
    stage: str = ""
    old_id: str = ""
    new_id: str | None = None
    leftovers: list[str]

    def __init__(
        self,
        message: str,
        *,
        leftovers: Iterable[str] = (),
        undo: Callable[[], Any] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message, **fields)
        self.leftovers = list(leftovers)
        self._undo = undo

    def undo(self) -> Any:
        """Deactivates the new key, for a caller who knows that it was not stored; the async client's is awaited.

        Only after a `store` that failed in a way that left this open; a RuntimeError otherwise, and in a copy that
        came out of a pickle.
        """
        if self._undo is None:
            raise RuntimeError("there is nothing to undo")
        return self._undo()

    def __reduce__(self) -> tuple[Any, ...]:
        # The undo holds the client, which cannot be pickled.
        return (type(self), self.args, {**vars(self), "_undo": None})


class NotStored(Exception):
    """Raised by a rotation's `store`: nothing was written, so the new key can be undone."""


def strip_traceback(error: Error) -> Error:
    """Takes from an exception the frames and the exceptions behind it, which hold secrets."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
