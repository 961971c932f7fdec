"""What all tests share: clients never meet the environment of whoever runs them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, cast

import pytest
import trustme

from api_keys_client import ApiKeysClient, AsyncApiKeysClient
from api_keys_client.sandbox import Sandbox
from tests.support.calling import Caller, caller_on
from tests.support.clients import PROXIES, BlockingClient, Connect

ENVIRONMENT = ("API_KEYS_BASE_URL", "API_KEYS_TOKEN", "BEARER_TOKEN", "API_KEYS_PROFILE", "API_KEYS_CONFIG")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has what it starts in the background ignore Ctrl-C, and with it the programs of the tests.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENVIRONMENT, *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who vouches for the certificates of servers."""
    return trustme.CA()


@pytest.fixture
def engine() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def sandbox(engine: Sandbox) -> Sandbox:
    """The engine's profile: where the contract's answers differ, a test says so."""
    return engine


@pytest.fixture
def caller(engine: Sandbox) -> Iterator[Caller]:
    with caller_on(engine.url, engine.token) as caller:
        yield caller


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
            blocking = BlockingClient(AsyncApiKeysClient(*arguments, **options), loop)
            return cast("ApiKeysClient", clients.enter_context(blocking))

        yield make


@pytest.fixture
def client(sandbox: Sandbox, connect: Connect) -> ApiKeysClient:
    return connect(sandbox.url, token=sandbox.token)
