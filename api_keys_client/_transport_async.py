"""The aiohttp driver: one attempt, and the async twins of what unasync cannot derive.

Exceptions of the library become values here (`Lost`), so that no error of ours drags them,
with the token in their frames and contexts, along.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import ContextVar
from typing import Any, TypeVar

try:
    import aiohttp
except ImportError as error:
    raise ImportError("AsyncApiKeysClient needs aiohttp: pip install 'api-keys-client[async]'") from error

if sys.version_info >= (3, 11):
    from asyncio import Timeout, timeout_at
else:
    from async_timeout import Timeout, timeout_at  # pyright: ignore[reportMissingImports]  # there on 3.10 only

from yarl import URL

from api_keys_client._answers import begun, cut_off, most_of
from api_keys_client._arguments import refused
from api_keys_client._calls import Answer, Call, Lost
from api_keys_client._failures import lost
from api_keys_client.errors import ConfigurationError, Outcome
from api_keys_client.settings import SecretHeaders, Settings

Item = TypeVar("Item")
Result = TypeVar("Result")

POOL_SIZE = 20
FRESH_FOR = 1.0
"""Seconds for which an idle connection is used again: the engine closes its own after about two."""

_TIMEOUTS = (asyncio.TimeoutError, aiohttp.ServerTimeoutError)
_REASONS = (
    (aiohttp.ServerDisconnectedError, "the connection was closed without an answer"),
    (aiohttp.ClientPayloadError, "the answer was cut off"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
)
_CLOSED = Lost(False, "closed", "the client is closed")

if "send" not in vars(aiohttp.ClientRequest):
    raise ImportError(f"aiohttp {aiohttp.__version__} is not one that this version of api-keys-client knows")


class _Attempt:
    """What one attempt needs to know of its request."""

    __slots__ = ("answer_timeout", "limit", "refusal", "sent")

    def __init__(self, limit: Timeout, answer_timeout: float) -> None:
        self.limit = limit
        self.answer_timeout = answer_timeout
        self.sent = False
        self.refusal: Answer | None = None


_current: ContextVar[_Attempt] = ContextVar("attempt")


class _Request(aiohttp.ClientRequest):
    """A request that knows whether a byte of it left, and when the whole answer is due."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        attempt = _current.get()
        attempt.sent = True
        due = asyncio.get_running_loop().time() + attempt.answer_timeout
        if due < (attempt.limit.when() or due):
            attempt.limit.reschedule(due)
        return await super().send(conn)


