"""The urllib3 driver: one attempt, and the sync twins of what unasync cannot derive.

Exceptions of the library become values here (`Lost`), so that no error of ours drags them,
with the token in their frames and contexts, along.
"""

from __future__ import annotations

import io
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from inspect import iscoroutinefunction
from typing import Any, TypeVar

import urllib3

from api_keys_client._answers import begun, cut_off, most_of
from api_keys_client._arguments import refused
from api_keys_client._calls import Answer, Call, Lost, configuration
from api_keys_client._connections import Attempt, Pool, PoolTLS, current, plain
from api_keys_client._contract import ApiClient, APIKeysApi
from api_keys_client._failures import bare, interrupts, lost
from api_keys_client._guarded import NO_RETRIES, Access as Access, Guarded, usual_timeout
from api_keys_client.errors import ApiConnectionError, Outcome
from api_keys_client.settings import SecretHeaders, Settings

Item = TypeVar("Item")
Result = TypeVar("Result")

POOL_SIZE = 20
READ_AT_ONCE = 256 * 1024

_TIMEOUTS = (urllib3.exceptions.TimeoutError, urllib3.exceptions.EmptyPoolError)


class Transport:
    """The connections of one client. Thread-safe, and safe across fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opening = threading.Lock()
        self._open()

    def _open(self) -> None:
        settings = self._settings
        self._closed = threading.Event()
        self._in_flight: set[Attempt] = set()
        manager = ApiClient(configuration(settings)).rest_client.pool_manager
        manager.pool_classes_by_scheme = {"http": Pool, "https": PoolTLS}
        manager.connection_pool_kw.update(block=True, maxsize=POOL_SIZE)
        base_url, proxy = settings.base_url, settings.proxy
        secure_proxy = proxy is not None and proxy.url.startswith("https:")
        if secure_proxy or base_url.scheme == "https":
            # One context for all connections: reading the certificates anew for each is slow.
            context = settings.ssl_context or ssl.create_default_context()
            manager.connection_pool_kw.update(ssl_context=context, cert_reqs=None)
            if manager.proxy_config:
                manager.connection_pool_kw["_proxy_config"] = manager.proxy_config._replace(ssl_context=context)
        self._manager = manager
        self._pool = manager.connection_from_host(base_url.host, base_url.port, base_url.scheme)
        forwarded = proxy is not None and base_url.scheme == "http"
        # A forward proxy is told the whole URL.
        self._target_prefix = str(base_url._replace(prefix="")) if forwarded else ""
        # Last, because other threads of a forked child look at this first.
        self._process = os.getpid()

    def _disown(self) -> None:
        """In a forked child: connections of its own, and none of the parent's."""
        with self._opening:
            if os.getpid() == self._process:
                return
            inherited = self._pool.pool
            if inherited:
                # A lock that another thread held at the fork would never be let go here.
                inherited.mutex = threading.Lock()
                inherited.not_empty = threading.Condition(inherited.mutex)
                inherited.not_full = threading.Condition(inherited.mutex)
            self._open()

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
        headers["Authorization"] = settings.bearer.header()
        if self._closed.is_set():
            return _closed_before
        if os.getpid() != self._process:
            self._disown()
        previous = current.attempt
        attempt = current.attempt = Attempt(not operation.replayable, self._closed, time.monotonic() + remaining)
        self._in_flight.add(attempt)
        try:
            response = self._pool.urlopen(
                operation.method,
                self._target_prefix + call.target,
                body=call.body,
                headers=headers,
                retries=NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                timeout=usual_timeout(settings.connect_timeout, settings.answer_timeout),
                pool_timeout=remaining,  # type: ignore[arg-type]  # its queue takes a float
                preload_content=False,
                decode_content=False,
            )
            return _answer(response, headers)
        except BaseException as error:
            if interrupts(error):
                raise bare(error) from None
            failure = lost(error, sent=attempt.sent, timeouts=_TIMEOUTS)
        finally:
            self._in_flight.discard(attempt)
            current.attempt = previous
        if self._closed.is_set():
            return Lost(attempt.sent, "closed", "the client was closed while the call was in flight")
        return failure

    def sleep(self, seconds: float) -> None:
        """Waits; ends early when the client is closed."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Closes the connections; calls in flight end with an error."""
        if os.getpid() != self._process:
            # What is in flight is the parent's.
            self._disown()
        self._closed.set()
        connections = self._pool.pool
        self._pool.close()
        self._manager.clear()
        in_flight = list(self._in_flight)
        for attempt in in_flight:
            sock = attempt.connection and attempt.connection.sock
            if sock:
                try:
                    # The plain socket's: a TLS one would take its session from under the reading thread.
                    socket.socket.shutdown(plain(sock), socket.SHUT_RDWR)
                except OSError:
                    continue
        if connections:
            # Those that wait for a connection get one each, and then see that the client is closed.
            connections.maxsize = 0
            for _ in in_flight:
                connections.put(None)

    def manager(self) -> urllib3.PoolManager:
        """The pool manager of this process.

        Raises:
            ApiConnectionError: the client is closed.
        """
        if self._closed.is_set():
            raise ApiConnectionError("The client is closed.", outcome=Outcome.NOT_SENT, next_step="Make a new one.")
        if os.getpid() != self._process:
            self._disown()
        return self._manager

    def generated(self, settings: Settings) -> APIKeysApi:
        """The generated API on these connections."""
        client: Any = ApiClient(configuration(settings))
        client.rest_client.pool_manager = Guarded(self.manager, settings)
        return APIKeysApi(client)

    @staticmethod
    def finish(value: Result) -> Result:
        """Where the async twin shields what must be finished although it is being cancelled."""
        return value

    @staticmethod
    def check_callable(function: object) -> None:
        """Refuses what is no function, or an async one: un-awaited, it would count as done."""
        if not callable(function):
            raise refused(f"store= and verify= are functions that take the new key, not {type(function).__name__}.")
        if iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__):
            raise refused("store= and verify= of the sync client are plain functions; this one is async.")

    @staticmethod
    def ask(function: Callable[[Item], object], item: Item) -> object:
        """Calls a function of the user's."""
        result = function(item)
        if isinstance(result, Awaitable):
            if isinstance(result, Coroutine):
                result.close()
            # No NotStored: it may have written before it gave what was to be awaited.
            raise TypeError("store= and verify= of the sync client are plain functions; this one gave an awaitable")
        return result

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
    # The clock is asked for where a Retry-After may count from it.
    received_at = 0.0 if status < 300 else time.time()
    answer = begun(status, got, authorization=headers["Authorization"], received_at=received_at)
    whole = False
    try:
        whole = _read(response, answer)
    except Exception as error:
        # Of a refusal, the status alone says enough.
        if status < 300 or interrupts(error):
            raise
    finally:
        # Of a whole answer the connection is back in the pool already.
        if not whole:
            response.close()
            response.release_conn()
    return answer if whole else cut_off(answer)


def _read(response: urllib3.BaseHTTPResponse, answer: Answer) -> bool:
    """Reads the body into the answer, so that no frame's local holds it; whether it was all."""
    most = most_of(answer)
    # In pieces: of one read, http.client keeps each chunk as an object, however short.
    answer.body = response.read(min(READ_AT_ONCE, most + 1), decode_content=False)
    if response.closed:
        return len(answer.body) <= most
    body = io.BytesIO()
    body.write(answer.body)
    while not response.closed and body.tell() <= most:
        body.write(response.read(min(READ_AT_ONCE, most + 1 - body.tell()), decode_content=False))
    answer.body = body.getvalue()
    return response.closed and len(answer.body) <= most
