"""The habits of the library below the async client: what it would do by itself is off, and its times are ours."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from api_keys_client import ApiConnectionError, ApiTimeoutError, AsyncApiKeysClient
from api_keys_client._core.options import POOL_SIZE
from tests.support.tasks import cancel, soon, unshaken, until
from tests.support.wire import KEY_ID, PATIENCE, Peer, Server, good, good_when, say


async def test_as_many_requests_go_out_as_it_says() -> None:
    """The library would send what can be repeated twice, without a word, where a kept connection has ended."""
    with Server(good, say(), say(), say()) as server:
        client = AsyncApiKeysClient(server.url, token="token")
        await client.list()
        with pytest.raises(ApiConnectionError) as caught:
            await client.get(KEY_ID)
        assert caught.value.attempts == 3
        assert server.operations() == ["list", "get", "get", "get"]


async def test_a_view_has_its_own_times() -> None:
    with unshaken() as (url, _):
        client = AsyncApiKeysClient(url, token="token", max_attempts=1)
        for timeout, deadline in ((0.1, 9), (9, 0.1)):
            with pytest.raises(ApiTimeoutError) as caught:
                await soon(client.with_options(timeout=timeout, deadline=deadline).list())
            assert 0.1 <= caught.value.elapsed < 8


async def test_of_calls_at_once_each_ends_at_its_own_time() -> None:
    """One timer watches all of them."""

    async def ends(timeout: float) -> None:
        with pytest.raises(ApiTimeoutError) as caught:
            await client.with_options(timeout=(5, timeout)).list()
        assert timeout <= caught.value.elapsed < PATIENCE

    with Server(*[say(then=Peer.hold)] * 4) as server:
        client = AsyncApiKeysClient(server.url, token="token", max_attempts=1)
        slow = asyncio.ensure_future(client.list())
        await soon(asyncio.gather(*(ends(timeout) for timeout in (0.3, 0.1, 0.2))))
        await cancel(slow)


async def test_waiting_for_a_connection_is_not_waiting_for_the_answer() -> None:
    """The timeout for the answer begins when the request goes out; only the deadline counts before."""
    arrived, release = [threading.Event() for _ in range(POOL_SIZE)], threading.Event()
    with Server(*(good_when(release, event) for event in arrived), good, say(then=Peer.hold)) as server:
        client = AsyncApiKeysClient(server.url, token="token", max_attempts=1)
        holding = [asyncio.ensure_future(client.list()) for _ in range(POOL_SIZE)]
        for event in arrived:
            await until(event)
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
        assert len(server.requests) == POOL_SIZE + 2


async def test_only_the_clients_own_logger_speaks(client: AsyncApiKeysClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await client.list()
    assert {record.name for record in caplog.records} - {"asyncio"} == {"api_keys_client"}
