"""The habits of the library below the async client: what it would do by itself is off, and its times are ours."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from api_keys_client import ApiConnectionError, ApiTimeoutError, AsyncApiKeysClient
from api_keys_client._core.options import POOL_SIZE
from api_keys_client.sandbox import Sandbox
from tests.support.tasks import cancel, run, soon, unshaken, until
from tests.support.wire import KEY_ID, PATIENCE, Peer, Request, Server, good, say


def test_as_many_requests_go_out_as_it_says() -> None:
    """The library would send what can be repeated twice, without a word, where a kept connection has ended."""

    async def main() -> None:
        async with AsyncApiKeysClient(server.url, token="token") as client:
            await client.list()
            with pytest.raises(ApiConnectionError) as caught:
                await client.get(KEY_ID)
            assert caught.value.attempts == 3

    with Server(good, say(), say(), say()) as server:
        run(main())
        assert server.operations() == ["list", "get", "get", "get"]


def test_a_view_has_its_own_times() -> None:
    async def main() -> None:
        async with AsyncApiKeysClient(url, token="token", max_attempts=1) as client:
            for timeout, deadline in ((0.1, 9), (9, 0.1)):
                with pytest.raises(ApiTimeoutError) as caught:
                    await soon(client.with_options(timeout=timeout, deadline=deadline).list())
                assert 0.1 <= caught.value.elapsed < 8

    with unshaken() as (url, _):
        run(main())


def test_of_calls_at_once_each_ends_at_its_own_time() -> None:
    """One timer watches all of them."""

    async def ends(client: AsyncApiKeysClient, timeout: float) -> None:
        with pytest.raises(ApiTimeoutError) as caught:
            await client.with_options(timeout=(5, timeout)).list()
        assert timeout <= caught.value.elapsed < PATIENCE

    async def main() -> None:
        async with AsyncApiKeysClient(server.url, token="token", max_attempts=1) as client:
            slow = asyncio.ensure_future(client.list())
            await soon(asyncio.gather(*(ends(client, timeout) for timeout in (0.3, 0.1, 0.2))))
            await cancel(slow)

    with Server(*[say(then=Peer.hold)] * 4) as server:
        run(main())


def test_waiting_for_a_connection_is_not_waiting_for_the_answer() -> None:
    """The timeout for the answer begins when the request goes out; only the deadline counts before."""
    arrived, release = threading.Event(), threading.Event()

    def slow(peer: Peer, request: Request) -> None:
        if len(server.requests) == POOL_SIZE:
            arrived.set()
        release.wait(PATIENCE)
        good(peer, request)

    async def main() -> None:
        async with AsyncApiKeysClient(server.url, token="token", max_attempts=1) as client:
            holding = [asyncio.ensure_future(client.list()) for _ in range(POOL_SIZE)]
            await until(arrived)
            with pytest.raises(ApiTimeoutError):
                await client.with_options(deadline=0.2).list()
            hurried = client.with_options(timeout=(5, 0.5))
            waiting = [asyncio.ensure_future(hurried.list()) for _ in range(2)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiting[0]), 0.7)
            release.set()
            await soon(asyncio.gather(*holding))
            ended = await soon(asyncio.gather(*waiting, return_exceptions=True))
            # Which of the two the server keeps waiting is its own affair.
            (late,) = [value for value in ended if isinstance(value, ApiTimeoutError)]
            assert "no whole answer" in str(late)
            assert any(isinstance(value, list) for value in ended)

    with Server(*[slow] * POOL_SIZE, good, say(then=Peer.hold)) as server:
        run(main())
        assert len(server.requests) == POOL_SIZE + 2


def test_only_the_clients_own_logger_speaks(engine: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with AsyncApiKeysClient(engine.url, token=engine.token) as client:
            await client.list()

    with caplog.at_level(logging.DEBUG):
        run(main())
    assert {record.name for record in caplog.records} - {"asyncio"} == {"api_keys_client"}
