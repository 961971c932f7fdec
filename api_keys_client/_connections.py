"""Connections of urllib3 that know two things more: whether a byte left, and when the whole answer is due."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FRESH_FOR = 1.0
"""Seconds for which an idle connection is trusted with a create: the engine closes its own after about two."""


class Attempt:
    """What one attempt needs to tell its connection, and to know of it."""

    __slots__ = ("closed", "connection", "fresh", "sent")

    def __init__(self, fresh: bool, closed: threading.Event) -> None:
        self.fresh = fresh
        self.closed = closed
        self.sent = False
        self.connection: HTTPConnection | None = None


class _Current(threading.local):
    attempt: Attempt | None = None


# The pool chooses the connection deep inside urlopen, in the same thread: this is how the two meet.
current = _Current()


class _BoundedReader(socket.SocketIO):
    """Reads a socket until one moment for the whole answer: urllib3's own timeout begins anew with each byte."""

    def __init__(self, sock: socket.socket, answer_by: float) -> None:
        super().__init__(sock, "r")
        # What socket.makefile does: http.client closes the socket before the body is read.
        sock._io_refs += 1  # type: ignore[attr-defined]
        self._socket = sock
        self._answer_by = answer_by

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client calls on what it takes for the socket."""
        return io.BufferedReader(self)

    def readinto(self, buffer: WriteableBuffer) -> int | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        remaining = self._answer_by - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)
        return super().readinto(buffer)


class _Watched(HTTPConnection):
    """A connection that knows whether a byte of the request left, and when the whole answer is due."""

    # Not the class's own: a program that sets http.client's debug level would print the token.
    debuglevel = 0
    _idle_since = 0.0
    _answer_by = 0.0

    @property
    def is_connected(self) -> bool:
        attempt = current.attempt
        if attempt and attempt.fresh and time.monotonic() - self._idle_since > FRESH_FOR:
            return False
        return super().is_connected

    def connect(self) -> None:
        self._answer_by = time.monotonic() + (self.timeout or 0.0)
        super().connect()

    def endheaders(self, *args: Any, **options: Any) -> None:
        if self.sock is None:
            self.connect()
        attempt = current.attempt
        if attempt:
            attempt.connection = self
            if attempt.closed.is_set():
                raise ConnectionAbortedError
            attempt.sent = True
        super().endheaders(*args, **options)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3 itself
        now = self._idle_since = time.monotonic()
        self._answer_by = now + (self.timeout or 0.0)
        return super().getresponse()

    def response_class(  # type: ignore[override]  # http.client only ever calls it
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None
    ) -> http.client.HTTPResponse:
        reader = cast("socket.socket", _BoundedReader(sock, self._answer_by))
        return http.client.HTTPResponse(reader, debuglevel, method)


# urllib3 describes its connections by protocols that its own classes don't match to the letter.
class _WatchedTLS(_Watched, HTTPSConnection):  # pyright: ignore[reportIncompatibleVariableOverride]
    pass


class Pool(HTTPConnectionPool):
    ConnectionCls = _Watched  # pyright: ignore[reportAssignmentType]


class PoolTLS(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS  # pyright: ignore[reportAssignmentType]
