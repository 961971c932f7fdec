"""Answers that refuse: whatever their body, they are judged by their status; those that move are not followed."""

from __future__ import annotations

import gzip
import json
from email.utils import formatdate
from time import monotonic, time

import pytest

from api_keys_client import (
    InvalidRequestError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    UnexpectedResponseError,
)
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, changed, each_operation, failure, memory_bound
from tests.support.wire import (
    CHUNK,
    CHUNKED,
    MIB,
    PAGE,
    UNTIL_CLOSED,
    Act,
    Peer,
    Request,
    Server,
    answer,
    dripped,
    message,
    say,
)


@each_operation
def test_a_proxy_that_cannot_reach_the_server_answers_502(connect: Connect, operation: str) -> None:
    act = answer(502, PAGE, "Content-Type: text/html")
    with Server(*[act] * 2) as server:
        error = failure(connect(server.url, token="token", max_attempts=2), operation)
        assert type(error) is (OutcomeUnknownError if operation == "create" else ServerError)
        assert error.outcome is changed(operation, Outcome.UNKNOWN)
        assert error.status == 502
        assert error.detail is None
        assert error.attempts == (1 if operation == "create" else 2)
        assert server.operations() == [operation] * error.attempts


REFUSALS: dict[str, Act] = {
    "10 MB": answer(403, json.dumps({"detail": "x" * 10_000_000}).encode()),
    "cut off": say(message(403, b"{")[:-1]),
    "reset": say(message(403, b"{")[:-1], then=Peer.reset),
    "compressed": answer(403, gzip.compress(b'{"detail": "no"}'), "Content-Encoding: gzip"),
    "a gzip bomb": answer(403, gzip.compress(b" " * 100 * MIB, 1), "Content-Encoding: gzip"),
    "a page": answer(403, PAGE),
    "empty": answer(403),
}


@pytest.mark.parametrize("act", REFUSALS.values(), ids=REFUSALS)
@each_operation
def test_a_refusal_is_one_whatever_its_body(connect: Connect, operation: str, act: Act) -> None:
    with Server(act) as server:
        client = connect(server.url, token="token")
        with memory_bound(4 * MIB):
            error = failure(client, operation)
        assert type(error) is PermissionDeniedError
        assert error.outcome is changed(operation, Outcome.REJECTED)
        assert error.detail is None
        assert server.operations() == [operation]
        OPERATIONS[operation](client)


@pytest.mark.parametrize(
    "act",
    [say(message(403, b"{")[:-1], then=Peer.hold), dripped(CHUNKED % 403, b"1zz\r\n", then=Peer.close)],
    ids=["silent", "a bad chunk"],
)
@pytest.mark.parametrize("operation", ["create", "get"])
def test_a_refusal_whose_body_never_comes_is_one_at_the_timeout(connect: Connect, operation: str, act: Act) -> None:
    with Server(act) as server:
        error = failure(connect(server.url, token="token", timeout=(5, 0.4)), operation)
        assert type(error) is PermissionDeniedError
        assert error.outcome is changed(operation, Outcome.REJECTED)
        assert error.elapsed < 5
        assert server.operations() == [operation]


@pytest.mark.parametrize("start", [CHUNKED, UNTIL_CLOSED], ids=["chunked", "until closed"])
@pytest.mark.parametrize("status", [400, 500])
def test_an_endless_refusal_is_not_read_to_its_end(connect: Connect, status: int, start: bytes) -> None:
    def act(peer: Peer, _: Request) -> None:
        peer.send(start % status)
        peer.pour(CHUNK, most=500 * MIB)

    with Server(act) as server:
        client = connect(server.url, token="token", max_attempts=1)
        with memory_bound(4 * MIB):
            error = failure(client, "list")
        assert type(error) is (InvalidRequestError if status == 400 else ServerError)
        assert error.elapsed < 5
    assert server.poured < 16 * MIB


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@each_operation
def test_no_redirect_is_followed(connect: Connect, operation: str, status: int) -> None:
    with Server() as target, Server() as server:
        for url in (target.url, server.url, f"//127.0.0.1:{target.port}", ""):
            server.act_next(answer(status, b"", f"Location: {url}/auth/api_keys/"))
            error = failure(connect(server.url, token="token"), operation)
            done = status in (301, 302, 303)
            assert type(error) is (OutcomeUnknownError if done and operation == "create" else UnexpectedResponseError)
            assert error.status == status
            assert error.outcome is changed(operation, Outcome.UNKNOWN if done else Outcome.REJECTED)
            assert error.attempts == 1
        assert server.operations() == [operation] * 4
        assert target.connections == 0


def slow_down(retry_after: str | None = None) -> Act:
    return answer(429, b'{"detail": "Slow down"}', *([] if retry_after is None else [f"Retry-After: {retry_after}"]))


@pytest.mark.parametrize("retry_after", [None, "0", "soon", "-5", "1e3", "", formatdate(0, usegmt=True)])
@pytest.mark.parametrize("operation", ["create", "get"])
def test_429_is_replayed_soon_where_no_wait_is_asked_for(
    connect: Connect, operation: str, retry_after: str | None
) -> None:
    with Server(slow_down(retry_after)) as server:
        began = monotonic()
        OPERATIONS[operation](connect(server.url, token="token"))
        assert monotonic() - began < 9
        assert server.operations() == [operation] * 2


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_429_is_replayed_when_it_says(connect: Connect, form: str) -> None:
    with Server() as server:
        client = connect(server.url, token="token")
        # A date has whole seconds: one of these two is left when it arrives.
        server.act_next(slow_down("1" if form == "seconds" else formatdate(time() + 2, usegmt=True)))
        began = monotonic()
        client.create()
        assert 0.7 <= monotonic() - began < 4
        assert server.operations() == ["create", "create"]


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("61", 61),
        ("9" * 400, 9_999_999_999),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 2.5e11),
    ],
    ids=["seconds", "very many seconds", "the last date"],
)
@each_operation
def test_429_that_asks_for_too_long_is_raised(
    connect: Connect, operation: str, retry_after: str, seconds: float
) -> None:
    with Server(slow_down(retry_after)) as server:
        error = failure(connect(server.url, token="token", deadline=80_000), operation)
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == pytest.approx(seconds, rel=0.02)
        assert error.outcome is changed(operation, Outcome.REJECTED)
        assert error.detail == "Slow down"
        assert error.retryable
        assert server.operations() == [operation]


def test_429_until_a_date_in_an_hour_is_raised(connect: Connect) -> None:
    with Server(slow_down(formatdate(time() + 3600, usegmt=True))) as server:
        error = failure(connect(server.url, token="token"), "create")
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == pytest.approx(3600, abs=10)
        assert server.operations() == ["create"]


def test_429_that_asks_for_more_than_the_deadline_leaves_is_raised(connect: Connect) -> None:
    with Server(slow_down("30")) as server:
        error = failure(connect(server.url, token="token", deadline=20), "get")
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == 30
        assert error.elapsed < 9
        assert server.operations() == ["get"]


@each_operation
def test_429_to_the_end(connect: Connect, operation: str) -> None:
    with Server(*[slow_down("0")] * 3) as server:
        error = failure(connect(server.url, token="token"), operation)
        assert isinstance(error, RateLimitedError)
        assert error.attempts == 3
        assert server.operations() == [operation] * 3
