"""Answers that refuse: whatever their body, they are judged by their status; those that move are not followed."""

from __future__ import annotations

import gzip
import json
from time import monotonic

import pytest

from api_keys_client import Outcome, PermissionDeniedError
from tests.support.clients import Connect
from tests.support.failing import create_and_another, failure, memory_bound
from tests.support.wire import (
    CHUNKED,
    MIB,
    PAGE,
    UNTIL_CLOSED,
    Act,
    Peer,
    Server,
    answer,
    dripped,
    endless,
    message,
    say,
)

REFUSALS: dict[str, Act] = {
    "10 MB": answer(403, json.dumps({"detail": "x" * 10_000_000}).encode()),
    "cut off": say(message(403, b"{")[:-1]),
    "reset": say(message(403, b"{")[:-1], then=Peer.reset),
    "silent": say(message(403, b"{")[:-1], then=Peer.hold),
    "a bad chunk, late": dripped(CHUNKED % 403, b"1zz\r\n", then=Peer.close),
    "endless chunks": endless(CHUNKED % 403),
    "endless until closed": endless(UNTIL_CLOSED % 403),
    "a gzip bomb": answer(403, gzip.compress(b" " * 100 * MIB, 1), "Content-Encoding: gzip"),
    "a page": answer(403, PAGE),
    "empty": answer(403),
}


@pytest.mark.parametrize("act", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_whatever_its_body(connect: Connect, act: Act) -> None:
    with Server(act) as server:
        client = connect(server.url, token="token", timeout=(5, 0.4))
        with memory_bound(4 * MIB):
            error = failure(client, "create")
        assert type(error) is PermissionDeniedError
        assert error.outcome is Outcome.REJECTED
        assert error.detail is None
        assert error.elapsed < 5
        assert client.with_options(timeout=9).create()
        assert server.operations() == ["create", "create"]
    assert server.poured < 16 * MIB


@pytest.mark.parametrize("status", [302, 307])
@create_and_another
def test_no_redirect_is_followed(connect: Connect, operation: str, status: int) -> None:
    with Server() as target, Server() as server:
        for url in (target.url, server.url, f"//127.0.0.1:{target.port}", ""):
            server.act_next(answer(status, b"", f"Location: {url}/auth/api_keys/"))
            error = failure(connect(server.url, token="token"), operation)
            assert (error.status, error.attempts) == (status, 1)
            assert error.outcome is (Outcome.UNKNOWN if status == 302 else Outcome.REJECTED)
        assert server.operations() == [operation] * 4
        assert target.connections == 0


def slow_down(retry_after: str) -> Act:
    return answer(429, b'{"detail": "Slow down"}', f"Retry-After: {retry_after}")


def test_429_is_replayed_when_it_says(connect: Connect) -> None:
    with Server(slow_down("soon"), slow_down("1")) as server:
        began = monotonic()
        assert connect(server.url, token="token").create()
        assert 1 <= monotonic() - began < 9
        assert server.operations() == ["create"] * 3
