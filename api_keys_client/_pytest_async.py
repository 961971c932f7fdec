"""The async client that the pytest fixture gives: it is closed on the event loop that a test has used it on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

from pydantic import SecretStr
from typing_extensions import Self

import api_keys_client
from api_keys_client.sandbox import Sandbox
from api_keys_client.settings import Token


class AsyncApiKeysClient(api_keys_client.AsyncApiKeysClient):
    """A client that learns its event loop from its tokens: functions, since they are called on that loop."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._origin = self
        self._endings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}
        super().__init__(sandbox.url, token=self._noting(SecretStr(sandbox.token)))

    def with_options(self, *, token: Token | None = None, **options: Any) -> Self:
        """A view of this client with other options, on the same connections."""
        # A frame of a traceback may show what it holds.
        token = SecretStr(token) if isinstance(token, str) else token
        view = super().with_options(token=token, **options)
        if token is not None:
            view = super(AsyncApiKeysClient, view).with_options(token=self._origin._noting(token))
        view._origin = self._origin
        return view

    def end(self) -> None:
        """Close on the loop if it is there and at rest; one that has ended did that itself."""
        for loop, ending in self._endings.items():
            if not (loop.is_closed() or loop.is_running()):
                loop.run_until_complete(ending.aclose())

    def _noting(self, token: SecretStr | Callable[[], str | SecretStr]) -> Callable[[], str | SecretStr]:
        def ask() -> str | SecretStr:
            self._note_loop()
            return token() if callable(token) else token

        return ask

    def _note_loop(self) -> None:
        # Without one, the client says so itself.
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            if loop not in self._endings:
                # Once begun it is the loop's: asyncio ends its async generators before it closes a loop.
                self._endings[loop] = self._close_at_end()
                with suppress(StopIteration):
                    self._endings[loop].asend(None).send(None)

    async def _close_at_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.close()
