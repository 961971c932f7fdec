"""Faults that a sandbox can be told to have: each meets one request, and most of them lose its answer.

    sandbox.queue(Fault.drop(committed=True), operation="create")

`committed` says whether the request takes effect before the fault comes. Times are in seconds.
A connection that is dropped is reset. For development and tests only.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import responses
from typing import Final

from werkzeug.wrappers import Request, Response

from api_keys_client.sandbox.answers import PlainResponse, json_response

_POLL: Final = 0.02


class Dropped(Exception):
    """Raised by a fault: the request gets no answer, and its connection is reset."""


@dataclass(repr=False)
class Exchange:
    """One request, and what a fault can do with it.

    `answer` and `pause` raise `Dropped` once the sandbox was reset or stopped.
    """

    _request: Request
    answer: Callable[[], Response]
    """Does what was asked, and gives the answer."""
    _ending: threading.Event
    _background: list[threading.Thread]

    def answer_later(self, seconds: float) -> None:
        """Does what was asked `seconds` from now, in the background; the answer is lost."""

        def answer() -> None:
            with suppress(Dropped):
                self.pause(seconds)
                self.answer()

        thread = threading.Thread(target=answer, daemon=True)
        self._background.append(thread)
        thread.start()

    def pause(self, seconds: float) -> None:
        """Waits that long."""
        if self._ending.wait(seconds):
            raise Dropped

    def client_is_gone(self) -> bool:
        """Tells whether the client has closed the connection; afterwards the connection must be dropped."""
        connection = self._connection()
        connection.settimeout(_POLL)
        try:
            return not connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        except OSError:
            return True

    def drop(self) -> Response:
        """Has the connection reset, by a response that makes Werkzeug's servers end it before they send a byte."""
        connection = self._connection()
        with suppress(OSError):
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.shutdown(socket.SHUT_RD)
        return PlainResponse(_cut())

    def _connection(self) -> socket.socket:
        connection = self._request.environ.get("werkzeug.socket")
        if not isinstance(connection, socket.socket):
            raise RuntimeError("this fault needs the connection's socket, which only Werkzeug's servers give")
        return connection


@dataclass(frozen=True, repr=False)
class Fault:
    """What happens to one request instead of an answer; made by the static methods below.

    A fault of one's own is a name and a function from an `Exchange` to a response.

    Example:
        >>> sandbox.queue(Fault.drop(committed=True), operation="create")
    """

    name: str
    act: Callable[[Exchange], Response] = field(compare=False)

    def __repr__(self) -> str:
        return self.name

    @staticmethod
    def drop(*, committed: bool = False) -> Fault:
        """Resets the connection without an answer."""

        def act(exchange: Exchange) -> Response:
            if committed:
                exchange.answer()
            raise Dropped

        return Fault(f"Fault.drop({committed=})", act)

    @staticmethod
    def commit_late(seconds: float) -> Fault:
        """Resets the connection now; the request takes effect `seconds` later."""

        def act(exchange: Exchange) -> Response:
            exchange.answer_later(seconds)
            raise Dropped

        return Fault(f"Fault.commit_late({seconds})", act)

    @staticmethod
    def delay(seconds: float) -> Fault:
        """Waits, then does what was asked and answers."""

        def act(exchange: Exchange) -> Response:
            exchange.pause(seconds)
            return exchange.answer()

        return Fault(f"Fault.delay({seconds})", act)

    @staticmethod
    def silence(*, committed: bool = False) -> Fault:
        """Never answers: the connection stays open until the client leaves, or the sandbox is reset or stopped."""

        def act(exchange: Exchange) -> Response:
            if committed:
                exchange.answer()
            while not exchange.client_is_gone():
                exchange.pause(_POLL)
            raise Dropped

        return Fault(f"Fault.silence({committed=})", act)

    @staticmethod
    def status(code: int, detail: object = None, *, retry_after: int | str | None = None) -> Fault:
        """Answers `code` and does nothing.

        `detail` is what the body's `detail` says (any JSON value), by default the status's name.
        `retry_after` is the Retry-After header: seconds, or an HTTP date.
        """

        def act(exchange: Exchange) -> Response:
            exchange.pause(0)
            headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
            return json_response(code, {"detail": responses.get(code) if detail is None else detail}, headers)

        return Fault(f"Fault.status({code}, {detail!r}, {retry_after=})", act)

    @staticmethod
    def garbage(*, committed: bool = True) -> Fault:
        """Answers 200 with a page that is not JSON."""

        def act(exchange: Exchange) -> Response:
            if committed:
                exchange.answer()
            return PlainResponse("<html>This is no answer.</html>", 200, content_type="text/html")

        return Fault(f"Fault.garbage({committed=})", act)

    @staticmethod
    def truncated(*, chunked: bool = False) -> Fault:
        """Does what was asked, but closes the connection half-way through the answer's body.

        The body falls short of its Content-Length or, with `chunked`, lacks its last chunk. An answer
        that has no body becomes a 200 with half of one.
        """

        def act(exchange: Exchange) -> Response:
            answer = exchange.answer()
            body = answer.get_data() or b'{"id":"'
            status = answer.status_code if answer.get_data() else 200
            half = PlainResponse(_cut(body[: len(body) // 2]), status, content_type="application/json")
            if not chunked:
                half.content_length = len(body)
            return half

        return Fault(f"Fault.truncated({chunked=})", act)

    @staticmethod
    def hold(arrived: threading.Event, release: threading.Event, *, committed: bool = False) -> Fault:
        """Sets `arrived`, waits for `release`, then answers: for tests that put requests in an order.

        With `committed` the request has taken effect when `arrived` is set, without it not before `release` is.
        A client that leaves meanwhile changes nothing.
        """

        def act(exchange: Exchange) -> Response:
            answer = exchange.answer() if committed else None
            arrived.set()
            while not release.wait(_POLL):
                exchange.pause(0)
            return exchange.answer() if answer is None else answer

        return Fault(f"Fault.hold({committed=})", act)


def _cut(*body: bytes) -> Iterator[bytes]:
    yield from body
    # Werkzeug's servers end a connection at this, and print nothing.
    raise ConnectionAbortedError
