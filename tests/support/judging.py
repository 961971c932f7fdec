"""Calls, what may come of one, and the judgement on it: no socket, no waiting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_keys_client import ApiKeysError
from api_keys_client._core.messages import RawResponse, Request, TransportFailure
from api_keys_client._core.operations import Operations
from api_keys_client._core.options import ClientOptions, resolve_settings
from api_keys_client._core.policy import evaluate

SETTINGS = resolve_settings(ClientOptions("http://localhost", "token"))
CALLS = Operations(SETTINGS)
KEY_ID = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"
RECORD = {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "roles": []}

READS: dict[str, Request[Any]] = {"get": CALLS.get(KEY_ID), "list": CALLS.list()}
REPLAYED: dict[str, Request[Any]] = {**READS, "deactivate": CALLS.deactivate(KEY_ID)}
CREATE: Request[Any] = CALLS.create("ci", ["TASK-ADMIN"])
ALL: dict[str, Request[Any]] = {**REPLAYED, "create": CREATE}

each_replayed = pytest.mark.parametrize("call", REPLAYED.values(), ids=REPLAYED)
each_call = pytest.mark.parametrize("call", ALL.values(), ids=ALL)


def evaluated(call: Request[Any], came: RawResponse | TransportFailure, **how: Any) -> Any:
    return evaluate(call, came, **{"attempt": 1, "elapsed": 0.1, "settings": SETTINGS, "jitter": 1.0, **how})


def failed(call: Request[Any], came: RawResponse | TransportFailure, **how: Any) -> ApiKeysError:
    verdict = evaluated(call, came, **how)
    assert isinstance(verdict, ApiKeysError)
    return verdict


def answer(status: int, body: object = b"", retry_after: str | None = None) -> RawResponse:
    return RawResponse(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after)


NOT_SENT = TransportFailure(False, "refused", "the connection was refused")
NOT_SENT_LATE = TransportFailure(False, "timeout", "no connection was made in time")
BROKEN = TransportFailure(True, "reset", "the connection was reset")
BROKEN_LATE = TransportFailure(True, "timeout", "no whole answer came in time")
CERTIFICATE = TransportFailure(False, "tls_untrusted", "the server's certificate does not verify: expired")
CLOSED = TransportFailure(False, "closed", "the client is closed")
