"""Connections that the server has closed, or is about to: nothing fails that need not, and nothing is made twice."""

from __future__ import annotations

import threading
from time import monotonic

from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, check_lost, failure
from tests.support.wire import KEY_ID, Peer, Request, Server, good


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


def test_connections_in_use_are_kept(connect: Connect) -> None:
    with Server(idle=5) as server:
        client = connect(server.url, token="token")
        for operation in (*OPERATIONS, *OPERATIONS):
            OPERATIONS[operation](client)
        assert server.connections == 1


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
