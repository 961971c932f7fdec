"""How an async client ends: closed while calls are in flight, with its loop, or dropped."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
import warnings
from collections.abc import AsyncGenerator
from typing import cast

import pytest
import trustme

from api_keys_client import ApiConnectionError, ApiKeysError, AsyncApiKeysClient, Outcome, OutcomeUnknownError
from api_keys_client._core.options import POOL_SIZE
from api_keys_client._transport import aiohttp_connections
from api_keys_client.sandbox import Sandbox
from tests.support.tasks import (
    CALLS,
    PATIENCE,
    STOPS,
    a_few_turns,
    cancel,
    failure,
    no_answer,
    run,
    soon,
    unshaken,
    until,
)
from tests.support.wire import KEY_ID, Act, Peer, Request, Server, good


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("operation", ["create", "get"])
def test_closing_ends_a_call_in_flight(operation: str, stop: str) -> None:
    async def main() -> None:
        client = AsyncApiKeysClient(server.url, token="token")
        task = asyncio.ensure_future(CALLS[operation](client))
        await until(arrived)
        await a_few_turns()
        await soon(client.close())
        error = await failure(lambda _: task, client)
        assert "closed" in str(error)
        assert not error.retryable
        if operation == "get":
            assert type(error) is ApiConnectionError
        elif stop == "sleep":
            assert error.outcome is Outcome.REJECTED
        else:
            assert isinstance(error, OutcomeUnknownError)

    arrived, left = threading.Event(), threading.Event()
    with Server(STOPS[stop](arrived, left)) as server:
        run(main())
        assert stop == "sleep" or left.wait(PATIENCE)
        assert server.operations() == [operation]


def test_closing_and_cancelling_end_calls_over_tls() -> None:
    authority = trustme.CA()
    presenting, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(presenting)
    authority.configure_trust(trusting)
    arrived = [threading.Event() for _ in range(2)]
    left = [threading.Event() for _ in range(2)]

    async def main() -> None:
        client = AsyncApiKeysClient(server.url, token="token", ssl_context=trusting)
        await client.list()
        tasks = []
        for event in arrived:
            tasks.append(asyncio.ensure_future(client.list()))
            await until(event)
        await cancel(tasks[0])
        await soon(client.close())
        assert "closed" in str(await failure(lambda _: tasks[1], client))

    with Server(good, no_answer(arrived[0], left[0]), no_answer(arrived[1], left[1]), tls=presenting) as server:
        run(main())
        assert all(event.wait(PATIENCE) for event in left)


def test_closing_ends_a_call_that_is_connecting() -> None:
    async def main() -> None:
        client = AsyncApiKeysClient(url, token="token")
        task = asyncio.ensure_future(client.create())
        with await asyncio.to_thread(accept):
            await soon(client.close())
            error = await failure(lambda _: task, client)
        assert "closed" in str(error)
        assert error.outcome is Outcome.NOT_SENT

    with unshaken() as (url, accept):
        run(main())


def test_closing_ends_calls_that_wait_for_a_connection() -> None:
    async def main() -> None:
        client = AsyncApiKeysClient(server.url, token="token")
        tasks = [asyncio.ensure_future(client.create()) for _ in range(3 * POOL_SIZE)]
        for event in arrived:
            await until(event)
        await client.close()
        ended = await soon(asyncio.gather(*tasks, return_exceptions=True))
        errors = [cast("ApiKeysError", error) for error in ended]
        assert [error.outcome for error in errors] == [Outcome.UNKNOWN] * POOL_SIZE + [Outcome.NOT_SENT] * 2 * POOL_SIZE
        assert all("closed" in str(error) for error in errors)

    arrived = [threading.Event() for _ in range(POOL_SIZE)]
    with Server(*(no_answer(event, threading.Event()) for event in arrived)) as server:
        run(main())
        assert len(server.requests) == POOL_SIZE


def test_closing_twice_at_once(engine: Sandbox) -> None:
    async def main() -> None:
        client = AsyncApiKeysClient(engine.url, token=engine.token)
        await client.list()
        await soon(asyncio.gather(*(client.close() for _ in range(3))))

    run(main())


def test_closing_from_another_loop_ends_calls_in_flight() -> None:
    async def main() -> None:
        client = AsyncApiKeysClient(server.url, token="token")
        task = asyncio.ensure_future(client.get(KEY_ID))
        await until(arrived)
        await asyncio.to_thread(lambda: run(client.close()))
        assert "closed" in str(await failure(lambda _: task, client))

    arrived, left = threading.Event(), threading.Event()
    with Server(no_answer(arrived, left)) as server:
        run(main())
        assert left.wait(PATIENCE)


def good_until(left: threading.Event) -> Act:
    """An answer; says when the client has left."""

    def act(peer: Peer, request: Request) -> None:
        good(peer, request)
        peer.hold()
        left.set()

    return act


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
        assert "closed" in str(run(failure(CALLS["list"], client)))


def test_a_client_that_is_dropped_closes_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than the test waits, after which they would be closed in any case.
    monkeypatch.setattr(aiohttp_connections, "MAX_IDLE_SECONDS", 60.0)

    async def main() -> None:
        client = AsyncApiKeysClient(server.url, token="token")
        await client.list()
        del client
        assert await asyncio.to_thread(left.wait, PATIENCE)

    left = threading.Event()
    with Server(good_until(left)) as server:
        run(main())


def test_a_generator_that_the_loop_closes_may_close_the_client() -> None:
    """The loop closes all generators at once, and so the client's own while it is being closed."""
    generators: list[AsyncGenerator[None, None]] = []

    async def keep() -> AsyncGenerator[None, None]:
        async with AsyncApiKeysClient(server.url, token="token") as client:
            await client.list()
            yield

    async def main() -> None:
        for _ in range(10):
            generators.append(keep())
            await generators[-1].__anext__()

    with Server() as server:
        run(main())
