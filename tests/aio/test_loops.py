"""The async client and its event loop: one loop, and what it says on any other or after its end."""

from __future__ import annotations

import asyncio

import anyio
import pytest
import trio

from api_keys_client import ApiConnectionError, AsyncApiKeysClient, ConfigurationError, Outcome
from api_keys_client.sandbox import Sandbox
from tests.support.tasks import CALLS, Use, failure, run
from tests.support.wire import Server

each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
# Each other call begins with one that makes a key or one that reads.
create_and_list = pytest.mark.parametrize("call", [CALLS["create"], CALLS["list"]], ids=["create", "list"])


@each_call
def test_on_a_second_loop_it_says_so(call: Use) -> None:
    async def main() -> None:
        async with AsyncApiKeysClient(server.url, token="token") as client:
            await client.list()
            error = await asyncio.to_thread(lambda: run(failure(call, client)))
            assert isinstance(error, ConfigurationError)
            assert "event loop of its first call" in str(error)
            assert error.outcome is Outcome.NOT_SENT
            await client.list()

    with Server() as server:
        run(main())
        assert server.operations() == ["list", "list"]


@create_and_list
def test_after_its_loop_has_ended_it_says_so(call: Use) -> None:
    with Server() as server:
        client = AsyncApiKeysClient(server.url, token="token")
        run(client.list())
        assert "event loop of its first call" in str(run(failure(call, client)))
        assert server.operations() == ["list"]


@create_and_list
def test_closed_it_says_so(call: Use) -> None:
    async def main() -> None:
        client = AsyncApiKeysClient(server.url, token="token")
        await client.list()
        await client.close()
        error = await failure(call, client)
        assert isinstance(error, ApiConnectionError)
        assert "the client is closed" in str(error)

    with Server() as server:
        run(main())
        assert server.operations() == ["list"]


@create_and_list
def test_trio_is_told_to_be_none(call: Use) -> None:
    async def main() -> None:
        async with AsyncApiKeysClient("http://127.0.0.1:1", token="token") as client:
            with pytest.raises(ConfigurationError, match=r"runs on asyncio.*trio is not supported"):
                await call(client)

    trio.run(main)


def test_anyio_on_asyncio_will_do(engine: Sandbox) -> None:
    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client, anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(client.create, "ci")

    anyio.run(main, backend="asyncio")
    assert len(engine.keys()) == 5
