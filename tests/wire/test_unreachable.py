"""No connection: nothing is sent, so that every operation is tried again, a create too."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import monotonic
from typing import Any

import pytest

from api_keys_client import ApiConnectionError, ApiKeysClient, ApiTimeoutError
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, check_not_sent, each_operation, failure, unresolved_at_once
from tests.support.wire import Peer, Request, Server, say

SLACK = 5.0
"""Seconds that a slow machine may add to any bound."""


@pytest.fixture(scope="module")
def unanswered() -> Iterator[int]:
    """The port of a listener that takes no more connections, so that to connect takes for ever."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        last = sockets.enter_context(socket.socket())
        last.settimeout(0.05)
        if last.connect_ex(listener.getsockname()) == 0:
            pytest.skip("this system takes every connection")
        yield listener.getsockname()[1]


def resolve_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Has the name `localhost` stand for these ports of 127.0.0.1, one address each."""
    true = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in ("localhost", b"localhost"):
            return true(host, *arguments, **options)
        stream = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*stream, ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@each_operation
def test_a_refused_connection(connect: Connect, operation: str) -> None:
    with Server() as server:
        url = server.url
    error = failure(connect(url, token="token", max_attempts=2), operation)
    check_not_sent(error, operation, ApiConnectionError, attempts=2)
    assert "refused" in str(error)
    assert error.retryable


def test_a_name_that_the_system_cannot_resolve(connect: Connect) -> None:
    # The resolver may take its time to say so.
    client = connect("http://engine.invalid", token="token", allow_http=True, max_attempts=1, timeout=30)
    check_not_sent(failure(client, "create"), "create", ApiConnectionError, attempts=1)


@each_operation
def test_a_name_that_does_not_resolve(connect: Connect, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unresolved_at_once(monkeypatch)
    client = connect("http://engine.invalid", token="token", allow_http=True, max_attempts=2)
    error = failure(client, operation)
    check_not_sent(error, operation, ApiConnectionError, attempts=2)
    assert "name cannot be resolved" in str(error)


@pytest.mark.parametrize("operation", ["create", "get"])
def test_a_connection_that_is_not_answered(connect: Connect, operation: str, unanswered: int) -> None:
    client = connect(f"http://127.0.0.1:{unanswered}", token="token", timeout=(0.1, 9), max_attempts=2)
    error = failure(client, operation)
    check_not_sent(error, operation, ApiTimeoutError, attempts=2)
    assert 0.2 <= error.elapsed < 0.2 + SLACK


@pytest.mark.parametrize("operation", ["create", "get"])
def test_the_deadline_holds_while_connecting(connect: Connect, operation: str, unanswered: int) -> None:
    client = connect(f"http://127.0.0.1:{unanswered}", token="token", timeout=9, deadline=0.2)
    error = failure(client, operation)
    check_not_sent(error, operation, ApiTimeoutError, attempts=1)
    assert 0.2 <= error.elapsed < 0.2 + SLACK


def test_the_timeout_and_the_deadline_are_for_all_addresses_of_a_name(
    connect: Connect, unanswered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, *[unanswered] * 40)
    url = f"http://localhost:{unanswered}"
    for times in ({"timeout": (0.2, 9)}, {"timeout": 9, "deadline": 0.2}):
        error = failure(connect(url, token="token", max_attempts=1, **times), "create")
        check_not_sent(error, "create", ApiTimeoutError, attempts=1)
        assert 0.2 <= error.elapsed < 0.2 + SLACK


def test_an_address_that_is_not_answered_leaves_time_for_the_next(
    connect: Connect, unanswered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as refusing:
        refused = refusing.port
    with Server() as server:
        resolve_to(monkeypatch, unanswered, refused, server.port)
        client = connect(f"http://localhost:{server.port}", token="token", timeout=(2.7, 9), max_attempts=1)
        began = monotonic()
        OPERATIONS["create"](client)
        assert monotonic() - began < 2.5
        assert server.operations() == ["create"]


@pytest.mark.parametrize("operation", ["create", "deactivate"])
def test_a_replay_reaches_a_server_that_comes_up_meanwhile(
    connect: Connect, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look-up of the name succeeds."""
    look_ups: list[object] = []
    true = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        look_ups.append(host)
        if len(look_ups) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return true(host, *arguments, **options)

    with Server() as server:
        client = connect(f"http://localhost:{server.port}", token="token")
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        OPERATIONS[operation](client)
        assert server.operations() == [operation]
    assert len(look_ups) == 2


def test_waiting_for_a_free_connection_counts_for_the_deadline() -> None:
    """With threads, and so for the sync client alone."""
    busy = threading.Semaphore(0)
    release = threading.Event()

    def act(peer: Peer, _: Request) -> None:
        busy.release()
        release.wait(5)
        peer.close()

    with (
        Server(*[act] * 20, say(then=Peer.hold)) as server,
        ApiKeysClient(server.url, token="token", max_attempts=1) as client,
        ThreadPoolExecutor(20) as pool,
    ):
        pool.map(lambda _: failure(client, "list"), range(20))
        for _ in range(20):
            assert busy.acquire(timeout=5)
        waiting = client.with_options(deadline=0.2)
        check_not_sent(failure(waiting, "create"), "create", ApiTimeoutError, attempts=1)
        assert len(server.requests) == 20

        threading.Timer(1.5, release.set).start()
        error = failure(client.with_options(deadline=2), "get")
        assert isinstance(error, ApiTimeoutError)
        assert 2 <= error.elapsed < 3
        assert len(server.requests) == 21
