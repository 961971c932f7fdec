"""The sandbox: a WSGI application with a server of its own."""

from __future__ import annotations

import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from typing import Self, get_args
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Request, Response

from api_keys_client.sandbox.answers import Answers, Operation, Profile, ReceivedRequest, operation_of
from api_keys_client.sandbox.faults import Dropped, Exchange, Fault
from api_keys_client.sandbox.keys import KeyStore, StoredKey
from api_keys_client.sandbox.server import LoopbackServer

MAX_REQUESTS = 10_000


class Sandbox:
    """A local server for the API-keys API, with a database of its own. For development and tests only.

    Use it as a context manager, or call `start` and `stop`; mounted elsewhere it needs `stop` only.
    Everything may be called from any thread.

    Args:
        token: what a client authenticates with; None makes one up.
        profile: ``engine`` answers as the engine does, ``spec`` as openapi.json says.
        limit: how many keys can be active at once.
        database: ``:memory:``, or a file whose keys the next sandbox finds again. Secrets are stored hashed.
        host: a loopback address, or ``localhost``.
        port: 0 picks a free one.
        now: gives the time that answers say in their Date, an aware datetime: set forward, keys with an end expire.

    Raises:
        ValueError: an argument makes no sense, or `host` is not loopback.
        sqlite3.Error: the file is no database, or another program's, or cannot be used.

    Example:
        >>> with Sandbox() as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
        ...     client.create("made in a test").description
        'made in a test'
    """

    token: str
    """What a client authenticates with."""

    def __init__(
        self,
        *,
        token: str | None = None,
        profile: Profile = "engine",
        limit: int = 1000,
        database: str | os.PathLike[str] = ":memory:",
        host: str = "127.0.0.1",
        port: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if token is not None and token.split() != [token]:
            raise ValueError("the token must be one word")
        if profile not in get_args(Profile):
            raise ValueError(f"the profile is one of {', '.join(get_args(Profile))}")
        if limit < 0:
            raise ValueError("the limit cannot be negative")
        if not _is_loopback(host):
            raise ValueError("the host must be a loopback address: the sandbox is for this machine only")
        if not 0 <= port < 2**16:
            raise ValueError("the port is a number from 0 to 65535")
        self.token = secrets.token_urlsafe(32) if token is None else token
        self._profile = profile
        self._address = ("127.0.0.1" if host == "localhost" else host, port)
        self._lock = threading.Lock()
        self._store = KeyStore(database)
        self._answers = Answers(profile, self._store, self.token, limit)
        self._now = now
        self._ending = threading.Event()
        self._queued: list[tuple[Operation | None, Fault]] = []
        self._received: deque[ReceivedRequest] = deque(maxlen=MAX_REQUESTS)
        self._background: list[threading.Thread] = []
        self._server: LoopbackServer | None = None

    def __repr__(self) -> str:
        return f"<Sandbox {self._profile} {self._server.url if self._server else 'not started'}>"

    @property
    def url(self) -> str:
        """Gives the base URL, such as ``http://127.0.0.1:41231``; a RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the sandbox has not been started")
        return self._server.url

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Gives the requests that came in so far, in that order: the last 10,000."""
        with self._lock:
            return list(self._received)

    @property
    def unmet(self) -> list[Fault]:
        """Gives the faults that no request has met yet."""
        with self._lock:
            return [fault for _, fault in self._queued]

    def start(self) -> Self:
        """Listens, and answers from background threads; an OSError says that the port cannot be had."""
        if self._server is not None or self._ending.is_set():
            raise RuntimeError("a sandbox starts once; make a new one")
        try:
            self._server = LoopbackServer(*self._address, self.application, self._now)
        except OSError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends every connection and thread, drops what waits, and closes the database; at once, and for good."""
        with self._lock:
            self._ending.set()
        if self._server is not None:
            self._server.stop()
        for thread in self._background:
            thread.join()
        with self._lock:
            self._store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def queue(self, fault: Fault, *, operation: Operation | None = None, times: int = 1) -> None:
        """Lets the next `times` requests, of this operation or of any, meet the fault; the first queued is met first.

        Raises:
            TypeError: it is no fault.
            ValueError: there is no such operation, so no request could meet the fault.
        """
        if not isinstance(fault, Fault):
            raise TypeError("a fault is what one of the functions of Fault gives, such as Fault.drop()")
        if operation is not None and operation not in get_args(Operation):
            raise ValueError(f"the operation is one of {', '.join(get_args(Operation))}")
        with self._lock:
            self._queued.extend((operation, fault) for _ in range(times))

    def reset(self) -> None:
        """Forgets keys, faults and requests; what is still under way is dropped and takes no effect."""
        with self._lock:
            self._ending.set()
            self._ending = threading.Event()
            self._store.clear()
            self._queued.clear()
            self._received.clear()

    def keys(self) -> list[StoredKey]:
        """Gives every key in the database, active or not, in the order of creation."""
        with self._lock:
            return self._store.all()

    def accepts(self, secret: str) -> bool:
        """Tells whether this is the secret of an active key."""
        with self._lock:
            return self._store.active_with(secret) is not None

    def application(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers as a WSGI application, mounted elsewhere; dropping a connection takes one of Werkzeug's servers."""
        return self.respond(Request(environ))(environ, start_response)

    def respond(self, request: Request) -> Response:
        """Answers a Werkzeug request, as a handler of pytest-httpserver."""
        with self._lock:
            ending = self._ending
        exchange = Exchange(request, partial(self._commit, request, ending), ending, self._background)
        try:
            # Read even if unused: on this connection the next request comes after it.
            request.get_data()
        except (ClientDisconnected, OSError):
            return exchange.drop()
        received = ReceivedRequest(request.method, request.path, operation_of(request))
        with self._lock:
            self._received.append(received)
            fault = self._next_fault(received.operation)
        try:
            response = exchange.answer() if fault is None else fault.act(exchange)
        except Dropped:
            return exchange.drop()
        if self._profile == "spec" and response.is_sequence:
            response.content_length = len(response.get_data())
        received.status = response.status_code
        return response

    def _commit(self, request: Request, ending: threading.Event) -> Response:
        with self._lock:
            if ending.is_set():
                raise Dropped
            return self._answers.answer(request)

    def _next_fault(self, operation: Operation | None) -> Fault | None:
        for index, (wanted, fault) in enumerate(self._queued):
            if wanted in (None, operation):
                del self._queued[index]
                return fault
        return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
