"""One client in many threads, and what closing it ends there. Most of these are the sync client's."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import trustme

from api_keys_client import ApiConnectionError, ApiKeysClient, ApiKeysError, Outcome, OutcomeUnknownError
from tests.support.certificates import presenting, trusting
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS
from tests.support.gathering import PATIENCE, Gathering, both_schemes
from tests.support.wire import KEY_ID, Peer, Request, Server, answer, good

BOUND = 20
"""Connections that one client has at most."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_many_threads_share_the_connections_of_one_client() -> None:
    with Server() as server, ApiKeysClient(server.url, token="token") as client, ThreadPoolExecutor(16) as threads:
        views = [client, client.with_options(max_attempts=1)]
        for record in threads.map(lambda number: views[number % 2].get(KEY_ID), range(2_000)):
            assert record.id == KEY_ID
    assert len(server.requests) == 2_000
    assert server.connections <= 16


def test_no_more_connections_are_made_than_the_bound() -> None:
    gathering = Gathering(BOUND)
    with Server(*[gathering.until_let_go] * 60) as server, ApiKeysClient(server.url, token="token") as client:
        views = [client, client.with_options(token="other"), client.with_options(headers={"X-Team": "platform"})]
        with ThreadPoolExecutor(60) as threads:
            calls = [threads.submit(views[number % 3].get, KEY_ID) for number in range(60)]
            assert gathering.complete.wait(PATIENCE)
            wait_until(lambda: sum(map(waits, threading.enumerate())) >= 60 - BOUND)
            gathering.go_on.set()
            assert [call.result().id for call in calls] == [KEY_ID] * 60
    assert server.connections == BOUND


@both_schemes
def test_closing_ends_the_calls_in_flight(authority: trustme.CA, scheme: str) -> None:
    gathering = Gathering(BOUND)
    with Server(*[gathering.until_left] * BOUND, tls=presenting(authority) if scheme == "https" else None) as server:
        client = ApiKeysClient(server.url, token="token", deadline=15, ssl_context=trusting(authority))
        with ThreadPoolExecutor(60) as threads:
            kinds = ["create", "get"] * (BOUND // 2)
            held = [threads.submit(OPERATIONS[kind], client) for kind in kinds]
            assert gathering.complete.wait(PATIENCE)
            # No connection is left for these.
            waiting = [threads.submit(OPERATIONS[kind], client) for kind in ("create", "get") * 20]
            wait_until(lambda: sum(map(waits, threading.enumerate())) >= 40)
            client.close()
            _, late = wait([*held, *waiting], PATIENCE)
            assert not late
    for kind, call in zip(kinds, held, strict=True):
        check_closed(call, OutcomeUnknownError if kind == "create" else ApiConnectionError)
    for call in waiting:
        error = check_closed(call, ApiConnectionError)
        assert error.outcome in (Outcome.NOT_SENT, None)
    assert len(server.requests) == BOUND


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_closing_closes_the_idle_connections(connect: Connect) -> None:
    left = threading.Event()

    def answer_once(peer: Peer, request: Request) -> None:
        good(peer, request)
        peer.hold()
        left.set()

    with Server(answer_once) as server:
        client = connect(server.url, token="token")
        client.get(KEY_ID)
        client.close()
        assert left.wait(PATIENCE)


def test_closing_ends_the_wait_before_the_next_attempt() -> None:
    with Server(answer(503, b"{}", "Retry-After: 50")) as server, ThreadPoolExecutor(1) as thread:
        client = ApiKeysClient(server.url, token="token")
        call = thread.submit(client.get, KEY_ID)
        wait_until(lambda: len(server.requests) == 1 and any(map(waits, threading.enumerate())))
        client.close()
        check_closed(call, ApiConnectionError)
    assert len(server.requests) == 1


def check_closed(call: Future[Any], kind: type[ApiKeysError]) -> ApiKeysError:
    error = call.exception(PATIENCE)
    assert isinstance(error, ApiKeysError)
    assert type(error) is kind
    assert "closed" in str(error)
    assert not error.retryable
    return error


def waits(thread: threading.Thread) -> bool:
    """Whether the thread waits for another, in a call of ours."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None or (frame.f_code.co_name, Path(frame.f_code.co_filename).name) != ("wait", "threading.py"):
        return False
    while frame := frame.f_back:
        if Path(frame.f_code.co_filename).name == "sync.py":
            return True
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Asks again and again: that a thread waits is no event."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
