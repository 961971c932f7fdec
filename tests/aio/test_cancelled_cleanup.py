"""Temporary keys and many deactivations that are cancelled: no key is left over, and who was told of what is true."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from api_keys_client import ApiConnectionError, AsyncApiKeysClient, ConfigurationError, CreatedKey, Deactivation
from api_keys_client.sandbox import Sandbox
from api_keys_client.sandbox.faults import Exchange, Fault
from tests.support.tasks import a_few_turns, cancel, run, soon, until
from tests.support.wire import PATIENCE


@asynccontextmanager
async def in_a_block(client: AsyncApiKeysClient) -> AsyncGenerator[asyncio.Task[None], None]:
    """A task that is inside the block of a temporary key."""
    inside = asyncio.Event()

    async def work() -> None:
        async with client.temporary_key("ci"):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await soon(inside.wait())
    yield task


def test_a_temporary_key_ends_although_the_clean_up_is_cancelled(engine: Sandbox) -> None:
    arrived, release = threading.Event(), threading.Event()

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client, in_a_block(client) as task:
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

    run(main())
    assert [key.is_active for key in engine.keys()] == [False]


@pytest.mark.parametrize("committed", [True, False])
def test_a_temporary_key_that_is_cancelled_while_it_is_made_is_undone(engine: Sandbox, committed: bool) -> None:
    arrived, release = threading.Event(), threading.Event()
    looked = threading.Event()

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
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

    run(main())
    assert [key.is_active for key in engine.keys()] == [False]


def test_a_clean_up_that_was_cancelled_alone_ends_as_a_cancellation(engine: Sandbox) -> None:
    arrived, release = threading.Event(), threading.Event()

    async def work(client: AsyncApiKeysClient) -> None:
        async with client.temporary_key("ci"):
            pass

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            engine.queue(Fault.hold(arrived, release), operation="deactivate")
            task = asyncio.ensure_future(work(client))
            await until(arrived)
            task.cancel()
            await a_few_turns()
            release.set()
            await soon(asyncio.wait([task]))
            assert task.cancelled()

    run(main())
    assert [key.is_active for key in engine.keys()] == [False]


def test_what_the_clean_up_could_not_do_is_noted_on_the_cancellation(engine: Sandbox) -> None:
    arrived, release = threading.Event(), threading.Event()

    def refuse(exchange: Exchange) -> Any:
        arrived.set()
        release.wait(PATIENCE)
        return Fault.status(403).act(exchange)

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client, in_a_block(client) as task:
            engine.queue(Fault("refuse", refuse), operation="deactivate")
            task.cancel()
            await until(arrived)
            task.cancel()
            await a_few_turns()
            release.set()
            with pytest.raises(asyncio.CancelledError) as caught:
                await soon(task)
            (key,) = engine.keys()
            (told,) = caught.value.__notes__
            assert told.startswith(f"deactivate {key.id}: the server answered 403")

    run(main())
    assert [key.is_active for key in engine.keys()] == [True]


@pytest.mark.parametrize("patience", ["patient", "impatient"])
def test_many_that_are_cancelled_begin_no_more_and_tell(engine: Sandbox, patience: str) -> None:
    arrived, release = [threading.Event() for _ in range(3)], threading.Event()
    told: list[Deactivation] = []

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            keys = await asyncio.gather(*(client.create() for _ in range(20)))
            engine.queue(Fault.delay(0), operation="deactivate", times=4)
            for event in arrived:
                engine.queue(Fault.hold(event, release, committed=True), operation="deactivate")
            task = asyncio.ensure_future(client.deactivate_many([key.id for key in keys], told.append, bound=3))
            for event in arrived:
                await until(event)
            while len(told) < 4:
                await asyncio.sleep(0)
            task.cancel()
            await a_few_turns()
            assert not task.done()
            if patience == "patient":
                release.set()
                await soon(asyncio.wait([task]))
            else:
                await cancel(task)
                assert asyncio.all_tasks() == {asyncio.current_task()}
            assert task.cancelled()

    run(main())
    release.set()
    gone = {key.id for key in engine.keys() if not key.is_active}
    names = {outcome.key_id for outcome in told}
    assert not any(outcome.error for outcome in told)
    assert len(gone) == 7
    assert names == gone if patience == "patient" else len(names) == 4


def test_many_tell_of_the_others_when_one_is_lost(engine: Sandbox) -> None:
    """A function that gives the token may raise anything: an error of that call, and of no other."""
    told: list[Deactivation] = []
    asked: list[None] = []

    def token() -> str:
        asked.append(None)
        if len(asked) in (2, 3):
            raise LookupError("the vault is sealed")
        return engine.token

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            keys = await asyncio.gather(*(client.create() for _ in range(9)))
            view = client.with_options(token=token)
            outcomes = await view.deactivate_many([key.id for key in keys], told.append, bound=4)
            assert {outcome.key_id for outcome in told} == {key.id for key in keys}
            failed = [outcome.error for outcome in outcomes if outcome.error]
            assert [type(error) for error in failed] == [ConfigurationError] * 2

    run(main())
    assert sum(not key.is_active for key in engine.keys()) == 7


class TestTheEndOfALoop:
    """asyncio.run cancels all tasks at its end, those of clean-ups too."""

    @pytest.mark.parametrize(("closing", "fault"), [(True, Fault.status(503)), (False, None)])
    def test_jobs_that_leave_as_one_of_them_fails(self, engine: Sandbox, closing: bool, fault: Fault | None) -> None:
        async def job(client: AsyncApiKeysClient, number: int, ready: asyncio.Barrier) -> None:
            async with client.temporary_key(f"job {number}"):
                await ready.wait()
            if number == 0:
                raise ZeroDivisionError

        async def main() -> None:
            client = AsyncApiKeysClient(engine.url, token=engine.token)
            ready = asyncio.Barrier(40)
            try:
                if fault:
                    engine.queue(fault, operation="deactivate")
                await asyncio.gather(*(job(client, number, ready) for number in range(40)))
            finally:
                if closing:
                    await client.close()

        with pytest.raises(ZeroDivisionError):
            run(main())
        assert len(engine.keys()) == 40
        assert not any(key.is_active for key in engine.keys())

    @pytest.mark.parametrize("turns", range(0, 60, 6))
    def test_at_any_turn_of_the_end_of_a_key(self, engine: Sandbox, turns: int) -> None:
        async def leave(client: AsyncApiKeysClient) -> None:
            async with client.temporary_key("ci"):
                pass

        async def main() -> None:
            client = AsyncApiKeysClient(engine.url, token=engine.token)
            task = asyncio.ensure_future(leave(client))
            while len(engine.keys()) == 0:
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.add_done_callback(lambda _: None)

        run(main())
        assert [key.is_active for key in engine.keys()] == [False]

    def test_in_a_slow_undo(self, engine: Sandbox) -> None:
        listing, release = threading.Event(), threading.Event()
        engine.queue(Fault.drop(committed=True), operation="create")
        engine.queue(Fault.hold(listing, release), operation="list")

        async def make(client: AsyncApiKeysClient) -> None:
            async with client.temporary_key("ci"):
                pytest.fail("there is no key to work with")

        async def main() -> None:
            task = asyncio.ensure_future(make(AsyncApiKeysClient(engine.url, token=engine.token)))
            await until(listing)
            release.set()
            assert not task.done()

        run(main())
        assert [key.is_active for key in engine.keys()] == [False]

    def test_a_loop_that_is_closed_over_a_block_names_the_key(self, engine: Sandbox) -> None:
        loop = asyncio.new_event_loop()
        client = AsyncApiKeysClient(engine.url, token=engine.token)
        manager = client.temporary_key("ci")
        created = loop.run_until_complete(manager.__aenter__())
        loop.run_until_complete(client.close())
        ending = manager.__aexit__(None, None, None)
        loop.close()
        with pytest.raises(ApiConnectionError, match=f"Key {created.id} may still be active"):
            ending.send(None)

    def test_one_who_cancels_for_ever_is_not_waited_for(self, engine: Sandbox) -> None:
        async def main() -> None:
            client = AsyncApiKeysClient(engine.url, token=engine.token, deadline=0.2)
            async with client.with_options(deadline=30).temporary_key("ci") as created:
                stack = client.temporary_key("other")
                other = await stack.__aenter__()
            assert created.id != other.id
            leaving = asyncio.ensure_future(stack.__aexit__(None, None, None))
            await asyncio.sleep(0)
            while not leaving.done():
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError) as caught:
                leaving.result()
            assert other.id in caught.value.__notes__[0]
            await client.close()

        run(main())


def test_repeated_cancellation_is_not_a_busy_wait(engine: Sandbox) -> None:
    """anyio cancels what waits in each turn of the loop; tasks of Starlette are cancelled like that."""
    arrived, release = threading.Event(), threading.Event()
    cancellations: list[int] = []

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            engine.queue(Fault.hold(arrived, release), operation="deactivate")

            async def leave() -> None:
                try:
                    async with client.temporary_key("ci"):
                        await anyio.sleep_forever()
                finally:
                    task = asyncio.current_task()
                    assert task
                    cancellations.append(task.cancelling())

            async with anyio.create_task_group() as group:
                group.start_soon(leave)
                await anyio.wait_all_tasks_blocked()
                while len(engine.keys()) == 0:
                    await anyio.sleep(0)
                await a_few_turns()
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await until(arrived)
                    await asyncio.sleep(0.1)
                    release.set()

    anyio.run(main, backend="asyncio")
    assert [key.is_active for key in engine.keys()] == [False]
    assert cancellations[0] < 10


def test_a_second_cancellation_keeps_what_the_undo_of_a_rotation_says(engine: Sandbox) -> None:
    arrived, release = threading.Event(), threading.Event()

    async def main() -> list[str]:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            old = await client.create("ci")
            verifying = asyncio.Event()
            engine.queue(Fault.hold(arrived, release), operation="deactivate")

            async def verify(_: CreatedKey) -> None:
                verifying.set()
                await asyncio.Event().wait()

            task = asyncio.ensure_future(client.rotate(old.id, store=lambda _: None, verify=verify))
            await soon(verifying.wait())
            task.cancel()
            await until(arrived)
            for _ in range(2):
                task.cancel()
                await a_few_turns()
            release.set()
            with pytest.raises(asyncio.CancelledError) as caught:
                await soon(task)
            return caught.value.__notes__

    told = run(main())
    assert told == [f"Key {engine.keys()[-1].id} was made and has been deactivated."]
