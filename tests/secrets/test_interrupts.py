"""No interrupt or cancellation shows a secret, whatever line it comes at."""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from collections.abc import Callable

import pytest

from api_keys_client import ApiKeysClient, AsyncApiKeysClient
from tests.support.endings import create, get
from tests.support.leaks import TOKEN, assert_error_hides, assert_hidden
from tests.support.wire import Peer, Request, Server


class OutOfTime(Exception):
    """What a job's time limit raises from its signal handler, as Celery's does."""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no thread can be interrupted here")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, OutOfTime])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 503 Later\r\nContent-Length: 9\r\n\r\n"], ids=["silence", "refusal"])
@pytest.mark.parametrize("call", [create, get])
def test_no_interrupt_is_swallowed_or_shows_a_secret(
    kind: type[BaseException], begun: bytes, call: Callable[[ApiKeysClient], object]
) -> None:
    arrived = threading.Event()

    def announce(peer: Peer, _: Request) -> None:
        peer.send(begun)
        arrived.set()
        peer.hold()

    def interrupt(thread: int) -> None:
        arrived.wait()
        signal.pthread_kill(thread, signal.SIGUSR1)

    def handle(*_: object) -> None:
        raise kind

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with Server(announce) as server, ApiKeysClient(server.url, token=TOKEN) as client:
            interrupting = threading.Thread(target=interrupt, args=(threading.get_ident(),))
            interrupting.start()
            with pytest.raises(kind) as caught:
                call(client)
            interrupting.join()
            assert len(server.requests) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert assert_error_hides(caught.value)
    # Not even the library's frames are left, which hold the headers.
    for frame in traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack[1:]:
        assert_hidden(str(frame.locals), f"{frame.filename}, line {frame.lineno}")


def test_no_cancellation_shows_a_secret() -> None:
    async def cancelled(url: str, arrived: threading.Event) -> asyncio.CancelledError:
        async with AsyncApiKeysClient(url, token=TOKEN) as client:
            task = asyncio.ensure_future(client.create("ci"))
            await asyncio.to_thread(arrived.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            return caught.value

    arrived = threading.Event()

    def announce(peer: Peer, _: Request) -> None:
        arrived.set()
        peer.hold()

    with Server(announce) as server:
        assert assert_error_hides(asyncio.run(cancelled(server.url, arrived)))
