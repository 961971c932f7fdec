"""The urllib3 driver: one attempt, and the sync twins of what unasync cannot derive.

Exceptions of the library become values here (`Lost`), so that no error of ours drags them,
with the token in their frames and contexts, along.
"""

from __future__ import annotations

import http.client
import io
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from _generated import ApiClient, APIKeysApi
from _generated.rest import RESTClientObject
from api_keys_client._calls import Answer, Call, Lost, configuration
from api_keys_client._failures import lost
from api_keys_client.errors import ApiConnectionError, Outcome
from api_keys_client.settings import SecretHeaders, Settings

Item = TypeVar("Item")
Result = TypeVar("Result")

POOL_SIZE = 20
FRESH_FOR = 1.0
"""Seconds for which an idle connection is trusted with a create: the engine closes its own after about two."""
ANSWER_MOST = 32 * 1024 * 1024
ERROR_MOST = 64 * 1024

_TIMEOUTS = (urllib3.exceptions.TimeoutError, urllib3.exceptions.EmptyPoolError)
_NO_RETRIES = urllib3.Retry(total=False, redirect=False)


class _Attempt:
    """What one attempt needs to tell its connection, and to know of it."""

    __slots__ = ("closed", "connection", "fresh", "sent")

    def __init__(self, fresh: bool, closed: threading.Event) -> None:
        self.fresh = fresh
        self.closed = closed
        self.sent = False
        self.connection: HTTPConnection | None = None


class _Current(threading.local):
    attempt: _Attempt | None = None


# The pool chooses the connection deep inside urlopen, in the same thread: this is how the two meet.
_current = _Current()


