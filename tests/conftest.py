"""What all tests share: clients never meet the environment of whoever runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import pytest

from api_keys_client import ApiKeysClient
from api_keys_client.sandbox import Sandbox

ENVIRONMENT = ("API_KEYS_BASE_URL", "API_KEYS_TOKEN", "BEARER_TOKEN")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

Connect: TypeAlias = Callable[..., ApiKeysClient]


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
def connect() -> Iterator[Connect]:
    """Makes clients that are closed after the test."""
    with ExitStack() as clients:

        def make(*arguments: Any, **options: Any) -> ApiKeysClient:
            return clients.enter_context(ApiKeysClient(*arguments, **options))

        yield make


@pytest.fixture
def client(sandbox: Sandbox, connect: Connect) -> ApiKeysClient:
    return connect(sandbox.url, token=sandbox.token)
