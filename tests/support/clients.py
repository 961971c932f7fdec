"""Both clients behind one set of methods, and what a sandbox saw of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

from api_keys_client import ApiKeysClient, AsyncApiKeysClient, CreatedKey
from api_keys_client.sandbox import Sandbox

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

Connect: TypeAlias = Callable[..., ApiKeysClient]


def requests(sandbox: Sandbox) -> list[str | None]:
    """The operations that a sandbox was asked for, in that order."""
    return [request.operation for request in sandbox.requests]


class BlockingClient:
    """An async client with the sync one's methods, so that one suite tests both."""

    def __init__(self, made: AsyncApiKeysClient, loop: asyncio.AbstractEventLoop) -> None:
        self._made = made
        self._loop = loop

    def __repr__(self) -> str:
        return repr(self._made)

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._made, name)
        return lambda *arguments, **options: self._loop.run_until_complete(method(*arguments, **options))

    def with_options(self, **options: Any) -> BlockingClient:
        return BlockingClient(self._made.with_options(**options), self._loop)

    @contextmanager
    def temporary_key(self, *arguments: Any, **options: Any) -> Iterator[CreatedKey]:
        manager = self._made.temporary_key(*arguments, **options)
        created = self._loop.run_until_complete(manager.__aenter__())
        with ExitStack() as stack:
            stack.push(lambda *error: self._loop.run_until_complete(manager.__aexit__(*error)))
            yield created
