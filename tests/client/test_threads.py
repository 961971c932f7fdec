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
from api_keys_client._core.options import POOL_SIZE
from tests.support.certificates import presenting, trusting
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS
from tests.support.wire import GOOD, KEY_ID, PATIENCE, Server, answer, good_when, held, message


def test_many_threads_share_the_connections_of_one_client() -> None:
    with Server() as server, ApiKeysClient(server.url, token="token") as client, ThreadPoolExecutor(16) as threads:
        views = [client, client.with_options(max_attempts=1)]
        for record in threads.map(lambda number: views[number % 2].get(KEY_ID), range(2_000)):
            assert record.id == KEY_ID
    assert len(server.requests) == 2_000
    assert server.connections <= 16


def test_no_more_connections_are_made_than_the_bound() -> None:
    arrived, go_on = [threading.Event() for _ in range(POOL_SIZE)], threading.Event()
    acts = [good_when(go_on, event) for event in arrived]
    with Server(*acts) as server, ApiKeysClient(server.url, token="token") as client, ThreadPoolExecutor(60) as threads:
        views = [client, client.with_options(token="other"), client.with_options(headers={"X-Team": "platform"})]
        calls = [threads.submit(views[number % 3].get, KEY_ID) for number in range(60)]
        wait_until(lambda: sum(map(waits, threading.enumerate())) >= 60 - POOL_SIZE)
        assert all(event.wait(PATIENCE) for event in arrived)
        go_on.set()
        assert [call.result().id for call in calls] == [KEY_ID] * 60
    assert server.connections == POOL_SIZE


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_closing_ends_the_calls_in_flight(authority: trustme.CA, scheme: str) -> None:
    arrived = [threading.Event() for _ in range(POOL_SIZE)]
    with Server(*map(held, arrived), tls=presenting(authority) if scheme == "https" else None) as server:
        client = ApiKeysClient(server.url, token="token", deadline=15, ssl_context=trusting(authority))
        with ThreadPoolExecutor(60) as threads:
            kinds = ["create", "get"] * (POOL_SIZE // 2)
            under_way = [threads.submit(OPERATIONS[kind], client) for kind in kinds]
            assert all(event.wait(PATIENCE) for event in arrived)
            # No connection is left for these.
            waiting = [threads.submit(OPERATIONS[kind], client) for kind in ("create", "get") * 20]
            wait_until(lambda: sum(map(waits, threading.enumerate())) >= 40)
            client.close()
            _, late = wait([*under_way, *waiting], PATIENCE)
            assert not late
    for kind, call in zip(kinds, under_way, strict=True):
        check_closed(call, OutcomeUnknownError if kind == "create" else ApiConnectionError)
    for call in waiting:
        assert check_closed(call, ApiConnectionError).outcome in (Outcome.NOT_SENT, None)
    assert len(server.requests) == POOL_SIZE


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_closing_closes_the_idle_connections(connect: Connect) -> None:
    answered, left = threading.Event(), threading.Event()
    with Server(held(answered, left, data=message(200, GOOD["get"]))) as server:
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
