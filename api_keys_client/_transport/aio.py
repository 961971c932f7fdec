"""The aiohttp driver: makes one attempt, and reads its answer whole and within bounds.

Exceptions of the library become values here (`TransportFailure`), so that no error of ours drags them,
with the token in their frames and contexts, along.
"""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any

try:
    import aiohttp
except ImportError as error:
    raise ImportError("AsyncApiKeysClient needs aiohttp: pip install 'api-keys-client[async]'") from error

from pydantic import SecretStr
from yarl import URL

from api_keys_client._core.messages import RawResponse, Request, TransportFailure
from api_keys_client._core.options import SecretHeaders, Settings, configuration_error
from api_keys_client._transport.aiohttp_connections import AttemptState, Connections, connect_within
from api_keys_client._transport.concurrency import authorization_async, running_loop
from api_keys_client._transport.failures import Reasons, classify_failure, is_interruption
from api_keys_client._transport.system import tls_context
from api_keys_client.errors import ConfigurationError, strip_traceback

_TIMEOUTS = (TimeoutError, aiohttp.ServerTimeoutError)
_REASONS: Reasons = (
    (aiohttp.ServerDisconnectedError, "reset", "the connection was closed without an answer"),
    (aiohttp.ClientPayloadError, "reset", "the answer was cut off"),
    (aiohttp.ClientResponseError, "protocol", "the answer is not HTTP"),
)


class Transport:
    """The connections of one client, on the event loop of its first request."""

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
        self._ssl = tls_context(settings) if secure else True

    async def send(
        self, request: Request[Any], *, settings: Settings, remaining: float, rejected: RawResponse | None = None
    ) -> RawResponse | TransportFailure | None:
        """Makes one attempt.

        Args:
            settings: those of the view that calls; only its times and token count here.
            remaining: seconds until the call's deadline.
            rejected: the answer 401 to the attempt before: the token is asked for once more.

        Returns:
            None if the token is still the one that was rejected.

        Raises:
            ConfigurationError: the function that gives the token gave none that can be sent, or this is not
                the event loop of the first request.
        """
        operation = request.operation
        if self._closed:
            return TransportFailure(False, "closed", "the client is closed")
        loop = running_loop()
        opened = self._opened or await self._open(loop)
        if loop is not opened.loop:
            raise configuration_error(
                "This client belongs to the event loop of its first call; make one for each loop."
            )
        state = AttemptState(opened, remaining, settings.answer_timeout)
        try:
            # Not in a variable here: tools that print the locals of a traceback look into dicts, whatever their repr.
            refused = SecretStr(rejected.token) if rejected else None
            state.authorization = await authorization_async(settings.token, refused, within=remaining)
            if rejected and state.authorization.endswith(f" {rejected.token}"):
                return None
            await opened.enter(state)
            response = await opened.session.request(
                operation.method,
                URL(self._origin + request.target, encoded=True),
                data=request.body,
                headers=SecretHeaders(operation.headers, Authorization=state.authorization, **self._forward_headers),
                allow_redirects=False,
                timeout=connect_within(settings.connect_timeout),
                **self._proxy_options,
            )
            return await _answer(response, state)
        except ConfigurationError:
            raise
        except BaseException as error:
            late = state.was_ended() and isinstance(error, asyncio.CancelledError)
            if not late and is_interruption(error):
                raise strip_traceback(error) from None
            failure = _failure(TimeoutError() if late else error, state.sent)
        finally:
            opened.leave(state)
        if state.refusal:
            # The status alone says that it was refused.
            return state.refusal
        if self._closed:
            return TransportFailure(failure.sent, "closed", "the client was closed while the call was in flight")
        return failure

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Connections:
        opened = self._opened = Connections(loop, self._ssl, self._settings.connect_timeout)
        await opened.open()
        return opened

    @property
    def closed(self) -> bool:
        """Tells whether the client was closed: nothing is sent any more."""
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
        if opened.loop.is_closed() or opened.loop is running_loop():
            await opened.close()
        else:
            # Not waited for: that loop may never run again.
            opened.loop.call_soon_threadsafe(opened.close_soon)


def _failure(error: BaseException, sent: bool) -> TransportFailure:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return TransportFailure(sent, "proxy", f"the proxy refused the connection with {error.status}")
    return classify_failure(error, sent=sent, timeouts=_TIMEOUTS, reasons=_REASONS)


async def _answer(response: aiohttp.ClientResponse, state: AttemptState) -> RawResponse | TransportFailure:
    """Gives the whole answer, within bounds; its connection goes back to the pool, or is closed."""
    status = response.status
    if status < 200:
        response.close()
        return TransportFailure(True, "protocol", f"the server answered {status} and no more")
    received_at = 0.0 if status < 300 else time.time()
    raw = RawResponse.from_headers(status, response.headers, authorization=state.authorization, received_at=received_at)
    if status >= 300:
        state.refusal = raw
    whole = False
    try:
        whole = await _read(response.content, raw)
    finally:
        # Of a whole answer the connection is back in the pool already.
        if not whole:
            response.close()
    return raw if whole else raw.mark_truncated()


async def _read(content: aiohttp.StreamReader, raw: RawResponse) -> bool:
    """Reads the body into the answer, so that no frame's local holds it; whether it was all."""
    if not content.at_eof():
        raw.body = await content.readany()
    if content.at_eof():
        return len(raw.body) <= raw.max_body_bytes
    most = raw.max_body_bytes
    body = io.BytesIO(raw.body)
    body.seek(0, io.SEEK_END)
    while not content.at_eof():
        body.write(await content.readany())
        if body.tell() > most:
            return False
    raw.body = body.getvalue()
    return True
