"""Whatever comes in, nothing but an ApiKeysError comes out: of the decoder, the error reader and the settings."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings as examples, strategies as some

from api_keys_client import ApiKeysClient, ApiKeysError, ConfigurationError, InvalidRequestError
from api_keys_client._core.messages import RawResponse, Request
from api_keys_client._core.operations import Operations
from api_keys_client._core.options import ClientOptions, resolve_settings
from api_keys_client._core.policy import MAX_RETRY_AFTER, Retry, Success, evaluate

SETTINGS = resolve_settings(ClientOptions("http://localhost", "t0ken"))
CALLS = Operations(SETTINGS)
KEY_ID = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"
CREATE: Request[Any] = CALLS.create("ci", ["TASK-ADMIN"])
EVERY_CALL: list[Request[Any]] = [CALLS.get(KEY_ID), CALLS.list(), CALLS.deactivate(KEY_ID), CREATE]

numbers = some.integers() | some.floats() | some.sampled_from([10**400, -(10**400), 1e308])
leaves = some.none() | some.booleans() | numbers | some.text()
anything_in_json = some.recursive(
    leaves, lambda inside: some.lists(inside, max_size=4) | some.dictionaries(some.text(), inside, max_size=4)
)
moments = [f"2026-01-02T03:04:05{end}" for end in ("", ".678901", "+05:30", "Z")]
dates = some.sampled_from([*moments, "0000-00-00", "tomorrow", 1767323045, -1e20])
near_records = some.fixed_dictionaries(
    {"id": some.sampled_from([KEY_ID, KEY_ID.upper(), "", 7]) | some.text(), "is_active": some.booleans() | leaves},
    optional={
        "created_at": dates | leaves,
        "deactivated_at": dates | leaves,
        "key": some.text() | leaves,
        "roles": some.lists(some.text() | leaves, max_size=5) | leaves,
        "message": leaves,
        "unknown": anything_in_json,
    },
)
deep = some.integers(1, 20_000).map(lambda depth: b"[" * depth + b"]" * depth)
twice = some.sampled_from([b'{"id":"a","id":"b"}', b'{"id":"\\ud800","is_active":true}', b'["\\udfff"]', b'{"a":'])
bodies = (
    some.binary(max_size=200)
    | deep
    | twice
    | (anything_in_json | near_records | some.lists(near_records, max_size=3)).map(
        lambda value: json.dumps(value).encode()
    )
)


@pytest.mark.parametrize("call", EVERY_CALL, ids=lambda call: call.operation.name)
@given(status=some.integers(200, 599), body=bodies, header=some.none() | some.text(string.printable, max_size=40))
@examples(max_examples=300, deadline=None)
def test_no_answer_brings_anything_else(call: Request[Any], status: int, body: bytes, header: str | None) -> None:
    answer = RawResponse(status, body, header)
    verdict = evaluate(call, answer, attempt=1, elapsed=0.0, settings=SETTINGS, jitter=0.5)
    assert isinstance(verdict, (Success, Retry, ApiKeysError))
    if isinstance(verdict, ApiKeysError):
        assert len(str(verdict)) < 2_000
        assert (verdict.outcome is not None) == call.operation.changes
    if isinstance(verdict, Retry):
        assert 0 <= verdict.wait <= MAX_RETRY_AFTER


@given(
    base_url=some.none() | some.text() | some.text().map(lambda text: f"http://localhost{text}") | leaves,
    token=some.none() | some.text() | some.binary() | leaves,
    timeout=numbers | some.tuples(leaves, leaves) | leaves,
    deadline=leaves,
    max_attempts=leaves,
    headers=some.none() | some.dictionaries(some.text(), some.text(), max_size=3),
    proxy=some.none() | some.text() | some.text().map(lambda text: f"http://{text}"),
)
@examples(max_examples=500, deadline=None)
def test_settings_are_taken_or_refused(**options: Any) -> None:
    try:
        client = ApiKeysClient(**options)
    except ConfigurationError as error:
        text = str(error)
    else:
        client.close()
        text = repr(client)
    assert len(text) < 500


@given(key_id=some.text() | some.binary() | leaves)
def test_ids_are_taken_or_refused(key_id: Any) -> None:
    with pytest.raises(InvalidRequestError):
        CALLS.get(key_id)


@given(description=leaves | some.text(some.characters()), roles=anything_in_json)
def test_a_create_is_taken_or_refused_and_is_json(description: Any, roles: Any) -> None:
    try:
        call = CALLS.create(description, roles)
    except InvalidRequestError:
        return
    assert set(json.loads(call.body or b"")) == {"description", "roles"}
