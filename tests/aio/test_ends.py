"""Calls that end before their answer, because they are cancelled or the client is closed.

Wherever they wait, the connection is closed, and the next calls find every place free.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from api_keys_client import ApiConnectionError, ApiKeysError, AsyncApiKeysClient, Outcome, OutcomeUnknownError
from api_keys_client._core.options import POOL_SIZE
from api_keys_client.sandbox import Sandbox
from api_keys_client.sandbox.faults import Exchange, Fault
from tests.support.certificates import presenting, trusting
from tests.support.tasks import a_few_turns, cancel, failure, run, soon, unshaken, until
from tests.support.wire import KEY_ID, PATIENCE, Act, Peer, Request, Server, answer, good, held, message

create_and_get = pytest.mark.parametrize("operation", ["create", "get"])


def begin(client: AsyncApiKeysClient, operation: str) -> asyncio.Task[Any]:
    return asyncio.ensure_future(client.create() if operation == "create" else client.get(KEY_ID))


def not_yet(arrived: threading.Event, _: threading.Event) -> Act:
    """An answer that asks for a long wait; the connection may stay."""

    def act(peer: Peer, request: Request) -> None:
        answer(429, b"{}", "Retry-After: 50")(peer, request)
        arrived.set()

    return act


# Where a call waits, and the server that makes it: `arrived` is set when it does, `left` when it is gone.
STOPS: dict[str, Callable[[threading.Event, threading.Event], Act]] = {
    "headers": held,
    "body": lambda arrived, left: held(arrived, left, data=message(200, b"[" + b" " * 99)[:-50]),
    "sleep": not_yet,
}
each_stop = pytest.mark.parametrize("stop", STOPS)


@each_stop
@create_and_get
async def test_a_cancelled_call_closes_its_connection(operation: str, stop: str) -> None:
    arrived, left = threading.Event(), threading.Event()
    with Server(STOPS[stop](arrived, left)) as server:
        client = AsyncApiKeysClient(server.url, token="token")
        task = begin(client, operation)
        await until(arrived)
        await a_few_turns()
        await cancel(task)
        if stop != "sleep":
            await until(left)
        await soon(client.list())
        assert server.operations() == [operation, "list"]
        assert server.connections == (1 if stop == "sleep" else 2)


@each_stop
@create_and_get
async def test_closing_ends_a_call_in_flight(operation: str, stop: str) -> None:
    arrived, left = threading.Event(), threading.Event()
    with Server(STOPS[stop](arrived, left)) as server:
        client = AsyncApiKeysClient(server.url, token="token")
        task = begin(client, operation)
        await until(arrived)
        await a_few_turns()
        await soon(asyncio.gather(client.close(), client.close()))
        error = await failure(task)
        if stop != "sleep":
            await until(left)
        assert server.operations() == [operation]
    assert "closed" in str(error)
    assert not error.retryable
    if operation == "get":
        assert type(error) is ApiConnectionError
    elif stop == "sleep":
        assert error.outcome is Outcome.REJECTED
    else:
        assert isinstance(error, OutcomeUnknownError)


async def test_both_end_calls_over_tls(authority: trustme.CA) -> None:
    arrived, left = ([threading.Event() for _ in range(2)] for _ in range(2))
    with Server(good, *map(held, arrived, left), tls=presenting(authority)) as server:
        client = AsyncApiKeysClient(server.url, token="token", ssl_context=trusting(authority))
        await client.list()
        tasks = []
        for event in arrived:
            tasks.append(begin(client, "get"))
            await until(event)
        await cancel(tasks[0])
        await soon(client.close())
        assert "closed" in str(await failure(tasks[1]))
        for event in left:
            await until(event)


async def test_both_end_calls_that_connect() -> None:
    def read_to_the_end(peer: socket.socket) -> None:
        with peer:
            while peer.recv(4096):
                continue

    with unshaken() as (url, accept):
        client = AsyncApiKeysClient(url, token="token")
        for _ in range(POOL_SIZE + 1):
            task = begin(client, "create")
            peer = await asyncio.to_thread(accept)
            await cancel(task)
            await soon(asyncio.to_thread(read_to_the_end, peer))
        task = begin(client, "create")
        with await asyncio.to_thread(accept):
            await soon(client.close())
            error = await failure(task)
    assert "closed" in str(error)
    assert error.outcome is Outcome.NOT_SENT


async def test_closing_ends_calls_that_wait_for_a_connection_and_cancels_no_task() -> None:
    """A task that waits for the client's end goes on, whatever the library did to the call that it waited in."""
    arrived = [threading.Event() for _ in range(POOL_SIZE)]

    async def work() -> ApiKeysError:
        error = await failure(client.create())
        await asyncio.sleep(0)
        return error

    with Server(*map(held, arrived)) as server:
        client = AsyncApiKeysClient(server.url, token="token")
        tasks = [asyncio.ensure_future(work()) for _ in range(3 * POOL_SIZE)]
        for event in arrived:
            await until(event)
        await client.close()
        errors = await soon(asyncio.gather(*tasks))
        assert len(server.requests) == POOL_SIZE
    assert [error.outcome for error in errors] == [Outcome.UNKNOWN] * POOL_SIZE + [Outcome.NOT_SENT] * 2 * POOL_SIZE
    assert all("closed" in str(error) for error in errors)


