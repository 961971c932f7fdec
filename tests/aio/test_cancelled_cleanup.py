"""Temporary keys and many deactivations that are cancelled: no key is left over, and who was told of what is true."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from api_keys_client import AsyncApiKeysClient, ConfigurationError, CreatedKey, Deactivation
from api_keys_client.sandbox import Sandbox
from api_keys_client.sandbox.faults import Exchange, Fault
from tests.support.tasks import PATIENCE, a_few_turns, cancel, run, soon, until


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


@pytest.mark.parametrize("times", [1, 5])
def test_a_temporary_key_ends_although_the_clean_up_is_cancelled(engine: Sandbox, times: int) -> None:
    arrived, release = threading.Event(), threading.Event()

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client, in_a_block(client) as task:
            engine.queue(Fault.hold(arrived, release), operation="deactivate")
            task.cancel()
            await until(arrived)
            for _ in range(times):
                task.cancel()
                await a_few_turns()
            assert not task.done()
            release.set()
            await soon(asyncio.wait([task]))
            assert task.cancelled()

    run(main())
    assert [key.is_active for key in engine.keys()] == [False]


def test_a_temporary_key_ends_when_time_is_up_inside_and_outside(engine: Sandbox) -> None:
    async def block(client: AsyncApiKeysClient) -> None:
        async with client.temporary_key("ci"):
            await asyncio.Event().wait()

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.wait_for(block(client), 0.5), 0.5)

    run(main())
    assert [key.is_active for key in engine.keys()] == [False]


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("times", [1, 3])
def test_a_temporary_key_that_is_cancelled_while_it_is_made_is_undone(
    engine: Sandbox, committed: bool, times: int
) -> None:
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
            for _ in range(times - 1):
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


def test_a_failing_done_loses_no_error_of_the_others(engine: Sandbox) -> None:
    def done(outcome: Deactivation) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            keys: list[CreatedKey] = await asyncio.gather(*(client.create() for _ in range(9)))
            with pytest.raises(ZeroDivisionError):
                await client.deactivate_many([key.id for key in keys], done, bound=4)

    run(main())
    assert sum(not key.is_active for key in engine.keys()) == 4
