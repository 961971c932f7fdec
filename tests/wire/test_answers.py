"""Whole answers with a good status that are not what was asked for: wrong, empty, compressed, endless, or preceded."""

from __future__ import annotations

import gzip
import threading

import pytest

from api_keys_client import ApiConnectionError, ApiKeysError, Outcome, OutcomeUnknownError, UnexpectedResponseError
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, changed, each_operation, failure, memory_bound
from tests.support.wire import (
    CHUNK,
    CHUNKED,
    GOOD,
    KEY_ID,
    MIB,
    PAGE,
    UNTIL_CLOSED,
    Act,
    Peer,
    Request,
    Server,
    answer,
    good,
    message,
    say,
)


def check_unexpected(error: ApiKeysError, operation: str) -> None:
    """That the error is right for a 2xx that tells nothing: nobody knows what the server did."""
    assert type(error) is (OutcomeUnknownError if operation == "create" else UnexpectedResponseError)
    assert error.outcome is changed(operation, Outcome.UNKNOWN)
    assert error.attempts == 1
    assert not error.retryable
    assert error.status
    assert 200 <= error.status < 300


WRONG: dict[str, Act] = {
    "a proxy's page": answer(200, PAGE),
    "bytes that are no text": answer(200, b"\xff\xfe\x00"),
    "half of an answer": answer(200, b'{"id": "'),
    "JSON of another service": answer(200, b'{"status": "ok"}'),
    "null": answer(200, b"null"),
    "JSON that nests without end": answer(200, b"[" * 100_000),
    "206": answer(206, b"{", "Content-Range: bytes 0-0/9"),
    "compressed": answer(200, gzip.compress(GOOD["get"]), "Content-Encoding: gzip"),
    "a gzip bomb": answer(200, gzip.compress(b" " * 100 * MIB, 1), "Content-Encoding: gzip"),
}
EMPTY: dict[str, Act] = {"200 without a body": answer(200), "204": say(b"HTTP/1.1 204 No\r\n\r\n", then=None)}


@pytest.mark.parametrize("act", WRONG.values(), ids=WRONG)
@each_operation
def test_a_2xx_that_does_not_decode_is_final(connect: Connect, operation: str, act: Act) -> None:
    with Server(act) as server:
        client = connect(server.url, token="token")
        with memory_bound(4 * MIB):
            error = failure(client, operation)
        check_unexpected(error, operation)
        assert server.operations() == [operation]
        OPERATIONS[operation](client)


@pytest.mark.parametrize("coding", ["", "identity", "Identity, identity"])
def test_an_answer_that_is_not_compressed_may_say_so(connect: Connect, coding: str) -> None:
    with Server(answer(200, GOOD["create"], f"Content-Encoding: {coding}")) as server:
        assert connect(server.url, token="token").create().key


def test_a_long_header_loses_no_key(connect: Connect) -> None:
    with Server(answer(200, GOOD["create"], f"Content-Security-Policy: {'a' * 60_000}")) as server:
        assert connect(server.url, token="token").create().key


def test_a_compressed_answer_is_called_one(connect: Connect) -> None:
    with Server(WRONG["compressed"]) as server:
        assert "compressed, which was not asked for" in str(failure(connect(server.url, token="token"), "create"))


@pytest.mark.parametrize("act", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("operation", ["create", "list", "get"])
def test_an_empty_2xx_is_no_record(connect: Connect, operation: str, act: Act) -> None:
    with Server(act) as server:
        client = connect(server.url, token="token")
        check_unexpected(failure(client, operation), operation)
        assert server.operations() == [operation]


@pytest.mark.parametrize("act", EMPTY.values(), ids=EMPTY)
def test_a_deactivation_that_is_answered_without_a_record_is_read_back(connect: Connect, act: Act) -> None:
    with Server(act) as server:
        assert not connect(server.url, token="token").deactivate(KEY_ID).is_active
        assert server.operations() == ["deactivate", "get"]


@each_operation
def test_what_is_left_of_an_answer_is_not_taken_for_the_next(connect: Connect, operation: str) -> None:
    with Server(answer(200, GOOD[operation], "Content-Length: 9")) as server:
        client = connect(server.url, token="token", max_attempts=1)
        error = failure(client, operation)
        # A driver may see that more came than was told, or that it is half of an answer.
        assert type(error) in (OutcomeUnknownError, ApiConnectionError, UnexpectedResponseError)
        assert error.outcome is changed(operation, Outcome.UNKNOWN)
        assert server.operations() == [operation]
        for later in OPERATIONS:
            OPERATIONS[later](client)
        assert server.operations() == [operation, *OPERATIONS]


@each_operation
def test_an_answer_that_was_not_asked_for_is_not_taken_for_the_next(connect: Connect, operation: str) -> None:
    answered, sent = threading.Event(), threading.Event()

    def act(peer: Peer, request: Request) -> None:
        good(peer, request)
        answered.wait(5)
        peer.send(message(404, b'{"detail": "for somebody else"}'))
        sent.set()

    with Server(act) as server:
        client = connect(server.url, token="token", max_attempts=1)
        OPERATIONS[operation](client)
        answered.set()
        assert sent.wait(5)
        # Bytes that come while the next request is on its way can't be told from its answer.
        threading.Event().wait(0.1)
        for later in OPERATIONS:
            OPERATIONS[later](client)
        assert server.operations() == [operation, *OPERATIONS]
        assert server.connections == 2


@each_operation
def test_an_answer_may_say_that_it_is_not_compressed(connect: Connect, operation: str) -> None:
    with Server(answer(200, GOOD[operation], "Content-Encoding: identity")) as server:
        OPERATIONS[operation](connect(server.url, token="token"))


@pytest.mark.parametrize("start", [CHUNKED, UNTIL_CLOSED], ids=["chunked", "until closed"])
@each_operation
def test_an_endless_answer_is_given_up(connect: Connect, operation: str, start: bytes) -> None:
    def act(peer: Peer, _: Request) -> None:
        peer.send(start % 200)
        peer.pour(CHUNK, most=500 * MIB)

    with Server(act) as server:
        client = connect(server.url, token="token")
        with memory_bound(128 * MIB):
            error = failure(client, operation)
        check_unexpected(error, operation)
        assert error.elapsed < 5
        assert server.operations() == [operation]
        OPERATIONS[operation](client)
    assert server.poured < 64 * MIB


def test_a_chunk_of_a_size_below_zero_has_an_end(connect: Connect) -> None:
    def act(peer: Peer, _: Request) -> None:
        peer.send(CHUNKED % 200 + b"-1\r\n")
        peer.pour(b" " * MIB, most=200 * MIB)
        peer.close()

    with Server(act) as server:
        client = connect(server.url, token="token", max_attempts=1)
        with memory_bound(128 * MIB):
            failure(client, "list")
    assert server.poured < 128 * MIB


INTERIM = {
    "100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "many 100s": b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    "102": b"HTTP/1.1 102 Processing\r\n\r\n",
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
    "103s and 100s": b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" * 3,
}


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
@each_operation
def test_interim_answers_are_passed_over(connect: Connect, operation: str, interim: bytes) -> None:
    act = say(interim + message(200, GOOD[operation]), then=None)
    with Server(act) as server:
        client = connect(server.url, token="token")
        OPERATIONS[operation](client)
        client.get(KEY_ID)
        assert server.operations() == [operation, "get"]
        assert server.connections == 1
