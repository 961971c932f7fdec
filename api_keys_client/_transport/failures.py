"""What a library's exception means, in our own words. Pure.

A library's text may hold a URL with a password, headers or a body; ours holds none of them.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import TypeAlias

from api_keys_client._core.messages import TransportFailure
from api_keys_client.errors import FailureKind

_LIBRARIES = sys.stdlib_module_names | {"aiohttp", "urllib3"}
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")

_SPEAKS_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
"""How OpenSSL calls an answer that is no TLS, by its version."""

Reasons: TypeAlias = tuple[tuple[type[BaseException], FailureKind, str], ...]

_REASONS: Reasons = (
    (socket.gaierror, "dns", "the host name cannot be resolved"),
    (ConnectionRefusedError, "refused", "the connection was refused"),
    (http.client.RemoteDisconnected, "reset", "the connection was closed without an answer"),
    (http.client.IncompleteRead, "reset", "the answer was cut off"),
    (ConnectionResetError, "reset", "the connection was reset"),
    (BrokenPipeError, "reset", "the connection was closed while the request was sent"),
    (http.client.HTTPException, "protocol", "the answer is not HTTP"),
    (ssl.SSLEOFError, "reset", "the connection was closed in the midst of TLS"),
)


def classify_failure(
    error: BaseException, *, sent: bool, timeouts: tuple[type[BaseException], ...], reasons: Reasons = ()
) -> TransportFailure:
    """Gives the value for an attempt that ended in an exception.

    Args:
        sent: whether a byte of the request left.
        timeouts: the library's own exceptions for what took too long.
        reasons: its other exceptions that say more than what is behind them, in our words.
    """
    chain = [*_chain(error)]
    tls = _tls(chain, sent)
    if tls:
        return tls
    for cause in chain:
        tunnel = _TUNNEL.match(str(cause)) if isinstance(cause, OSError) else None
        if tunnel:
            return TransportFailure(sent, "proxy", f"the proxy refused the connection with {tunnel[1]}")
    for kind_of_error, kind, words in (*_REASONS, *reasons):
        if any(isinstance(cause, kind_of_error) for cause in chain):
            return TransportFailure(sent, kind, words)
    if any(isinstance(cause, TimeoutError) for cause in chain):
        return _late(sent)
    for cause in chain:
        if isinstance(cause, OSError) and cause.strerror:
            return TransportFailure(sent, "other", cause.strerror.lower())
    if any(isinstance(cause, timeouts) for cause in chain):
        return _late(sent)
    return TransportFailure(sent, "other", f"the connection failed ({type(error).__name__})")


def _tls(chain: list[BaseException], sent: bool) -> TransportFailure | None:
    ends = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
    failures = [cause for cause in chain if isinstance(cause, ssl.SSLError) and not isinstance(cause, ends)]
    # A library's own subclass says nothing of these two: they are with what is behind it.
    for failure in failures:
        distrust, reason = getattr(failure, "verify_message", None), getattr(failure, "reason", None)
        if distrust:
            return TransportFailure(sent, "tls_untrusted", f"the server's certificate does not verify: {distrust}")
        if reason:
            words = f"TLS failed: {reason.replace('_', ' ').lower()}"
            # An alert is the server's word on our certificate or protocol: it will say it again.
            if "ALERT" in reason:
                return TransportFailure(sent, "tls_refused", words)
            return TransportFailure(sent, "not_tls" if reason in _SPEAKS_NO_TLS else "tls", words)
    return TransportFailure(sent, "tls", "TLS failed") if failures else None


def is_interruption(error: BaseException) -> bool:
    """Tells whether it came from outside: Ctrl-C, a cancellation, or an exception of a class that the program defines.

    What a signal handler raises of the standard library's own exceptions cannot be told from a failed attempt.
    """
    return not isinstance(error, Exception) or type(error).__module__.partition(".")[0] not in _LIBRARIES


def _late(sent: bool) -> TransportFailure:
    return TransportFailure(
        sent, "timeout", "no whole answer came in time" if sent else "no connection was made in time"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Gives the exception and those behind it, nearest first."""
    while error is not None:
        yield error
        for argument in error.args:
            if isinstance(argument, BaseException):
                yield argument
        error = error.__cause__ or error.__context__
