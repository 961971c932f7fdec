"""What the client tells the log of the program: no headers, no bodies, and nothing that changes what a call does."""

from __future__ import annotations

import logging
from typing import Any

from api_keys_client._core.messages import Operation, RawResponse, TransportFailure

_logger = logging.getLogger("api_keys_client")


def log_attempt(
    operation: Operation[Any], result: RawResponse | TransportFailure, *, attempt: int, seconds: float
) -> None:
    """Tells of one attempt, at DEBUG."""
    if _logger.isEnabledFor(logging.DEBUG):
        message = "%s %s %s %.0f ms attempt %d"
        said = (operation.method, operation.path, _reason(result), 1000 * seconds, attempt)
        _log(logging.DEBUG, message, said, operation, result, attempt=attempt, seconds=seconds)


def log_retry(operation: Operation[Any], result: RawResponse | TransportFailure, *, attempt: int, wait: float) -> None:
    """Tells that a call is tried again after a wait in seconds, and why, at INFO."""
    if _logger.isEnabledFor(logging.INFO):
        message = "%s is tried again in %.2f s after attempt %d: %s"
        said = (operation.name, wait, attempt, _reason(result))
        _log(logging.INFO, message, said, operation, result, attempt=attempt, wait=wait)


def _reason(result: RawResponse | TransportFailure) -> str:
    return str(result.status) if isinstance(result, RawResponse) else result.reason


def _log(
    level: int,
    message: str,
    said: tuple[object, ...],
    operation: Operation[Any],
    result: RawResponse | TransportFailure,
    **numbers: float,
) -> None:
    fields: dict[str, object] = {"operation": operation.name, "method": operation.method, "path": operation.path}
    fields |= {"status": result.status} if isinstance(result, RawResponse) else {"failure": result.kind}
    try:
        # Named so that they meet no field of another's.
        extra = {f"api_keys_{name}": value for name, value in {**fields, **numbers}.items()}
        _logger.log(level, message, *said, extra=extra)
    except Exception:  # noqa: S110  # a filter or handler of the program's: the call goes on without it
        pass
