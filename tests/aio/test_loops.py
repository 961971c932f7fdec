"""The async client and its event loop: one loop, what it says on any other, and what the loop's end closes."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio
import pytest
import trio

from api_keys_client import AsyncApiKeysClient, ConfigurationError, Outcome
from api_keys_client._transport import aiohttp_connections
from api_keys_client.sandbox import Sandbox
from tests.support.tasks import failure, run, until
from tests.support.wire import GOOD, KEY_ID, PATIENCE, Act, Server, held, message

CALLS: dict[str, Callable[[AsyncApiKeysClient], Awaitable[object]]] = {
    "create": lambda client: client.create("ci"),
    "list": lambda client: client.list(),
    "deactivate_many": lambda client: client.deactivate_many([KEY_ID] * 20),
    "temporary_key": lambda client: client.temporary_key("ci").__aenter__(),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@each_call
def test_on_another_loop_it_says_so(call: Callable[[AsyncApiKeysClient], Awaitable[object]]) -> None:
    async def fails() -> None:
        error = await failure(call(client))
        assert isinstance(error, ConfigurationError)
        assert "event loop of its first call" in str(error)
        assert error.outcome is Outcome.NOT_SENT

    async def main() -> None:
        await client.list()
        await asyncio.to_thread(lambda: run(fails()))
        await client.list()

    with Server() as server:
        client = AsyncApiKeysClient(server.url, token="token")
        run(main())
        # After its loop has ended, too.
        run(fails())
        assert server.operations() == ["list", "list"]


def test_trio_is_told_to_be_none() -> None:
    async def main() -> None:
        async with AsyncApiKeysClient("http://127.0.0.1:1", token="token") as client:
            for call in (client.create, client.list):
                with pytest.raises(ConfigurationError, match=r"runs on asyncio.*trio is not supported"):
                    await call()

    trio.run(main)


def test_anyio_on_asyncio_will_do(engine: Sandbox) -> None:
    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client, anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(client.create, "ci")

    anyio.run(main, backend="asyncio")
    assert len(engine.keys()) == 5


def good_until(left: threading.Event) -> Act:
    """An answer; says when the client has left."""
    return held(threading.Event(), left, data=message(200, GOOD["list"]))


@pytest.mark.parametrize("close", [True, False], ids=["closed afterwards", "never closed"])
def test_a_loop_that_ends_closes_the_connections(close: bool) -> None:
    left = threading.Event()
    with Server(good_until(left)) as server:
        client = AsyncApiKeysClient(server.url, token="token")
        run(client.list())
        assert left.wait(PATIENCE)
        if close:
            run(client.close())


def test_a_client_can_be_closed_after_a_loop_that_was_only_stopped() -> None:
    with Server() as server:
        client = AsyncApiKeysClient(server.url, token="token")
        loop = asyncio.new_event_loop()
        loop.run_until_complete(client.list())
        loop.close()
        with warnings.catch_warnings():
            # The loop's own, of the connections that it was closed with.
            warnings.simplefilter("ignore", ResourceWarning)
            run(client.close())
            gc.collect()
        assert "closed" in str(run(failure(client.list())))


async def test_a_client_that_is_dropped_closes_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than the test waits, after which they would be closed in any case.
    monkeypatch.setattr(aiohttp_connections, "MAX_IDLE_SECONDS", 60.0)
    left = threading.Event()
    with Server(good_until(left)) as server:
        client = AsyncApiKeysClient(server.url, token="token")
        await client.list()
        del client
        await until(left)


def test_a_generator_that_the_loop_closes_may_close_the_client(engine: Sandbox) -> None:
    """The loop closes all generators at once, and so the client's own while it is being closed."""
    generators: list[AsyncGenerator[None, None]] = []

    async def keep() -> AsyncGenerator[None, None]:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            await client.list()
            yield

    async def main() -> None:
        for _ in range(10):
            generators.append(keep())
            await generators[-1].__anext__()

    run(main())
