"""What each operation sends, as data: no socket. That the contract's own serializers say so, test_client.py sees."""

from __future__ import annotations

import json
import sys
import uuid
from types import FrameType
from typing import Any

import pytest

from api_keys_client import UNSET, InvalidRequestError
from api_keys_client._core.messages import DecodeFailure, RawResponse, Request
from api_keys_client._core.operations import CreatedKey, Operations, configuration
from api_keys_client._core.options import ClientOptions, resolve_settings

KEY_ID = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"
OTHER_ID = "00000000-0000-0000-0000-000000000000"
KEYS = "/auth/api_keys/"
RECORD = {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "roles": []}


def sent(call: Request[Any]) -> tuple[str, str, bytes | None]:
    return call.operation.method, call.target, call.body


@pytest.mark.parametrize("base_url", ["http://localhost:8000", "https://example.com/team/engine/"])
def test_each_operation_has_its_method_and_place(base_url: str) -> None:
    settings = resolve_settings(ClientOptions(base_url, "token"))
    calls = Operations(settings)
    keys = settings.base_url.prefix + KEYS
    assert sent(calls.create("ci", ["TASK-ADMIN"])) == ("POST", keys, b'{"description":"ci","roles":["TASK-ADMIN"]}')
    assert sent(calls.list()) == ("GET", keys, None)
    for key_id in (KEY_ID, OTHER_ID):
        assert sent(calls.get(key_id)) == ("GET", keys + key_id, None)
        assert sent(calls.deactivate(key_id)) == ("DELETE", f"{keys}deactivate/{key_id}", None)


def test_logs_name_an_operation_without_an_id_or_a_prefix() -> None:
    calls = Operations(resolve_settings(ClientOptions("https://example.com/engine", "token")))
    made: list[Request[Any]] = [calls.create(UNSET, UNSET), calls.list(), calls.get(KEY_ID), calls.deactivate(KEY_ID)]
    assert [(call.operation.name, call.operation.path) for call in made] == [
        ("create", KEYS),
        ("list", KEYS),
        ("get", f"{KEYS}{{api_key_id}}"),
        ("deactivate", f"{KEYS}deactivate/{{api_key_id}}"),
    ]
    assert [call.operation.changes for call in made] == [True, False, False, True]
    assert [call.operation.idempotent for call in made] == [False, True, True, True]
    assert [call.key_id for call in made] == [None, None, KEY_ID, KEY_ID]


def test_the_callers_headers_go_with_each_operation() -> None:
    calls = Operations(resolve_settings(ClientOptions("http://localhost", "token", headers={"X-Team": "platform"})))
    made: list[Request[Any]] = [calls.create(UNSET, UNSET), calls.list(), calls.get(KEY_ID), calls.deactivate(KEY_ID)]
    for call in made:
        headers = call.operation.headers
        assert (headers["Accept"], headers["X-Team"]) == ("application/json", "platform")
        assert headers.get("Content-Type") == ("application/json" if call.body else None)
        assert "platform" not in repr(headers)


@pytest.mark.parametrize(
    ("description", "roles", "body"),
    [
        (UNSET, UNSET, {}),
        (None, None, {"description": None, "roles": None}),
        ("", [], {"description": "", "roles": []}),
        ("ключ", UNSET, {"description": "ключ"}),
        (UNSET, ["ORG-AUDITOR"], {"roles": ["ORG-AUDITOR"]}),
    ],
)
def test_only_what_was_given_is_in_the_body(description: str | None, roles: list[str] | None, body: object) -> None:
    created = Operations(resolve_settings(ClientOptions("http://localhost", "token"))).create(description, roles)
    assert json.loads(created.body or b"") == body


def test_an_id_is_sent_as_the_server_writes_it() -> None:
    calls = Operations(resolve_settings(ClientOptions("http://localhost", "token")))
    for given in (KEY_ID.upper(), uuid.UUID(KEY_ID)):
        assert calls.get(given).key_id == calls.deactivate(given).key_id == KEY_ID
    with pytest.raises(InvalidRequestError):
        calls.deactivate("no-id")


def test_the_generated_client_is_told_the_same_but_for_the_token() -> None:
    proxied = resolve_settings(
        ClientOptions("https://example.com/engine/", "token", proxy="http://user:word@proxy:3128")
    )
    made = configuration(proxied)
    assert made.host == "https://example.com/engine"
    assert (made.proxy, made.proxy_headers) == ("http://proxy:3128", {"Proxy-Authorization": "Basic dXNlcjp3b3Jk"})
    assert made.access_token is None


def test_the_generated_client_does_not_ask_the_environment_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    direct = resolve_settings(ClientOptions("https://example.com", "token"))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "example.com")
    made = configuration(direct)
    assert (made.proxy, made.proxy_headers, made.no_proxy) == (None, None, "")


def test_a_created_key_needs_its_secret() -> None:
    with pytest.raises(ValueError, match="key"):
        CreatedKey.model_validate({"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "key": ""})


def test_each_operation_reads_its_own_answer() -> None:
    calls = Operations(resolve_settings(ClientOptions("http://localhost", "token")))

    def read(call: Request[Any], body: object) -> Any:
        return call.operation.decode(RawResponse(200, json.dumps(body).encode()), call.key_id)

    assert read(calls.create(UNSET, UNSET), {**RECORD, "key": "s3cret"}).key.get_secret_value() == "s3cret"
    assert read(calls.create(UNSET, UNSET), {**RECORD, "key": "s"}).key
    assert [record.id for record in read(calls.list(), [RECORD])] == [KEY_ID]
    for call in (calls.get(KEY_ID), calls.deactivate(KEY_ID)):
        assert read(call, RECORD).id == KEY_ID
        assert isinstance(read(call, {**RECORD, "id": OTHER_ID}), DecodeFailure)
    assert calls.deactivate(KEY_ID).operation.decode(RawResponse(204), KEY_ID) is None


@pytest.mark.parametrize("lost", ["is_active", "id"])
def test_no_line_of_ours_shows_the_secret_of_an_answer_that_does_not_decode(lost: str) -> None:
    body = {**RECORD, "key": "s3cret"}
    del body[lost]
    answer = RawResponse(200, json.dumps(body).encode())
    call = Operations(resolve_settings(ClientOptions("http://localhost", "token"))).create(UNSET, UNSET)
    shown: list[str] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if "api_keys_client" in frame.f_code.co_filename:
            shown.append(str(frame.f_locals))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call.operation.decode(answer, None)
    finally:
        sys.settrace(before)
    assert shown
    assert [text for text in shown if "s3cret" in text] == []
