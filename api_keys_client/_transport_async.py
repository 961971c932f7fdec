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
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from typing import Any, TypeVar

try:
    import aiohttp
except ImportError as error:
    raise ImportError("AsyncApiKeysClient needs aiohttp: pip install 'api-keys-client[async]'") from error

from yarl import URL

from api_keys_client._answers import begun, cut_off, most_of
from api_keys_client._arguments import checked_function, checked_result
from api_keys_client._calls import Answer, Call, Lost
from api_keys_client._connections_async import Attempt, Connections, connect_within
from api_keys_client._failures import Reasons, interrupts, lost
from api_keys_client.errors import ConfigurationError, Outcome, strip_traceback
from api_keys_client.rotation import Creation
from api_keys_client.settings import SecretHeaders, Settings

Item = TypeVar("Item")
Result = TypeVar("Result")

_TIMEOUTS = (TimeoutError, aiohttp.ServerTimeoutError)
_REASONS: Reasons = (
    (aiohttp.ServerDisconnectedError, "reset", "the connection was closed without an answer"),
    (aiohttp.ClientPayloadError, "reset", "the answer was cut off"),
    (aiohttp.ClientResponseError, "protocol", "the answer is not HTTP"),
)


class Transport:
    """The connections of one client, on the event loop of its first call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Connections | None = None
        self._closed = False
        base_url = settings.base_url
        self._origin = str(base_url._replace(prefix=""))
        proxy = settings.proxy
        tunnel = base_url.scheme == "https"
        secure = tunnel or (proxy is not None and proxy.url.startswith("https:"))
        self._proxy_options: dict[str, Any] = {} if proxy is None else {"proxy": proxy.url}
        self._forward_headers = SecretHeaders()
        if proxy and tunnel:
            self._proxy_options["proxy_headers"] = proxy.headers
        elif proxy:
            # Without a tunnel, what the proxy asks for goes with the request itself.
            self._forward_headers = proxy.headers
        self._ssl = (settings.ssl_context or ssl.create_default_context()) if secure else True

    now = staticmethod(time.monotonic)
    chance = staticmethod(random.random)

    @staticmethod
    def creation(old_id: str | None = None) -> Creation:
        """A creation by this process, with a nonce of twelve hexadecimal digits that no other key bears."""
        return Creation(os.urandom(6).hex(), os.getpid(), old_id)

    @staticmethod
    def made(creation: Creation) -> bool:
        """Whether it is this process's own, and not one of a process that this one was forked from."""
        return creation.process == os.getpid()

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
        if self._closed:
            return Lost(False, "closed", "the client is closed")
        loop = _running_loop()
        opened = self._opened or await self._open(loop)
        if loop is not opened.loop:
            raise _wrong("This client belongs to the event loop of its first call; make one for each loop.")
        attempt = Attempt(opened, remaining, settings.answer_timeout)
        try:
            # In no local: some tools look into what a dict in one holds, whatever its repr.
            attempt.authorization = settings.token.header()
            await opened.enter(attempt)
            response = await opened.session.request(
                operation.method,
                URL(self._origin + call.target, encoded=True),
                data=call.body,
                headers=self._headers(operation.headers, attempt),
                allow_redirects=False,
                timeout=connect_within(settings.connect_timeout),
                **self._proxy_options,
            )
            return await _answer(response, attempt)
        except ConfigurationError:
            raise
        except BaseException as error:
            late = attempt.was_ended() and isinstance(error, asyncio.CancelledError)
            if not late and interrupts(error):
                raise strip_traceback(error) from None
            failure = _failure(TimeoutError() if late else error, attempt.sent)
        finally:
            opened.leave(attempt)
        if attempt.refusal:
            # The status alone says that it was refused.
            return attempt.refusal
        if self._closed:
            return Lost(failure.sent, "closed", "the client was closed while the call was in flight")
        return failure

    def _headers(self, headers: SecretHeaders, attempt: Attempt) -> SecretHeaders:
        more = {"Authorization": attempt.authorization, "Accept-Encoding": "identity"}
        return SecretHeaders({**headers, **more, **self._forward_headers})

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Connections:
        opened = self._opened = Connections(loop, self._ssl, self._settings.connect_timeout)
        await opened.open()
        return opened

    @property
    def closed(self) -> bool:
        """Whether the client was closed: nothing is sent any more."""
        return self._closed

    async def sleep(self, seconds: float) -> None:
        """Waits; ends early when the client is closed."""
        if self._opened:
            await asyncio.wait([self._opened.closing], timeout=seconds)

    async def close(self) -> None:
        """Closes the connections; calls in flight end with an error."""
        opened, already, self._closed = self._opened, self._closed, True
        if opened is None or already:
            return
        if opened.loop.is_closed() or opened.loop is _running_loop():
            await opened.close()
        else:
            # Not waited for: that loop may never run again.
            opened.loop.call_soon_threadsafe(opened.close_soon)

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
        loop = _running_loop()
        tasks: list[asyncio.Task[Result]] = []
        untold: set[asyncio.Task[Result]] = set()

        async def settle() -> None:
            ended, _ = await asyncio.wait(untold, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                untold.remove(task)
                result = task.result()
                if done:
                    done(result)

        try:
            for item in items:
                if len(untold) == bound:
                    await settle()
                tasks.append(loop.create_task(run(item)))
                untold.add(tasks[-1])
            while untold:
                await settle()
        finally:
            if untold:
                await _wind_up(untold, done)
        return [task.result() for task in tasks]

    @staticmethod
    def check_callable(function: object) -> None:
        """Refuses what is no function, or one whose work nobody would do."""
        checked_function(function)

    @staticmethod
    async def ask(function: Callable[[Item], object], item: Item) -> object:
        """Calls a function of the user's, plain or async."""
        result = function(item)
        return checked_result(await result if isinstance(result, Awaitable) else result)


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


def _failure(error: BaseException, sent: bool) -> Lost:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Lost(sent, "proxy", f"the proxy refused the connection with {error.status}")
    return lost(error, sent=sent, timeouts=_TIMEOUTS, reasons=_REASONS)


async def _wind_up(tasks: Collection[asyncio.Task[Result]], done: Callable[[Result], object] | None) -> None:
    """Waits for the tasks and tells of them; cancelled meanwhile, cancels them and tells of those that were done."""
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    finally:
        ended = [task for task in tasks if task.done() and not task.cancelled()]
        results = [task.result() for task in ended if not task.exception()]
        if done:
            for result in results:
                done(result)


async def _answer(response: aiohttp.ClientResponse, attempt: Attempt) -> Answer | Lost:
    """The whole answer, within bounds; its connection goes back to the pool, or is closed."""
    status = response.status
    if status < 200:
        response.close()
        return Lost(True, "protocol", f"the server answered {status} and no more")
    received_at = 0.0 if status < 300 else time.time()
    answer = begun(status, response.headers, authorization=attempt.authorization, received_at=received_at)
    if status >= 300:
        attempt.refusal = answer
    whole = False
    try:
        whole = await _read(response.content, answer)
    finally:
        # Of a whole answer the connection is back in the pool already.
        if not whole:
            response.close()
    return answer if whole else cut_off(answer)


async def _read(content: aiohttp.StreamReader, answer: Answer) -> bool:
    """Reads the body into the answer, so that no frame's local holds it; whether it was all."""
    if not content.at_eof():
        answer.body = await content.readany()
    if content.at_eof():
        return len(answer.body) <= most_of(answer)
    most = most_of(answer)
    body = io.BytesIO(answer.body)
    body.seek(0, io.SEEK_END)
    while not content.at_eof():
        body.write(await content.readany())
        if body.tell() > most:
            return False
    answer.body = body.getvalue()
    return True
