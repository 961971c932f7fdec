"""Calls, what may come of one, and the judgement on it: no socket, no waiting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_keys_client import ApiKeysError
from api_keys_client._calls import Answer, Call, Calls, Lost
from api_keys_client._outcome import judge
from api_keys_client.settings import ClientOptions, resolve_settings

SETTINGS = resolve_settings(ClientOptions("http://localhost", "token"))
CALLS = Calls(SETTINGS)
KEY_ID = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"
RECORD = {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "roles": []}

READS: dict[str, Call[Any]] = {"get": CALLS.get(KEY_ID), "list": CALLS.list()}
REPLAYED: dict[str, Call[Any]] = {**READS, "deactivate": CALLS.deactivate(KEY_ID)}
CREATE: Call[Any] = CALLS.create("ci", ["TASK-ADMIN"])
ALL: dict[str, Call[Any]] = {**REPLAYED, "create": CREATE}

each_replayed = pytest.mark.parametrize("call", REPLAYED.values(), ids=REPLAYED)
each_call = pytest.mark.parametrize("call", ALL.values(), ids=ALL)


def judged(call: Call[Any], came: Answer | Lost, **how: Any) -> Any:
    return judge(call, came, **{"attempt": 1, "elapsed": 0.1, "settings": SETTINGS, "chance": 1.0, **how})


def failed(call: Call[Any], came: Answer | Lost, **how: Any) -> ApiKeysError:
    verdict = judged(call, came, **how)
    assert isinstance(verdict, ApiKeysError)
    return verdict


def answer(status: int, body: object = b"", retry_after: str | None = None) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after)


NOT_SENT = Lost(False, "refused", "the connection was refused")
NOT_SENT_LATE = Lost(False, "timeout", "no connection was made in time")
BROKEN = Lost(True, "reset", "the connection was reset")
BROKEN_LATE = Lost(True, "timeout", "no whole answer came in time")
CERTIFICATE = Lost(False, "tls_untrusted", "the server's certificate does not verify: expired")
CLOSED = Lost(False, "closed", "the client is closed")
