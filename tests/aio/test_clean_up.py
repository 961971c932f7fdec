"""Temporary keys whose clean-up is cancelled, again and again or by the end of its loop: none is left unnamed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import pytest

from api_keys_client import ApiConnectionError, AsyncApiKeysClient
from api_keys_client.sandbox import Sandbox
from api_keys_client.sandbox.faults import Exchange, Fault
from tests.support.tasks import a_few_turns, run, soon, until
from tests.support.wire import PATIENCE


def all_ended(sandbox: Sandbox) -> bool:
    return bool(sandbox.keys()) and not any(key.is_active for key in sandbox.keys())


async def pass_through(client: AsyncApiKeysClient, inside: asyncio.Event | None = None) -> None:
    """Makes a temporary key and ends it; stays in its block if that is to be told."""
    async with client.temporary_key("ci"):
        if inside:
            inside.set()
            await asyncio.Event().wait()


async def in_a_block(client: AsyncApiKeysClient) -> asyncio.Task[None]:
    """A task that is inside the block of a temporary key."""
    inside = asyncio.Event()
    task = asyncio.ensure_future(pass_through(client, inside))
    await soon(inside.wait())
    return task


async def test_a_key_ends_although_its_clean_up_is_cancelled(engine: Sandbox, client: AsyncApiKeysClient) -> None:
    arrived, release = threading.Event(), threading.Event()
    task = await in_a_block(client)
    engine.queue(Fault.hold(arrived, release), operation="deactivate")
    task.cancel()
    await until(arrived)
    for _ in range(5):
        task.cancel()
        await a_few_turns()
    assert not task.done()
    release.set()
    await soon(asyncio.wait([task]))
    assert task.cancelled()
    assert all_ended(engine)


@pytest.mark.parametrize("committed", [True, False])
async def test_a_key_that_is_cancelled_while_it_is_made_is_undone(
    engine: Sandbox, client: AsyncApiKeysClient, committed: bool
) -> None:
    arrived, looked, release = (threading.Event() for _ in range(3))
    engine.queue(Fault.hold(arrived, release, committed=committed), operation="create")
    engine.queue(Fault.hold(looked, release), operation="list")
    task = asyncio.ensure_future(client.temporary_key("ci").__aenter__())
    await until(arrived)
    task.cancel()
    await until(looked)
    for _ in range(2):
        task.cancel()
        await a_few_turns()
    release.set()
    await soon(asyncio.wait([task]))
    assert task.cancelled()
    assert all_ended(engine)


async def test_what_the_clean_up_could_not_do_is_noted_on_the_cancellation(
    engine: Sandbox, client: AsyncApiKeysClient
) -> None:
    arrived, release = threading.Event(), threading.Event()

    def refuse(exchange: Exchange) -> Any:
        arrived.set()
        release.wait(PATIENCE)
        return Fault.status(403).act(exchange)

    task = await in_a_block(client)
    engine.queue(Fault("refuse", refuse), operation="deactivate")
    task.cancel()
    await until(arrived)
    task.cancel()
    await a_few_turns()
    release.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await soon(task)
    (told,) = caught.value.__notes__
    assert told.startswith(f"deactivate {engine.keys()[0].id}: the server answered 403")


def test_repeated_cancellation_is_not_a_busy_wait(engine: Sandbox, client: AsyncApiKeysClient) -> None:
    """anyio cancels what waits in each turn of the loop; tasks of Starlette are cancelled like that."""
    arrived, release = threading.Event(), threading.Event()
    cancellations: list[int] = []

    async def leave() -> None:
        try:
            async with client.temporary_key("ci"):
                await anyio.sleep_forever()
        finally:
            task = asyncio.current_task()
            assert task
            cancellations.append(task.cancelling())

    async def main() -> None:
        engine.queue(Fault.hold(arrived, release), operation="deactivate")
        async with anyio.create_task_group() as group:
            group.start_soon(leave)
            await anyio.wait_all_tasks_blocked()
            while len(engine.keys()) == 0:
                await anyio.sleep(0)
            await a_few_turns()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await until(arrived)
                for _ in range(100):
                    await asyncio.sleep(0)
                release.set()

    anyio.run(main, backend="asyncio")
    assert all_ended(engine)
    assert cancellations[0] < 10


class TestTheEndOfALoop:
    """asyncio.run cancels all tasks at its end, those of clean-ups too."""

    @pytest.mark.parametrize(("closing", "fault"), [(True, Fault.status(503)), (False, None)])
    def test_jobs_that_leave_as_one_of_them_fails(
        self, engine: Sandbox, client: AsyncApiKeysClient, closing: bool, fault: Fault | None
    ) -> None:
        async def job(number: int, ready: asyncio.Barrier) -> None:
            async with client.temporary_key(f"job {number}"):
                await ready.wait()
            if number == 0:
                raise ZeroDivisionError

        async def main() -> None:
            ready = asyncio.Barrier(40)
            try:
                if fault:
                    engine.queue(fault, operation="deactivate")
                await asyncio.gather(*(job(number, ready) for number in range(40)))
            finally:
                if closing:
                    await client.close()

        with pytest.raises(ZeroDivisionError):
            run(main())
        assert len(engine.keys()) == 40
        assert all_ended(engine)

    @pytest.mark.parametrize("turns", range(0, 60, 6))
    def test_at_any_turn_of_the_end_of_a_key(self, engine: Sandbox, client: AsyncApiKeysClient, turns: int) -> None:
        tasks: list[asyncio.Task[None]] = []

        async def main() -> None:
            tasks.append(asyncio.ensure_future(pass_through(client)))
            while len(engine.keys()) == 0:
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)

        run(main())
        assert all_ended(engine)

    def test_in_a_slow_undo(self, engine: Sandbox, client: AsyncApiKeysClient) -> None:
        listing, release = threading.Event(), threading.Event()
        engine.queue(Fault.drop(committed=True), operation="create")
        engine.queue(Fault.hold(listing, release), operation="list")

        async def main() -> None:
            task = asyncio.ensure_future(pass_through(client))
            await until(listing)
            release.set()
            assert not task.done()

        run(main())
        assert all_ended(engine)

    def test_a_loop_that_is_closed_over_a_block_names_the_key(self, client: AsyncApiKeysClient) -> None:
        loop = asyncio.new_event_loop()
        manager = client.temporary_key("ci")
        created = loop.run_until_complete(manager.__aenter__())
        loop.run_until_complete(client.close())
        ending = manager.__aexit__(None, None, None)
        loop.close()
        with pytest.raises(ApiConnectionError, match=f"Key {created.id} may still be active"):
            ending.send(None)


async def test_one_who_cancels_for_ever_is_not_waited_for(client: AsyncApiKeysClient) -> None:
    manager = client.with_options(deadline=0.2).temporary_key("ci")
    created = await manager.__aenter__()
    leaving = asyncio.ensure_future(manager.__aexit__(None, None, None))
    await asyncio.sleep(0)
    while not leaving.done():
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError) as caught:
        leaving.result()
    assert created.id in caught.value.__notes__[0]