async def test_closing_from_another_loop_ends_calls_in_flight() -> None:
    arrived, left = threading.Event(), threading.Event()
    with Server(held(arrived, left)) as server:
        client = AsyncApiKeysClient(server.url, token="token")
        task = begin(client, "get")
        await until(arrived)
        await asyncio.to_thread(lambda: run(client.close()))
        assert "closed" in str(await failure(task))
        await until(left)


@pytest.mark.parametrize("first", ["cancel", "close"])
async def test_a_cancellation_is_not_lost_when_the_client_is_closed_at_the_same_time(first: str) -> None:
    arrived = threading.Event()
    with Server(held(arrived)) as server:
        client = AsyncApiKeysClient(server.url, token="token")
        task = begin(client, "get")
        await until(arrived)
        if first == "cancel":
            task.cancel()
        closing = asyncio.ensure_future(client.close())
        # In this turn it ends the call, which will notice in the next.
        await asyncio.sleep(0)
        if first == "close":
            task.cancel()
        await soon(asyncio.wait([task, closing]))
        assert task.cancelled()


async def check_whole(client: AsyncApiKeysClient, sandbox: Sandbox) -> None:
    """As many calls at once as there are places work, and each gets its own answer."""
    once = client.with_options(max_attempts=1)
    created = await soon(asyncio.gather(*(once.create(f"key {number}") for number in range(POOL_SIZE))))
    gathered = threading.Barrier(POOL_SIZE)

    def act(exchange: Exchange) -> Any:
        gathered.wait(PATIENCE)
        return exchange.answer()

    sandbox.queue(Fault("together", act), operation="get", times=POOL_SIZE)
    records = await soon(asyncio.gather(*(once.get(key.id) for key in created)))
    assert [(record.id, record.description) for record in records] == [(key.id, key.description) for key in created]


@pytest.mark.parametrize(
    "fault", [Fault.silence(), Fault.status(429, retry_after=50), Fault.delay(0)], ids=["silence", "sleep", "nothing"]
)
@pytest.mark.parametrize("turns", [0, 1, 3, 8, 50])
async def test_no_place_is_lost_wherever_calls_are_cancelled(
    engine: Sandbox, client: AsyncApiKeysClient, fault: Fault, turns: int
) -> None:
    """As many as there are places, and as many again that wait for one, at each point of a call."""
    engine.queue(fault, operation="list", times=POOL_SIZE)
    tasks = [asyncio.ensure_future(client.list()) for _ in range(2 * POOL_SIZE)]
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await soon(asyncio.wait(tasks))
    engine.reset()
    await check_whole(client, engine)


async def test_a_place_is_passed_on_by_one_that_is_cancelled_as_it_gets_it() -> None:
    arrived = [threading.Event() for _ in range(POOL_SIZE)]
    with Server(*map(held, arrived)) as server:
        client = AsyncApiKeysClient(server.url, token="token")
        holding = [asyncio.ensure_future(client.list()) for _ in range(POOL_SIZE)]
        for event in arrived:
            await until(event)
        first, second = begin(client, "get"), begin(client, "get")
        await a_few_turns()
        holding[0].cancel()
        # In this turn the place is given to the first one, which will run in the next.
        await asyncio.sleep(0)
        first.cancel()
        assert (await soon(second)).id == KEY_ID
        assert first.cancelled()
        for task in holding[1:]:
            await cancel(task)
        assert server.operations() == ["list"] * POOL_SIZE + ["get"]