class Transport:
    """The connections of one client, on the event loop of its first call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()
        base_url = settings.base_url
        self._origin = str(base_url._replace(prefix=""))
        proxy = settings.proxy
        tunnel = base_url.scheme == "https"
        self._proxy_options: dict[str, Any] = {} if proxy is None else {"proxy": proxy.url}
        self._forward_headers = SecretHeaders()
        if proxy and tunnel:
            self._proxy_options["proxy_headers"] = proxy.headers
        elif proxy:
            # Without a tunnel, what the proxy asks for goes with the request itself.
            self._forward_headers = proxy.headers
        self._ssl = (settings.ssl_context or ssl.create_default_context()) if tunnel else True

    now = staticmethod(time.monotonic)
    chance = staticmethod(random.random)

    @staticmethod
    def nonce() -> str:
        """Twelve hexadecimal digits that no other key bears."""
        return os.urandom(6).hex()

    def _open(self, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
        self._loop = loop
        session = self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=POOL_SIZE, keepalive_timeout=FRESH_FOR, ssl=self._ssl),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_Request,
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout),
        )
        # One layer owns the policy; this one replays what is idempotent without a word.
        session._retry_connection = False
        return session

    async def send(self, call: Call[Any], *, settings: Settings, remaining: float) -> Answer | Lost:
        """One attempt.

        Args:
            settings: those of the view that calls; only its times and token count here.
            remaining: seconds until the call's deadline.

        Raises:
            ConfigurationError: the function that gives the token gave none that can be sent, or this is not
                the event loop of the first call.
        """
        operation = call.operation
        headers = SecretHeaders(operation.headers)
        headers["Authorization"] = settings.bearer.header()
        headers["Accept-Encoding"] = "identity"
        headers.update(self._forward_headers)
        if self._closing.is_set():
            return _CLOSED
        loop = _running_loop()
        session = self._session or self._open(loop)
        if loop is not self._loop:
            raise _wrong("This client belongs to the event loop of its first call; make one for each loop.")
        attempt: _Attempt | None = None
        try:
            async with timeout_at(loop.time() + remaining) as limit:
                attempt = _Attempt(limit, settings.answer_timeout)
                _current.set(attempt)
                response = await session.request(
                    operation.method,
                    URL(self._origin + call.target, encoded=True),
                    data=call.body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout),
                    **self._proxy_options,
                )
                return await _answer(response, headers, attempt)
        except Exception as error:
            if attempt and attempt.refusal:
                # The status alone says that it was refused.
                return attempt.refusal
            sent = attempt is not None and attempt.sent
            failure = _tunnel(error, sent) or lost(error, sent=sent, timeouts=_TIMEOUTS, reasons=_REASONS)
        if self._closing.is_set():
            return Lost(failure.sent, "closed", "the client was closed while the call was in flight")
        return failure

    async def sleep(self, seconds: float) -> None:
        """Waits; ends early when the client is closed."""
        try:
            async with timeout_at(_running_loop().time() + seconds):
                await self._closing.wait()
        except asyncio.TimeoutError:
            return

    async def close(self) -> None:
        """Closes the connections; calls in flight end with an error."""
        self._closing.set()
        if self._session and self._loop is _running_loop():
            await self._session.close()

    @staticmethod
    async def finish(work: Coroutine[Any, Any, Result]) -> Result:
        """Finishes a clean-up although the task is being cancelled; a second cancellation ends the wait."""
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            # What the clean-up could not do matters more than that it was hurried.
            task.result()
            raise

    @staticmethod
    async def fan_out(
        run: Callable[[Item], Coroutine[Any, Any, Result]],
        items: Iterable[Item],
        *,
        bound: int,
        done: Callable[[Result], object] | None,
    ) -> list[Result]:
        """Runs one call for each item, at most `bound` at once; results in the items' order.

        `done` is told of each in this task as it ends. Cancelled, or when `done` raises, no further call begins,
        and those in flight are waited for and told.
        """
        tasks: list[asyncio.Task[Result]] = []
        running: set[asyncio.Task[Result]] = set()
        untold: list[asyncio.Task[Result]] = []

        async def settle(until: str) -> None:
            nonlocal running
            if running:
                ended, running = await asyncio.wait(running, return_when=until)
                untold.extend(ended)
            while untold:
                result = untold.pop().result()
                if done:
                    done(result)

        try:
            for item in items:
                if len(running) == bound:
                    await settle(asyncio.FIRST_COMPLETED)
                tasks.append(asyncio.create_task(run(item)))
                running.add(tasks[-1])
            while running:
                await settle(asyncio.FIRST_COMPLETED)
        finally:
            await settle(asyncio.ALL_COMPLETED)
        return [task.result() for task in tasks]

    @staticmethod
    def check_callable(function: object) -> None:
        """Refuses what is no function."""
        if not callable(function):
            raise refused(f"store= and verify= are functions that take the new key, not {type(function).__name__}.")

    @staticmethod
    async def ask(function: Callable[[Item], object], item: Item) -> object:
        """Calls a function of the user's, plain or async."""
        result = function(item)
        return await result if isinstance(result, Awaitable) else result


class Access:
    """What only the sync client has: the generated client is one."""


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    raise _wrong("AsyncApiKeysClient runs on asyncio, and no asyncio event loop is running (trio is not supported).")


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(message, outcome=Outcome.NOT_SENT, next_step="Nothing was sent.")


def _tunnel(error: Exception, sent: bool) -> Lost | None:
    if not isinstance(error, aiohttp.ClientHttpProxyError):
        return None
    return Lost(sent, "connection", f"the proxy refused the connection with {error.status}")


async def _answer(response: aiohttp.ClientResponse, headers: SecretHeaders, attempt: _Attempt) -> Answer | Lost:
    """The whole answer, within bounds; its connection goes back to the pool, or is closed."""
    status = response.status
    if status < 200:
        response.close()
        return Lost(True, "connection", f"the server answered {status} and no more")
    received_at = 0.0 if status < 300 else time.time()
    answer = begun(status, response.headers, authorization=headers["Authorization"], received_at=received_at)
    if status >= 300:
        attempt.refusal = answer
    try:
        return answer if await _read(response.content, answer) else cut_off(answer)
    finally:
        # Of a whole answer the connection is back in the pool already.
        response.close()


async def _read(content: aiohttp.StreamReader, answer: Answer) -> bool:
    """Reads the body into the answer, so that no frame's local holds it; whether it was all."""
    most = most_of(answer)
    body = io.BytesIO()
    while not content.at_eof():
        body.write(await content.readany())
        if body.tell() > most:
            return False
    answer.body = body.getvalue()
    return True
