"""What each operation sends, as data: no socket."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from api_keys_client import UNSET, InvalidRequestError
from api_keys_client._core.messages import Request
from api_keys_client._core.operations import Operations, configuration
from api_keys_client._core.options import ClientOptions, resolve_settings

KEY_ID = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"
KEYS = "/auth/api_keys/"
CALLS = Operations(resolve_settings(ClientOptions("http://localhost", "token")))


def made(base_url: str = "http://localhost") -> list[Request[Any]]:
    settings = resolve_settings(ClientOptions(base_url, "token", headers={"X-Team": "platform"}))
    calls = Operations(settings)
    return [calls.create(UNSET, UNSET), calls.list(), calls.get(KEY_ID), calls.deactivate(KEY_ID)]


@pytest.mark.parametrize("base_url", ["http://localhost:8000", "https://example.com/team/engine/"])
def test_each_operation_has_its_method_and_place(base_url: str) -> None:
    keys = urlsplit(base_url).path.rstrip("/") + KEYS
    assert [(call.operation.method, call.target) for call in made(base_url)] == [
        ("POST", keys),
        ("GET", keys),
        ("GET", keys + KEY_ID),
        ("DELETE", f"{keys}deactivate/{KEY_ID}"),
    ]
    assert [call.body for call in made(base_url)] == [b"{}", None, None, None]


def test_logs_name_an_operation_without_an_id_or_a_prefix() -> None:
    assert [(call.operation.name, call.operation.path) for call in made()] == [
        ("create", KEYS),
        ("list", KEYS),
        ("get", f"{KEYS}{{api_key_id}}"),
        ("deactivate", f"{KEYS}deactivate/{{api_key_id}}"),
    ]
    assert [call.operation.changes for call in made()] == [True, False, False, True]
    assert [call.operation.idempotent for call in made()] == [False, True, True, True]
    assert [call.operation.unknown for call in made()] == [
        "A key may have been created; its secret is lost.",
        "",
        "",
        "The key may be deactivated or still active.",
    ]
    assert [call.key_id for call in made()] == [None, None, KEY_ID, KEY_ID]


def test_the_callers_headers_go_with_each_operation() -> None:
    for call in made():
        headers = call.operation.headers
        assert (headers["Accept"], headers["X-Team"]) == ("application/json", "platform")
        assert headers["Accept-Encoding"] == "identity"
        assert headers.get("Content-Type") == ("application/json" if call.body else None)
        assert "platform" not in repr(headers)


@pytest.mark.parametrize(
    ("description", "roles", "body"),
    [
        (UNSET, UNSET, {}),
        (None, None, {"description": None, "roles": None}),
        ("", [], {"description": "", "roles": []}),
        ("ключ 🔑", UNSET, {"description": "ключ 🔑"}),
        (UNSET, {"ORG-AUDITOR": 1}.keys(), {"roles": ["ORG-AUDITOR"]}),
    ],
)
def test_only_what_was_given_is_in_the_body(description: Any, roles: Any, body: object) -> None:
    assert json.loads(CALLS.create(description, roles).body or b"") == body


def test_an_id_is_sent_as_the_server_writes_it() -> None:
    for given in (KEY_ID.upper(), uuid.UUID(KEY_ID)):
        assert CALLS.get(given).key_id == CALLS.deactivate(given).key_id == KEY_ID
    with pytest.raises(InvalidRequestError):
        CALLS.deactivate("no-id")


def test_the_generated_client_is_told_the_same_but_for_the_token() -> None:
    options = ClientOptions("https://example.com/engine/", "token", proxy="http://user:word@proxy:3128")
    made = configuration(resolve_settings(options))
    assert made.host == "https://example.com/engine"
    assert (made.proxy, made.proxy_headers) == ("http://proxy:3128", {"Proxy-Authorization": "Basic dXNlcjp3b3Jk"})
    assert made.access_token is None


def test_the_generated_client_does_not_ask_the_environment_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    direct = resolve_settings(ClientOptions("https://example.com", "token"))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "example.com")
    made = configuration(direct)
    assert (made.proxy, made.proxy_headers, made.no_proxy) == (None, None, "")
