"""The connections of an async client: who may use one, until when, and whether a byte of the request left."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from functools import lru_cache
from types import AsyncGeneratorType
from typing import Any, cast

import aiohttp

from api_keys_client._core.messages import RawResponse
from api_keys_client._core.options import MAX_IDLE_SECONDS, POOL_SIZE

MAX_HEADER_BYTES = 65_536
"""Bytes of one line of an answer's head."""

LOOP_STALL_SECONDS = 0.05
"""Seconds without a call after which a held-up event loop is given the time to see which connections have ended."""

if "send" not in vars(aiohttp.ClientRequest) or "_get" not in vars(aiohttp.BaseConnector):
    raise ImportError(f"aiohttp {aiohttp.__version__} is not one that this version of api-keys-client knows")


class AttemptState:
    """What one attempt needs to tell its request, and to know of it."""

    __slots__ = (
        "_cancellations",
        "_task",
        "answer_timeout",
        "authorization",
        "connections",
        "due",
        "ended",
        "placed",
        "refusal",
        "sent",
    )

    def __init__(self, connections: Connections, remaining: float, answer_timeout: float) -> None:
        self.authorization = ""
        self.connections = connections
        self.answer_timeout = answer_timeout
        self.due = connections.loop.time() + remaining
        self.ended = False
        self.placed = False
        self.sent = False
        self.refusal: RawResponse | None = None
        self._task = task = _current_task()
        _by_task[task] = self
        self._cancellations = task.cancelling()

    def forget(self) -> None:
        """Notes that it is over."""
        del _by_task[self._task]

    def end(self) -> None:
        """Has it end where it waits."""
        if not self.ended:
            self.ended = True
            self._task.cancel()

    def was_ended(self) -> bool:
        """Tells whether `end` is all that cancelled the task. To be asked once, of an attempt that raised."""
        return self.ended and self._task.uncancel() <= self._cancellations


# aiohttp makes the request deep inside its own call, in the same task: this is how the two meet. A context variable
# would live on in the context that a connection keeps.
_by_task: dict[asyncio.Task[object], AttemptState] = {}


class _Request(aiohttp.ClientRequest):
    """A request that knows whether a byte of it left, and when the whole answer is due."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        state = _by_task[_current_task()]
        state.sent = True
        connections = state.connections
        due = connections.loop.time() + state.answer_timeout
        if due < state.due:
            state.due = due
            connections.watch(due)
        return await super().send(conn)


class _Connector(aiohttp.TCPConnector):
    async def _get(self, key: Any, traces: Any) -> Any:
        while True:
            connection: Any = await super()._get(key, traces)
            if connection is None or not connection.protocol.should_close:
                return connection
            # Bytes that nobody asked for came meanwhile: they would be taken for the next answer.
            connection.close()


class Connections:
    """The connections of one client on one event loop, and the attempts that use them.

    One timer watches all attempts, because one for each is slow. They queue here, because aiohttp's own queue wakes
    nobody else when the one that it woke is cancelled.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, tls: ssl.SSLContext | bool, connect_timeout: float) -> None:
        self.loop = loop
        self.session = aiohttp.ClientSession(
            connector=_Connector(limit=0, keepalive_timeout=MAX_IDLE_SECONDS, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_Request,
            auto_decompress=False,
            # As much as http.client takes: with less a created key would be lost for a long header of a proxy's.
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            trust_env=False,
            timeout=connect_within(connect_timeout),
        )
        # One layer owns the policy; this one replays what is idempotent without a word.
        self.session._retry_connection = False
        self.closing = loop.create_future()
        self._free = POOL_SIZE
        self._queue: deque[asyncio.Future[None]] = deque()
        self._attempts: set[AttemptState] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._left_at = 0.0
        self._kept_open = cast("AsyncGeneratorType[None, None]", _keep_open(self.session))

    async def open(self) -> None:
        """Has them closed with the client, or with the loop if that ends first."""
        await self._kept_open.__anext__()

    async def enter(self, state: AttemptState) -> None:
        """Waits until a connection is free for it."""
        self._attempts.add(state)
        now = self.loop.time()
        self.watch(min(state.due, now + state.answer_timeout))
        if now - self._left_at > LOOP_STALL_SECONDS:
            # One turn of the loop to see that a connection has ended, and one to act on it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if self._free:
            self._free -= 1
            state.placed = True
            return
        place = self.loop.create_future()
        self._queue.append(place)
        try:
            await place
        finally:
            # Cancelled a moment after it was given the place, it still has to pass it on.
            state.placed = place.done() and not place.cancelled()

    def leave(self, state: AttemptState) -> None:
        """Gives its place, if it had one, to the next."""
        state.forget()
        self._attempts.discard(state)
        self._left_at = self.loop.time()
        if not state.placed:
            return
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def watch(self, moment: float) -> None:
        """Has the timer ring then, if not before."""
        if self._timer:
            if self._timer.when() <= moment:
                return
            self._timer.cancel()
        # A client that was dropped is not kept until then.
        mine: weakref.ref[Connections] = weakref.ref(self)
        self._timer = self.loop.call_at(moment, _ring, mine)

    def ring(self) -> None:
        """Ends the attempts that are late."""
        self._timer = None
        now = self.loop.time()
        for state in self._attempts:
            if state.due <= now:
                state.end()
            elif not state.ended:
                self.watch(state.due)

    async def close(self) -> None:
        """Closes them, and ends what is in flight."""
        if self._timer:
            self._timer.cancel()
        for state in self._attempts:
            state.end()
        if not self.closing.done():
            self.closing.set_result(None)
        await self.session.close()
        # It is where the loop is closing it right now.
        if not self._kept_open.ag_running:
            await self._kept_open.aclose()

    def close_soon(self) -> None:
        """Closes them, called on their loop from outside of a task."""
        self._closer = self.loop.create_task(self.close())


@lru_cache(maxsize=32)
def connect_within(seconds: float) -> aiohttp.ClientTimeout:
    """Gives the time to resolve the name, to connect, and for TLS and a proxy's tunnel, together."""
    return aiohttp.ClientTimeout(total=None, connect=seconds)


def _current_task() -> asyncio.Task[object]:
    return cast("asyncio.Task[object]", asyncio.current_task())


def _ring(connections: weakref.ref[Connections]) -> None:
    there = connections()
    if there:
        there.ring()


async def _keep_open(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    """Closes the session when it is closed itself: an event loop that ends does that to every generator."""
    try:
        yield
    finally:
        await session.close()
