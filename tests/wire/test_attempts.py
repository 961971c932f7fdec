"""What is sent again and for how long, and the outcome of a call that fails."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer

from api_keys_client import (
    ApiConnectionError,
    ApiKeysClient,
    ApiTimeoutError,
    ConfigurationError,
    Outcome,
    OutcomeUnknownError,
    RateLimitedError,
    ServerError,
    UnexpectedResponseError,
)
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.clients import Connect, requests

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def test_a_created_key_that_nobody_could_deactivate_is_unknown(httpserver: HTTPServer, connect: Connect) -> None:
    record = {"id": "key-17", "is_active": True, "created_at": "2026-01-02T03:04:05", "key": "secret"}
    httpserver.expect_request("/auth/api_keys/").respond_with_json(record)
    with pytest.raises(OutcomeUnknownError, match="id: no UUID"):
        connect(httpserver.url_for(""), token="token").create()


def test_reads_are_replayed_after(sandbox: Sandbox, client: ApiKeysClient) -> None:
    key_id = client.create("ci").id
    for fault in (Fault.drop(), Fault.truncated(), Fault.status(503), Fault.status(429, retry_after=0)):
        before = len(sandbox.requests)
        sandbox.queue(fault, operation="get")
        assert client.get(key_id).id == key_id
        assert len(sandbox.requests) == before + 2, fault


def test_attempts_end(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.drop(), operation="list", times=3)
    with pytest.raises(ApiConnectionError) as caught:
        client.list()
    assert caught.value.attempts == 3
    assert requests(sandbox) == ["list"] * 3
    assert sandbox.unmet == []


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        (Fault.drop(), 0),
        (Fault.drop(committed=True), 1),
        (Fault.status(500), 0),
        (Fault.garbage(), 1),
        (Fault.truncated(), 1),
        (Fault.silence(committed=True), 1),
    ],
    ids=repr,
)
def test_a_create_that_may_have_happened_is_unknown_and_sent_once(
    sandbox: Sandbox, connect: Connect, fault: Fault, made: int
) -> None:
    client = connect(sandbox.url, token=sandbox.token, timeout=0.3)
    sandbox.queue(fault, operation="create")
    with pytest.raises(OutcomeUnknownError) as caught:
        client.create("ci")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert caught.value.attempts == 1
    assert requests(sandbox) == ["create"]
    assert len(sandbox.keys()) == made


def test_a_create_is_replayed_after_429(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.status(429, retry_after=0), operation="create")
    assert client.create("ci").description == "ci"
    assert requests(sandbox) == ["create", "create"]


def test_rate_limited_for_too_long(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.status(429, retry_after=3600))
    with pytest.raises(RateLimitedError) as caught:
        client.list()
    assert caught.value.retry_after == 3600
    assert caught.value.attempts == 1


def test_silence_ends_at_the_timeout(sandbox: Sandbox, connect: Connect) -> None:
    client = connect(sandbox.url, token=sandbox.token, timeout=0.1, max_attempts=2)
    sandbox.queue(Fault.silence(), times=2)
    with pytest.raises(ApiTimeoutError) as caught:
        client.list()
    assert caught.value.attempts == 2
    assert 0.2 <= caught.value.elapsed < 9


def test_the_deadline_bounds_all_attempts(sandbox: Sandbox, connect: Connect) -> None:
    client = connect(sandbox.url, token=sandbox.token, timeout=10, deadline=0.3, max_attempts=9)
    sandbox.queue(Fault.silence(), times=9)
    with pytest.raises(ApiTimeoutError) as caught:
        client.list()
    assert 0.3 <= caught.value.elapsed < 9


def test_a_deactivation_that_cannot_be_read_back_is_applied(engine: Sandbox, connect: Connect) -> None:
    client = connect(engine.url, token=engine.token)
    key_id = client.create("ci").id
    engine.queue(Fault.status(500), operation="get", times=3)
    with pytest.raises(ServerError) as caught:
        client.deactivate(key_id)
    assert caught.value.outcome is Outcome.APPLIED
    assert caught.value.attempts == len(requests(engine)) - 1 == 4
    assert [key.is_active for key in engine.keys()] == [False]


def test_a_token_that_is_gone_leaves_open_what_became_of_the_key(engine: Sandbox, connect: Connect) -> None:
    key_id = connect(engine.url, token=engine.token).create("ci").id
    engine.queue(Fault.drop(committed=True), operation="deactivate")
    tokens = iter([engine.token])
    with pytest.raises(ConfigurationError, match="raised StopIteration") as caught:
        connect(engine.url, token=lambda: next(tokens)).deactivate(key_id)
    assert caught.value.outcome is Outcome.UNKNOWN
    assert caught.value.attempts == 1
    assert caught.value.elapsed > 0
    assert caught.value.key_id == key_id
    assert "The key may be deactivated or still active" in str(caught.value)


def test_a_deactivation_whose_record_says_active_is_unknown(httpserver: HTTPServer, connect: Connect) -> None:
    record = {"id": UNKNOWN_ID, "is_active": True, "created_at": "2026-01-02T03:04:05"}
    httpserver.expect_request(f"/auth/api_keys/deactivate/{UNKNOWN_ID}").respond_with_json(record)
    with pytest.raises(UnexpectedResponseError) as caught:
        connect(httpserver.url_for(""), token="token").deactivate(UNKNOWN_ID)
    assert caught.value.outcome is Outcome.UNKNOWN


def test_refused(connect: Connect, engine: Sandbox) -> None:
    url = engine.url
    engine.stop()
    with pytest.raises(ApiConnectionError, match="refused") as caught:
        connect(url, token="token").create("x")
    assert caught.value.outcome is Outcome.NOT_SENT
    assert f"refused ({url})" in str(caught.value)
    assert caught.value.attempts == 3
    assert caught.value.retryable
