"""What the tests of failing calls share: each operation, the error that it ends with, and whether that is right."""

from __future__ import annotations

import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from api_keys_client import (
    ApiConnectionError,
    ApiKeysClient,
    ApiKeysError,
    ApiTimeoutError,
    Outcome,
    OutcomeUnknownError,
)
from api_keys_client.errors import FailureKind
from tests.support.wire import KEY_ID, MIB

OPERATIONS: Final[dict[str, Callable[[ApiKeysClient], object]]] = {
    "create": lambda client: client.create("ci"),
    "list": lambda client: client.list(),
    "get": lambda client: client.get(KEY_ID),
    "deactivate": lambda client: client.deactivate(KEY_ID),
}
create_and_another = pytest.mark.parametrize("operation", ["create", "deactivate"])


def failure(client: ApiKeysClient, operation: str) -> ApiKeysError:
    """The error that the operation ends with."""
    with pytest.raises(ApiKeysError) as caught:
        OPERATIONS[operation](client)
    return caught.value


def changed(operation: str, outcome: Outcome) -> Outcome | None:
    """What the outcome of an error is to be: calls that only read have none."""
    return outcome if operation in ("create", "deactivate") else None


def check_lost(error: ApiKeysError, operation: str, kind: FailureKind, *, attempts: int) -> None:
    """That the error is right for a request that went out and got no whole answer: a create is sent once."""
    assert error.outcome is changed(operation, Outcome.UNKNOWN)
    if operation == "create":
        assert isinstance(error, OutcomeUnknownError)
        assert error.attempts == 1
        assert not error.retryable
    else:
        _check_kind(error, kind, attempts)
        assert error.retryable


def check_not_sent(error: ApiKeysError, operation: str, kind: FailureKind, *, attempts: int) -> None:
    """That the error is right for a request of which no byte left."""
    assert error.outcome is changed(operation, Outcome.NOT_SENT)
    _check_kind(error, kind, attempts)
    assert error.retryable is (kind not in ("tls_untrusted", "tls_refused"))


def _check_kind(error: ApiKeysError, kind: FailureKind, attempts: int) -> None:
    assert type(error) is (ApiTimeoutError if kind == "timeout" else ApiConnectionError)
    assert isinstance(error, ApiConnectionError)
    assert error.kind == kind
    assert error.attempts == attempts


@contextmanager
def memory_bound(most: int) -> Iterator[None]:
    """Fails if the block ever holds more bytes than that."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak / MIB:.0f} MiB"


def look_up_with(monkeypatch: pytest.MonkeyPatch, decide: Callable[[str], Any]) -> None:
    """Has names looked up by this function, and by the system where it gives None."""
    true = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        found = decide(host.decode() if isinstance(host, bytes) else host or "")
        return true(host, *arguments, **options) if found is None else found

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def unresolved_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has names under .invalid fail without a look-up: a resolver can take many seconds to say it."""

    def decide(name: str) -> None:
        if name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    look_up_with(monkeypatch, decide)