class _BoundedReader(io.RawIOBase):
    """Reads a socket until one moment for the whole answer: urllib3's own timeout begins anew with each byte."""

    def __init__(self, sock: socket.socket, answer_by: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._answer_by = answer_by

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client calls on what it takes for the socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._answer_by - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._sock.settimeout(remaining)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Watched(HTTPConnection):
    """A connection that knows whether a byte of the request left, and when the whole answer is due."""

    # Not the class's own: a program that sets http.client's debug level would print the token.
    debuglevel = 0
    _idle_since = 0.0
    _answer_by = 0.0

    @property
    def is_connected(self) -> bool:
        attempt = _current.attempt
        if attempt and attempt.fresh and time.monotonic() - self._idle_since > FRESH_FOR:
            return False
        return super().is_connected

    def connect(self) -> None:
        self._answer_by = time.monotonic() + cast("float", self.timeout)
        super().connect()

    def endheaders(self, *args: Any, **options: Any) -> None:
        if self.sock is None:
            self.connect()
        attempt = _current.attempt
        if attempt:
            attempt.connection = self
            if attempt.closed.is_set():
                raise ConnectionAbortedError
            attempt.sent = True
        super().endheaders(*args, **options)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3 itself
        now = self._idle_since = time.monotonic()
        self._answer_by = now + cast("float", self.timeout)
        return super().getresponse()

    def response_class(  # type: ignore[override]  # http.client only ever calls it
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None
    ) -> http.client.HTTPResponse:
        reader = cast("socket.socket", _BoundedReader(sock, self._answer_by))
        return http.client.HTTPResponse(reader, debuglevel, method)


# urllib3 describes its connections by protocols that its own classes don't match to the letter.
class _WatchedTLS(_Watched, HTTPSConnection):  # pyright: ignore[reportIncompatibleVariableOverride]
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched  # pyright: ignore[reportAssignmentType]


class _PoolTLS(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS  # pyright: ignore[reportAssignmentType]


class Transport:
    """The connections of one client. Thread-safe, and safe across fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._closed = threading.Event()
        self._open()

    def _open(self) -> None:
        settings = self._settings
        self._process = os.getpid()
        self._in_flight: set[_Attempt] = set()
        manager = RESTClientObject(configuration(settings)).pool_manager
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTLS}
        manager.connection_pool_kw.update(block=True, maxsize=POOL_SIZE)
        base_url = settings.base_url
        if base_url.scheme == "https":
            # One context for all connections: reading the certificates anew for each is slow.
            context = settings.ssl_context or ssl.create_default_context()
            manager.connection_pool_kw.update(ssl_context=context, cert_reqs=None)
        self._manager = manager
        self._pool = manager.connection_from_host(base_url.host, base_url.port, base_url.scheme)
        forwarded = settings.proxy is not None and base_url.scheme == "http"
        # A forward proxy is told the whole URL.
        self._target_prefix = str(base_url._replace(prefix="")) if forwarded else ""

    now = staticmethod(time.monotonic)
    chance = staticmethod(random.random)

    @staticmethod
    def nonce() -> str:
        """Twelve hexadecimal digits that no other key bears."""
        return os.urandom(6).hex()

    def send(self, call: Call[Any], *, settings: Settings, remaining: float) -> Answer | Lost:
        """One attempt.

        Args:
            settings: those of the view that calls; only its times and token count here.
            remaining: seconds until the call's deadline.

        Raises:
            ConfigurationError: the function that gives the token gave none that can be sent.
        """
        operation = call.operation
        headers = SecretHeaders(operation.headers)
        headers.update(settings.headers)
        headers["Authorization"] = settings.bearer.header()
        if self._closed.is_set():
            return _closed_before
        if os.getpid() != self._process:
            self._open()
        previous = _current.attempt
        attempt = _current.attempt = _Attempt(not operation.replayable, self._closed)
        self._in_flight.add(attempt)
        try:
            response = self._pool.urlopen(
                operation.method,
                self._target_prefix + call.target,
                body=call.body,
                headers=headers,
                retries=_NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(
                    total=remaining, connect=settings.connect_timeout, read=settings.answer_timeout
                ),
                pool_timeout=cast("int", remaining),
                preload_content=False,
                decode_content=False,
            )
            return _answer(response, headers)
        except Exception as error:
            failure = lost(error, sent=attempt.sent, timeouts=_TIMEOUTS)
        finally:
            self._in_flight.discard(attempt)
            _current.attempt = previous
        if self._closed.is_set():
            return Lost(attempt.sent, "closed", "the client was closed while the call was in flight")
        return failure

    def sleep(self, seconds: float) -> None:
        """Waits; ends early when the client is closed."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Closes the connections; calls in flight end with an error."""
        self._closed.set()
        self._manager.clear()
        for attempt in list(self._in_flight):
            sock = attempt.connection and attempt.connection.sock
            if sock:
                try:
                    # The plain socket's: a TLS one would take its session from under the reading thread.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    continue

    def manager(self) -> urllib3.PoolManager:
        """The pool manager of this process.

        Raises:
            ApiConnectionError: the client is closed.
        """
        if self._closed.is_set():
            raise ApiConnectionError("The client is closed.", outcome=Outcome.NOT_SENT, next_step="Make a new one.")
        if os.getpid() != self._process:
            self._open()
        return self._manager

    def generated(self, settings: Settings) -> APIKeysApi:
        """The generated API on these connections."""
        client: Any = ApiClient(configuration(settings))
        client.rest_client.pool_manager = _Guarded(self, settings)
        return APIKeysApi(client)

    @staticmethod
    def finish(value: Result) -> Result:
        """Where the async twin shields what must be finished although it is being cancelled."""
        return value

    @staticmethod
    def fan_out(
        run: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        bound: int,
        done: Callable[[Result], object] | None,
    ) -> list[Result]:
        """Runs one call for each item, at most `bound` at once; results in the items' order.

        `done` is told of each in this thread as it ends. Interrupted, or when `done` raises, no further call begins,
        and those in flight are waited for and told.
        """
        # Imported late: most programs never fan out.
        from concurrent.futures import ThreadPoolExecutor, as_completed

        with ThreadPoolExecutor(bound, thread_name_prefix="api-keys") as pool:
            futures = [pool.submit(run, item) for item in items]
            told = set()
            try:
                for future in as_completed(futures):
                    told.add(future)
                    if done:
                        done(future.result())
            finally:
                for future in futures:
                    future.cancel()
                if done:
                    for future in futures:
                        if future not in told and not future.cancelled():
                            done(future.result())
        return [future.result() for future in futures]


class _Guarded:
    """What the generated client takes for its pool manager: our times, no redirects, no replays."""

    def __init__(self, transport: Transport, settings: Settings) -> None:
        self._transport = transport
        self._settings = settings

    def request(self, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        settings = self._settings
        if options.get("timeout") is None:
            options["timeout"] = urllib3.Timeout(
                total=settings.deadline, connect=settings.connect_timeout, read=settings.answer_timeout
            )
        options["headers"] = SecretHeaders(options.get("headers") or {})
        options["headers"].update(settings.headers)
        options["headers"]["Authorization"] = settings.bearer.header()
        return self._transport.manager().request(method, url, redirect=False, retries=_NO_RETRIES, **options)

    def clear(self) -> None:
        """The connections are the client's to close."""


_closed_before = Lost(False, "closed", "the client is closed")


def _answer(response: urllib3.BaseHTTPResponse, headers: SecretHeaders) -> Answer | Lost:
    """The whole answer, within bounds; its connection goes back to the pool, or is closed."""
    status = response.status
    got = response.headers
    if status < 200:
        # The true answer would follow on the same connection and be taken for the next call's.
        response.close()
        response.release_conn()
        return Lost(True, "connection", f"the server answered {status} and no more")
    answer = Answer(status, retry_after=got.get("Retry-After"))
    success = status < 300
    if not success:
        answer.token = headers["Authorization"].partition(" ")[2]
        answer.received_at = time.time()
    try:
        complete = _read(response, answer, ANSWER_MOST if success else ERROR_MOST)
    except Exception:
        if success:
            raise
        # The status alone says that it was refused.
        complete = False
    finally:
        if not response.closed:
            response.close()
        response.release_conn()
    if success and not complete:
        answer.problem = f"more than {ANSWER_MOST // 1024 // 1024} MiB"
    elif success and got.get("Content-Encoding", "identity") != "identity":
        answer.problem = "compressed, which was not asked for"
    return answer


def _read(response: urllib3.BaseHTTPResponse, answer: Answer, most: int) -> bool:
    """Reads the body into the answer, so that no frame's local holds it; whether it was all."""
    body = io.BytesIO()
    while body.write(response.read(most + 1 - body.tell(), decode_content=False)):
        if body.tell() > most:
            return False
    answer.body = body.getvalue()
    return True
