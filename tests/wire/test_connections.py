"""No connection, so that nothing is sent and every call is tried again; or one that the server has closed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import monotonic
from typing import Any

import pytest

from api_keys_client import ApiKeysClient
from api_keys_client._core.options import POOL_SIZE
from tests.support.clients import Connect
from tests.support.failing import (
    OPERATIONS,
    check_lost,
    check_not_sent,
    create_and_another,
    failure,
    look_up_with,
    unresolved_at_once,
)
from tests.support.wire import KEY_ID, Peer, Request, Server, good, held


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
    stream = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    found = [(*stream, ("127.0.0.1", port)) for port in ports]
    look_up_with(monkeypatch, lambda name: found if name == "localhost" else None)


@create_and_another
def test_a_refused_connection(connect: Connect, operation: str) -> None:
    with Server() as server:
        url = server.url
    error = failure(connect(url, token="token", max_attempts=2), operation)
    check_not_sent(error, operation, "refused", attempts=2)


@pytest.mark.parametrize("resolver", ["ours", pytest.param("the system's", marks=pytest.mark.slow)])
def test_a_name_that_does_not_resolve(connect: Connect, resolver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if resolver == "ours":
        unresolved_at_once(monkeypatch)
    client = connect("http://engine.invalid", token="token", allow_http=True, max_attempts=2, timeout=30)
    check_not_sent(failure(client, "create"), "create", "dns", attempts=2)


@pytest.mark.parametrize(
    ("times", "attempts"), [({"timeout": (0.1, 9), "max_attempts": 2}, 2), ({"timeout": 9, "deadline": 0.2}, 1)]
)
def test_a_connection_that_is_not_answered(
    connect: Connect, times: dict[str, Any], attempts: int, unanswered: int
) -> None:
    error = failure(connect(f"http://127.0.0.1:{unanswered}", token="token", **times), "create")
    check_not_sent(error, "create", "timeout", attempts=attempts)
    assert 0.2 <= error.elapsed < 5


def test_the_timeout_and_the_deadline_are_for_all_addresses_of_a_name(
    connect: Connect, unanswered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, *[unanswered] * 40)
    url = f"http://localhost:{unanswered}"
    for times in ({"timeout": (0.2, 9)}, {"timeout": 9, "deadline": 0.2}):
        error = failure(connect(url, token="token", max_attempts=1, **times), "create")
        check_not_sent(error, "create", "timeout", attempts=1)
        assert 0.2 <= error.elapsed < 5


def test_an_address_that_is_not_answered_leaves_time_for_the_next(
    connect: Connect, unanswered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as refusing:
        refused = refusing.port
    with Server() as server:
        resolve_to(monkeypatch, unanswered, refused, server.port)
        client = connect(f"http://localhost:{server.port}", token="token", timeout=(2.7, 9), max_attempts=1)
        began = monotonic()
        assert client.create()
        assert monotonic() - began < 2.5
        assert server.operations() == ["create"]


def test_waiting_for_a_free_connection_counts_for_the_deadline() -> None:
    """With threads, and so for the sync client alone."""
    busy = [threading.Event() for _ in range(POOL_SIZE)]
    with (
        Server(*map(held, busy)) as server,
        ThreadPoolExecutor(POOL_SIZE) as pool,
        ApiKeysClient(server.url, token="token") as client,
    ):
        pool.map(lambda _: failure(client, "list"), busy)
        assert all(event.wait(5) for event in busy)
        error = failure(client.with_options(deadline=0.2, max_attempts=1), "create")
        check_not_sent(error, "create", "timeout", attempts=1)
        assert len(server.requests) == POOL_SIZE


def wait_until(moment: float) -> None:
    threading.Event().wait(max(0.0, moment - monotonic()))


def test_connections_that_the_server_closed_meanwhile_are_not_used(connect: Connect) -> None:
    calls = ["create", "get", "create"]
    with Server(idle=0.2) as server:
        client = connect(server.url, token="token", max_attempts=1)
        for operation in calls:
            began = monotonic()
            OPERATIONS[operation](client)
            assert server.idle_ends.acquire(timeout=5)
            wait_until(began + 0.3)
        assert server.operations() == calls
        assert server.connections == len(calls)


def closes_at_the_next_send(peer: Peer, request: Request) -> None:
    """An answer, after which the connection ends as soon as a byte of the next request comes, unread."""
    good(peer, request)
    peer.wait_for_a_byte()
    peer.close()


def test_closed_at_the_moment_of_the_send(connect: Connect) -> None:
    with Server(*[closes_at_the_next_send] * 2) as server:
        client = connect(server.url, token="token")
        client.list()
        check_lost(failure(client, "create"), "create", "reset", attempts=1)
        client.list()
        client.deactivate(KEY_ID)
        assert server.operations() == ["list", "list", "deactivate"]
        assert server.connections == 3


def test_the_zone_of_an_address_stays_on_this_machine(connect: Connect) -> None:
    with Server() as proxy:
        client = connect("http://[fe80::5%25eth0]:81/", token="token", proxy=proxy.url, allow_http=True)
        assert client.list()
        assert [request.headers["host"] for request in proxy.requests] == ["[fe80::5]:81"]


def test_no_call_takes_a_connection_that_was_idle_for_over_a_second(connect: Connect) -> None:
    with Server() as first, Server() as second:
        used, unused = (connect(server.url, token="token") for server in (first, second))
        for client in (used, unused):
            client.list()
        wait_until(monotonic() + 0.5)
        used.create()
        wait_until(monotonic() + 0.6)
        unused.create()
        used.create()
        assert (first.connections, second.connections) == (1, 2)
