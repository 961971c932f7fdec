"""What all tests share: clients never meet the environment of whoever runs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_keys_client import ApiKeysClient
from api_keys_client.sandbox import Sandbox

ENVIRONMENT = ("API_KEYS_BASE_URL", "API_KEYS_TOKEN", "BEARER_TOKEN")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENVIRONMENT, *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["engine", "spec"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(profile=request.param) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[ApiKeysClient]:
    with ApiKeysClient(sandbox.url, token=sandbox.token) as made:
        yield made
