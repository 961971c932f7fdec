"""Tests of the async client are coroutines, each of which runs on a loop of its own."""

from __future__ import annotations

from inspect import iscoroutinefunction, signature

import pytest

from api_keys_client import AsyncApiKeysClient
from api_keys_client.sandbox import Sandbox
from tests.support.tasks import run


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not iscoroutinefunction(pyfuncitem.obj):
        return None
    run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in signature(pyfuncitem.obj).parameters}))
    return True


@pytest.fixture
def client(engine: Sandbox) -> AsyncApiKeysClient:
    """One that its test need not close: the connections end with their loop."""
    return AsyncApiKeysClient(engine.url, token=engine.token)
