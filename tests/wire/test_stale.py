"""Connections that the server has closed, or is about to: nothing fails that need not, and nothing is made twice."""

from __future__ import annotations

import threading
from time import monotonic

from api_keys_client import ApiKeysClient, Outcome, OutcomeUnknownError
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, each_operation, failure
from tests.support.wire import KEY_ID, Peer, Request, Server, good


def wait_until(moment: float) -> None:
    threading.Event().wait(max(0.0, moment - monotonic()))


def test_connections_that_the_server_closed_meanwhile_are_not_used(connect: Connect) -> None:
    calls = ["create", "get", "create", "list", "deactivate", "create"]
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


@each_operation
def test_closed_at_the_moment_of_the_send(connect: Connect, operation: str) -> None:
    with Server(closes_at_the_next_send) as server:
        client = connect(server.url, token="token")
        client.list()
        if operation == "create":
            error = failure(client, "create")
            assert isinstance(error, OutcomeUnknownError)
            assert error.outcome is Outcome.UNKNOWN
            assert error.attempts == 1
            assert server.operations() == ["list"]
        else:
            OPERATIONS[operation](client)
            assert server.operations() == ["list", operation]
            assert server.connections == 2


def test_no_call_takes_a_connection_that_was_idle_for_over_a_second(connect: Connect) -> None:
    with Server() as first, Server() as second, Server() as third:
        clients: list[ApiKeysClient] = [connect(server.url, token="token") for server in (first, second, third)]
        for client in clients:
            client.list()
        wait_until(monotonic() + 0.5)
        clients[2].create()
        wait_until(monotonic() + 0.6)
        clients[0].create()
        clients[1].get(KEY_ID)
        clients[2].create()
        assert first.connections == 2
        assert third.connections == 1
        assert second.connections == 2
