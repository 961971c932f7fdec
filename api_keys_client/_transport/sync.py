"""The urllib3 driver: makes one attempt, and reads its answer whole and within bounds.

Exceptions of the library become values here (`TransportFailure`), so that no error of ours drags them,
with the token in their frames and contexts, along.
"""

from __future__ import annotations

import io
import os
import threading
import time
from codecs import lookup
from contextlib import suppress
from typing import Any

import urllib3
from pydantic import SecretStr

from api_keys_client._core.generated import ApiClient, APIKeysApi
from api_keys_client._core.messages import RawResponse, Request, TransportFailure
from api_keys_client._core.operations import configuration
from api_keys_client._core.options import POOL_SIZE, SecretHeaders, Settings
from api_keys_client._transport.failures import classify_failure, is_interruption
from api_keys_client._transport.generated_pool import GeneratedPoolManager
from api_keys_client._transport.system import tls_context
from api_keys_client._transport.urllib3_connections import (
    NO_RETRIES,
    AttemptState,
    Pool,
    PoolTLS,
    current,
    go_on_at_exit,
    usual_timeout,
)
from api_keys_client.errors import ApiConnectionError, Outcome, strip_traceback

READ_AT_ONCE = 256 * 1024
"""Bytes."""

_CLOSED = TransportFailure(False, "closed", "the client is closed")
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
        self._in_flight: set[AttemptState] = set()
        manager = ApiClient(configuration(settings)).rest_client.pool_manager
        manager.pool_classes_by_scheme = {"http": Pool, "https": PoolTLS}
        manager.connection_pool_kw.update(block=True, maxsize=POOL_SIZE)
        base_url, proxy = settings.base_url, settings.proxy
        secure_proxy = proxy is not None and proxy.url.startswith("https:")
        if secure_proxy or base_url.scheme == "https":
            # TLS encodes the host's name with it; a process forked while a call imports it would wait for ever.
            lookup("idna")
            # One context for all connections: reading the certificates anew for each is slow.
            context = tls_context(settings)
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
        """Gives a forked child connections of its own, and none of the parent's."""
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

    def send(
        self, request: Request[Any], *, settings: Settings, remaining: float, rejected: RawResponse | None = None
    ) -> RawResponse | TransportFailure | None:
        """Makes one attempt.

        Args:
            settings: those of the view that calls; only its times and token count here.
            remaining: seconds until the call's deadline.
            rejected: the answer 401 to the attempt before: the token is asked for once more.

        Returns:
            None if the token is still the one that was rejected.

        Raises:
            ConfigurationError: the function that gives the token gave none that can be sent.
        """
        operation = request.operation
        if self._closed.is_set():
            return _CLOSED
        if os.getpid() != self._process:
            self._disown()
        state = AttemptState(self._closed, time.monotonic() + remaining)
        # Not in a variable here: tools that print the locals of a traceback look into dicts, whatever their repr.
        state.authorization = settings.token.header(SecretStr(rejected.token) if rejected else None)
        if rejected and state.authorization.endswith(f" {rejected.token}"):
            return None
        previous, current.state = current.state, state
        self._in_flight.add(state)
        timer = None
        if self._needs_timer:
            within = min(remaining, settings.connect_timeout + settings.answer_timeout)
            timer = threading.Timer(within, state.end_late)
            # None can start at the interpreter's exit, where each read still has the socket's own timeout.
            with suppress(RuntimeError):
                timer.start()
        try:
            response = self._pool.urlopen(
                operation.method,
                self._target_prefix + request.target,
                body=request.body,
                headers=SecretHeaders(operation.headers, Authorization=state.authorization),
                retries=NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                timeout=usual_timeout(settings.connect_timeout, settings.answer_timeout),
                pool_timeout=remaining,  # type: ignore[arg-type]  # its queue takes a float
                preload_content=False,
                decode_content=False,
            )
            return _read_answer(response, state)
        except BaseException as error:
            if is_interruption(error):
                raise strip_traceback(error) from None
            failure = classify_failure(TimeoutError() if state.late else error, sent=state.sent, timeouts=_TIMEOUTS)
        finally:
            if timer:
                timer.cancel()
            self._in_flight.discard(state)
            current.state = previous
        if self._closed.is_set():
            return TransportFailure(state.sent, "closed", "the client was closed while the call was in flight")
        return failure

    @property
    def closed(self) -> bool:
        """Tells whether the client was closed: nothing is sent any more."""
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
        for state in in_flight:
            state.end()
        if connections:
            # Those that wait for a connection get one each, and then see that the client is closed.
            connections.maxsize = 0
            for _ in in_flight:
                connections.put(None)

    def manager(self) -> urllib3.PoolManager:
        """Gives the pool manager of this process.

        Raises:
            ApiConnectionError: the client is closed.
        """
        if self._closed.is_set():
            raise ApiConnectionError("The client is closed.", outcome=Outcome.NOT_SENT, next_step="Make a new one.")
        if os.getpid() != self._process:
            self._disown()
        return self._manager

    def generated(self, settings: Settings) -> APIKeysApi:
        """Gives the generated API on these connections."""
        client: Any = ApiClient(configuration(settings))
        client.rest_client.pool_manager = GeneratedPoolManager(self.manager, settings)
        return APIKeysApi(client)


def _read_answer(response: urllib3.BaseHTTPResponse, state: AttemptState) -> RawResponse | TransportFailure:
    """Gives the whole answer, within bounds; its connection goes back to the pool, or is closed."""
    whole = False
    try:
        status = response.status
        if status < 200:
            # The true answer would follow on the same connection and be taken for the next call's.
            return TransportFailure(True, "protocol", f"the server answered {status} and no more")
        # The clock is asked for where a Retry-After may count from it.
        received_at = 0.0 if status < 300 else time.time()
        raw = RawResponse.from_headers(
            status, response.headers, authorization=state.authorization, received_at=received_at
        )
        try:
            whole = _read(response, raw)
        except Exception as error:
            # Of a refusal, the status alone says enough.
            if status < 300 or is_interruption(error):
                raise
        return raw if whole else raw.mark_truncated()
    finally:
        # Of a whole answer the connection is back in the pool already.
        if not whole:
            response.close()
            response.release_conn()


def _read(response: urllib3.BaseHTTPResponse, raw: RawResponse) -> bool:
    """Reads the body into the answer, so that no frame's local holds it; whether it was all."""
    most = raw.max_body_bytes
    # In pieces: of one read, http.client keeps each chunk as an object, however short.
    raw.body = response.read(min(READ_AT_ONCE, most + 1), decode_content=False)
    if response.closed:
        return len(raw.body) <= most
    body = io.BytesIO()
    body.write(raw.body)
    while not response.closed and body.tell() <= most:
        body.write(response.read(min(READ_AT_ONCE, most + 1 - body.tell()), decode_content=False))
    raw.body = body.getvalue()
    return response.closed and len(raw.body) <= most
