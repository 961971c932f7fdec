"""Calls that are cancelled: wherever they wait the connection is closed, and the next calls find every place free."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from api_keys_client import ApiKeysError, AsyncApiKeysClient
from api_keys_client._core.options import POOL_SIZE
from api_keys_client.sandbox import Sandbox
from api_keys_client.sandbox.faults import Exchange, Fault
from tests.support.tasks import (
    PATIENCE,
    STOPS,
    a_few_turns,
    cancel,
    no_answer,
    read_to_the_end,
    run,
    soon,
    unshaken,
    until,
)
from tests.support.wire import KEY_ID, Server

TOKEN = "t0ken-of-the-administrator"


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


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("operation", ["create", "get"])
def test_a_cancelled_call_closes_its_connection(operation: str, stop: str) -> None:
    arrived, left = threading.Event(), threading.Event()

    async def main() -> None:
        async with AsyncApiKeysClient(server.url, token="token") as client:
            call: Coroutine[Any, Any, object] = client.create() if operation == "create" else client.get(KEY_ID)
            task = asyncio.ensure_future(call)
            await until(arrived)
            await a_few_turns()
            await cancel(task)
            if stop != "sleep":
                await until(left)
            await soon(client.list())

    with Server(STOPS[stop](arrived, left)) as server:
        run(main())
        assert server.operations() == [operation, "list"]
        assert server.connections == (1 if stop == "sleep" else 2)


def test_no_frame_of_a_cancellation_shows_the_token() -> None:
    """The library's frames hold it."""
    arrived, left = threading.Event(), threading.Event()

    async def main() -> BaseException:
        async with AsyncApiKeysClient(server.url, token=TOKEN) as client:
            task = asyncio.ensure_future(client.create())
            await until(arrived)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    with Server(no_answer(arrived, left)) as server:
        error = run(main())
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "in send" in shown
    assert TOKEN not in shown


def test_a_call_that_is_cancelled_while_it_connects_closes_its_connection() -> None:
    async def main() -> None:
        async with AsyncApiKeysClient(url, token="token") as client:
            for _ in range(POOL_SIZE + 1):
                task = asyncio.ensure_future(client.create())
                peer = await asyncio.to_thread(accept)
                await cancel(task)
                await soon(asyncio.to_thread(read_to_the_end, peer))

    with unshaken() as (url, accept):
        run(main())


def test_no_place_is_lost_wherever_calls_are_cancelled(engine: Sandbox) -> None:
    """As many as there are places, and as many again that wait for one, at each point of a call."""
    faults: dict[str, Callable[[threading.Event], Fault]] = {
        "headers": lambda arrived: Fault.hold(arrived, release),
        "silence": lambda _: Fault.silence(),
        "sleep": lambda _: Fault.status(429, retry_after=50),
        "nothing": lambda _: Fault.delay(0),
    }
    release = threading.Event()

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            for name, fault in faults.items():
                for turns in (0, 1, 3, 8, 50):
                    arrived = threading.Event()
                    engine.queue(fault(arrived), operation="list", times=POOL_SIZE)
                    tasks = [asyncio.ensure_future(client.list()) for _ in range(2 * POOL_SIZE)]
                    if turns == 50 and name == "headers":
                        await until(arrived)
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    for task in tasks:
                        task.cancel()
                    await soon(asyncio.wait(tasks))
                    engine.reset()
                    await check_whole(client, engine)

    run(main())


def test_a_place_is_passed_on_by_one_that_is_cancelled_as_it_gets_it() -> None:
    arrived = [threading.Event() for _ in range(POOL_SIZE)]

    async def main() -> None:
        async with AsyncApiKeysClient(server.url, token="token") as client:
            holding = [asyncio.ensure_future(client.list()) for _ in range(POOL_SIZE)]
            for event in arrived:
                await until(event)
            first, second = (asyncio.ensure_future(client.get(KEY_ID)) for _ in range(2))
            await a_few_turns()
            holding[0].cancel()
            # In this turn the place is given to the first one, which will run in the next.
            await asyncio.sleep(0)
            first.cancel()
            assert (await soon(second)).id == KEY_ID
            assert first.cancelled()
            for task in holding[1:]:
                await cancel(task)

    with Server(*(no_answer(event, threading.Event()) for event in arrived)) as server:
        run(main())
        assert server.operations() == ["list"] * POOL_SIZE + ["get"]


def test_a_create_that_is_cancelled_may_have_made_a_key(engine: Sandbox) -> None:
    """What its docstring says: the caller finds the key by its description."""
    arrived, release = threading.Event(), threading.Event()

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            engine.queue(Fault.hold(arrived, release, committed=True), operation="create")
            task = asyncio.ensure_future(client.create("ci, run 7"))
            await until(arrived)
            await cancel(task)
            outcomes = await client.deactivate_many(key.id for key in await client.list("ci, run 7"))
            assert len(outcomes) == 1

    run(main())
    release.set()
    assert [key.is_active for key in engine.keys()] == [False]


@pytest.mark.parametrize("first", ["cancel", "close"])
def test_a_cancellation_is_not_lost_when_the_client_is_closed_at_the_same_time(engine: Sandbox, first: str) -> None:
    arrived, release = threading.Event(), threading.Event()

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            engine.queue(Fault.hold(arrived, release), operation="list")
            task = asyncio.ensure_future(client.list())
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

    run(main())
    release.set()


def test_closing_is_no_cancellation(engine: Sandbox) -> None:
    """A task that waits for the client's end goes on, whatever the library did to the call that it waited in."""
    arrived, release = threading.Event(), threading.Event()

    async def work(client: AsyncApiKeysClient) -> str:
        try:
            await client.list()
        except ApiKeysError as error:
            await asyncio.sleep(0)
            return str(error)
        return ""

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            engine.queue(Fault.hold(arrived, release), operation="list", times=POOL_SIZE)
            tasks = [asyncio.ensure_future(work(client)) for _ in range(2 * POOL_SIZE)]
            await until(arrived)
        texts = await soon(asyncio.gather(*tasks))
        assert all("closed" in text for text in texts)

    run(main())
    release.set()
