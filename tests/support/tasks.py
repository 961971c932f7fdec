"""What the tests of the async client share: a loop that complains, servers that stop at a point, short waits."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import pytest

from api_keys_client import ApiKeysError
from tests.support.wire import PATIENCE

T = TypeVar("T")


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.texts.append(record.getMessage())


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """On a new loop. asyncio only logs what it finds unclosed or unread: here that fails the test."""
    complaints = _Complaints()
    logger = logging.getLogger("asyncio")
    logger.addHandler(complaints)
    try:
        value = asyncio.run(coroutine)
        gc.collect(1)
    finally:
        logger.removeHandler(complaints)
    assert complaints.texts == []
    return value


async def soon(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, PATIENCE)


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE)


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert task.cancelled()


async def a_few_turns() -> None:
    """Lets what is ready happen: bytes that are here be read, tasks that were woken run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def failure(call: Awaitable[object]) -> ApiKeysError:
    """The error that a call ends with; of many, the first one's."""
    try:
        value = await soon(call)
    except ApiKeysError as error:
        return error
    assert isinstance(value, list)
    return cast("ApiKeysError", value[0].error)


@contextmanager
def unshaken() -> Iterator[tuple[str, Callable[[], socket.socket]]]:
    """An https URL where connections are taken and no hand is shaken, and a function that gives the next of them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)

        def accept() -> socket.socket:
            peer, _ = listener.accept()
            peer.settimeout(PATIENCE)
            peer.recv(1)
            return peer

        yield f"https://127.0.0.1:{listener.getsockname()[1]}", accept
