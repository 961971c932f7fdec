"""The urllib3 driver: one attempt, and the sync twins of what unasync cannot derive.

Exceptions of the library become values here (`Lost`), so that no error of ours drags them,
with the token in their frames and contexts, along.
"""

from __future__ import annotations

import os
import random
import ssl
import threading
import time
from codecs import lookup
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import Any, TypeVar

import urllib3

from api_keys_client._arguments import checked_function, checked_result, refused
from api_keys_client._calls import Answer, Call, Lost, configuration
from api_keys_client._connections import Attempt, Pool, PoolTLS, current, go_on_at_exit
from api_keys_client._contract import ApiClient, APIKeysApi
from api_keys_client._failures import interrupts, lost
from api_keys_client._guarded import NO_RETRIES, Access as Access, Guarded, usual_timeout
from api_keys_client._reading import whole_answer
from api_keys_client.errors import ApiConnectionError, Outcome, strip_traceback
from api_keys_client.rotation import Creation
from api_keys_client.settings import POOL_SIZE, SecretHeaders, Settings

Item = TypeVar("Item")
Result = TypeVar("Result")

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
            # TLS encodes the host's name with it; a process forked while a call imports it would wait for ever.
            lookup("idna")
            # One context for all connections: reading the certificates anew for each is slow.
            context = settings.ssl_context or ssl.create_default_context()
            manager.connection_pool_kw.update(ssl_context=context, cert_reqs=None)
            if manager.proxy_config:
                manager.connection_pool_kw["_proxy_config"] = manager.proxy_config._replace(ssl_context=context)
        self._manager = manager
        self._pool = manager.connection_from_host(base_url.host, base_url.port, base_url.scheme)
        go_on_at_exit(self._pool)
        forwarded = proxy is not None and base_url.scheme == "http"
        # A forward proxy is told the whole URL.
        self._target_prefix = str(base_url._replace(prefix="")) if forwarded else ""
        # TLS inside TLS reads on until a record is whole, with the socket's timeout for each of its bytes.
        self._needs_timer = secure_proxy and base_url.scheme == "https"
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
    def creation(old_id: str | None = None) -> Creation:
        """A creation by this process, with a nonce of twelve hexadecimal digits that no other key bears."""
        return Creation(os.urandom(6).hex(), os.getpid(), old_id)

    @staticmethod
    def made(creation: Creation) -> bool:
        """Whether it is this process's own, and not one of a process that this one was forked from."""
        return creation.process == os.getpid()

    def send(self, call: Call[Any], *, settings: Settings, remaining: float) -> Answer | Lost:
        """One attempt.

        Args:
            settings: those of the view that calls; only its times and token count here.
            remaining: seconds until the call's deadline.

        Raises:
            ConfigurationError: the function that gives the token gave none that can be sent.
        """
        operation = call.operation
        if self._closed.is_set():
            return _closed_before
        if os.getpid() != self._process:
            self._disown()
        attempt = Attempt(self._closed, time.monotonic() + remaining)
        # In no local: some tools look into what a dict in one holds, whatever its repr.
        attempt.authorization = settings.token.header()
        previous, current.attempt = current.attempt, attempt
        self._in_flight.add(attempt)
        timer = None
        if self._needs_timer:
            within = min(remaining, settings.connect_timeout + settings.answer_timeout)
            timer = threading.Timer(within, attempt.end_late)
            # None can start at the interpreter's exit, where each read still has the socket's own timeout.
            with suppress(RuntimeError):
                timer.start()
        try:
            response = self._pool.urlopen(
                operation.method,
                self._target_prefix + call.target,
                body=call.body,
                headers=SecretHeaders(operation.headers, Authorization=attempt.authorization),
                retries=NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                timeout=usual_timeout(settings.connect_timeout, settings.answer_timeout),
                pool_timeout=remaining,  # type: ignore[arg-type]  # its queue takes a float
                preload_content=False,
                decode_content=False,
            )
            return whole_answer(response, attempt)
        except BaseException as error:
            if interrupts(error):
                raise strip_traceback(error) from None
            failure = lost(TimeoutError() if attempt.late else error, sent=attempt.sent, timeouts=_TIMEOUTS)
        finally:
            if timer:
                timer.cancel()
            self._in_flight.discard(attempt)
            current.attempt = previous
        if self._closed.is_set():
            return Lost(attempt.sent, "closed", "the client was closed while the call was in flight")
        return failure

    @property
    def closed(self) -> bool:
        """Whether the client was closed: nothing is sent any more."""
        return self._closed.is_set()

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
            attempt.cut()
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
    def check_callable(function: object) -> None:
        """Refuses what is no function, or an async one: un-awaited, it would count as done."""
        called = checked_function(function)
        if iscoroutinefunction(called) or iscoroutinefunction(type(called).__call__):
            raise refused("store= and verify= of the sync client are plain functions; this one is async.")

    @staticmethod
    def ask(function: Callable[[Item], object], item: Item) -> object:
        """Calls a function of the user's."""
        result = function(item)
        if isinstance(result, Coroutine):
            result.close()
        return checked_result(result)

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
        results: list[Result] = []
        try:
            # Imported late: most programs never fan out. At the interpreter's exit even that can fail.
            from concurrent.futures import Future, ThreadPoolExecutor, as_completed

            pool = ThreadPoolExecutor(bound, thread_name_prefix="api-keys")
            pool.submit(int).result()
        except RuntimeError:
            for item in items:
                results.append(run(item))
                if done:
                    done(results[-1])
            return results
        with pool:
            futures: list[Future[Result]] = []
            told = set[Future[Result]]()
            try:
                for item in items:
                    futures.append(pool.submit(run, item))
                for future in as_completed(futures):
                    if done:
                        try:
                            done(future.result())
                        finally:
                            told.add(future)
            finally:
                for future in futures:
                    future.cancel()
                if done:
                    for future in futures:
                        if future not in told and not future.cancelled():
                            done(future.result())
        return [future.result() for future in futures]


_closed_before = Lost(False, "closed", "the client is closed")
