"""What all tests share: clients never meet the environment of whoever runs them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, TypeAlias, cast

import pytest
from calling import Caller, caller_on

from api_keys_client import ApiKeysClient, AsyncApiKeysClient, CreatedKey
from api_keys_client.sandbox import Sandbox

ENVIRONMENT = ("API_KEYS_BASE_URL", "API_KEYS_TOKEN", "BEARER_TOKEN")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

Connect: TypeAlias = Callable[..., ApiKeysClient]


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has what it starts in the background ignore Ctrl-C, and with it the programs of the tests.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def requests(sandbox: Sandbox) -> list[str | None]:
    """The operations that a sandbox was asked for, in that order."""
    return [request.operation for request in sandbox.requests]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENVIRONMENT, *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["engine", "spec"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(profile=request.param) as running:
        yield running


@pytest.fixture
def engine() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def caller(engine: Sandbox) -> Iterator[Caller]:
    with caller_on(engine.url, engine.token) as caller:
        yield caller


class _Blocking:
    """An async client with the sync one's methods, so that one suite tests both."""

    def __init__(self, made: AsyncApiKeysClient, loop: asyncio.AbstractEventLoop) -> None:
        self._made = made
        self._loop = loop

    def __repr__(self) -> str:
        return repr(self._made)

    def __enter__(self) -> _Blocking:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._made, name)
        return lambda *arguments, **options: self._loop.run_until_complete(method(*arguments, **options))

    def with_options(self, **options: Any) -> _Blocking:
        return _Blocking(self._made.with_options(**options), self._loop)

    @contextmanager
    def temporary_key(self, *arguments: Any, **options: Any) -> Iterator[CreatedKey]:
        manager = self._made.temporary_key(*arguments, **options)
        created = self._loop.run_until_complete(manager.__aenter__())
        with ExitStack() as stack:
            stack.push(lambda *error: self._loop.run_until_complete(manager.__aexit__(*error)))
            yield created


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def connect(driver: str) -> Iterator[Connect]:
    """Makes clients of either kind, which are closed after the test."""
    with ExitStack() as clients:
        if driver == "sync":
            yield lambda *arguments, **options: clients.enter_context(ApiKeysClient(*arguments, **options))
            return
        loop = clients.enter_context(closing(asyncio.new_event_loop()))

        def make(*arguments: Any, **options: Any) -> ApiKeysClient:
            blocking = _Blocking(AsyncApiKeysClient(*arguments, **options), loop)
            return cast("ApiKeysClient", clients.enter_context(blocking))

        yield make


@pytest.fixture
def client(sandbox: Sandbox, connect: Connect) -> ApiKeysClient:
    return connect(sandbox.url, token=sandbox.token)
