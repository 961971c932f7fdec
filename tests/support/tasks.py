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

from api_keys_client import ApiKeysError, AsyncApiKeysClient
from tests.support.wire import KEY_ID, Act, Peer, Request, answer, message

T = TypeVar("T")
Use = Callable[[AsyncApiKeysClient], Awaitable[object]]

PATIENCE = 5.0
"""Seconds within which what should happen at once has happened, on a slow machine too."""


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


async def failure(call: Use, client: AsyncApiKeysClient) -> ApiKeysError:
    """The error that a call ends with; of many, the one that all of them have."""
    try:
        value = await soon(call(client))
    except ApiKeysError as error:
        return error
    assert isinstance(value, list)
    assert {type(outcome.error) for outcome in value} == {type(value[0].error)}
    return cast("ApiKeysError", value[0].error)


async def temporary(client: AsyncApiKeysClient) -> None:
    async with client.temporary_key("ci"):
        pass


CALLS: dict[str, Use] = {
    "create": lambda client: client.create("ci"),
    "list": lambda client: client.list(),
    "get": lambda client: client.get(KEY_ID),
    "deactivate": lambda client: client.deactivate(KEY_ID),
    "deactivate_many": lambda client: client.deactivate_many([KEY_ID] * 20),
    "temporary_key": temporary,
    "rotate": lambda client: client.rotate(KEY_ID, store=lambda _: None),
}


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


def read_to_the_end(peer: socket.socket) -> None:
    """Until the client closes its side."""
    with peer:
        while peer.recv(4096):
            continue


def no_answer(arrived: threading.Event, left: threading.Event) -> Act:
    def act(peer: Peer, _: Request) -> None:
        arrived.set()
        peer.hold()
        left.set()

    return act


def half_an_answer(arrived: threading.Event, left: threading.Event) -> Act:
    def act(peer: Peer, _: Request) -> None:
        peer.send(message(200, b"[" + b" " * 99)[:-50])
        arrived.set()
        peer.hold()
        left.set()

    return act


def not_yet(arrived: threading.Event, _: threading.Event) -> Act:
    """An answer that asks for a long wait; the connection may stay."""

    def act(peer: Peer, request: Request) -> None:
        answer(429, b"{}", "Retry-After: 50")(peer, request)
        arrived.set()

    return act


STOPS = {"headers": no_answer, "body": half_an_answer, "sleep": not_yet}
"""Where a call waits, and the server that makes it: `arrived` is set when it does, `left` when it is gone."""
