"""Whole answers with a good status that are not what was asked for: wrong, empty, compressed, endless, or preceded."""

from __future__ import annotations

import gzip
import json
import threading

import pytest

from api_keys_client import (
    ApiConnectionError,
    ApiKeysClient,
    ConfigurationError,
    Outcome,
    OutcomeUnknownError,
    ServerError,
    UnexpectedResponseError,
)
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, failure, memory_bound
from tests.support.wire import (
    CHUNKED,
    GOOD,
    KEY_ID,
    MIB,
    PAGE,
    RECORD,
    UNTIL_CLOSED,
    Act,
    Peer,
    Request,
    Server,
    answer,
    endless,
    good,
    message,
    say,
)

WRONG: dict[str, Act] = {
    "a proxy's page": answer(200, PAGE),
    "half of an answer": answer(200, b'{"id": "'),
    "206": answer(206, b"{", "Content-Range: bytes 0-0/9"),
    "compressed": answer(200, gzip.compress(GOOD["create"]), "Content-Encoding: gzip"),
    "a gzip bomb": answer(200, gzip.compress(b" " * 100 * MIB, 1), "Content-Encoding: gzip"),
    "200 without a body": answer(200),
    "204": say(b"HTTP/1.1 204 No\r\n\r\n", then=None),
    "endless chunks": endless(CHUNKED % 200),
    "endless until closed": endless(UNTIL_CLOSED % 200),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_2xx_that_does_not_decode_is_final(connect: Connect, name: str) -> None:
    with Server(*[WRONG[name]] * 2) as server:
        client = connect(server.url, token="token")
        for operation, kind in (("create", OutcomeUnknownError), ("get", UnexpectedResponseError)):
            with memory_bound((128 if "endless" in name else 4) * MIB):
                error = failure(client, operation)
            assert type(error) is kind
            assert error.status in (200, 204, 206)
            assert error.elapsed < 5
            assert ("compressed, which was not asked for" in str(error)) is (name in ("compressed", "a gzip bomb"))
        assert client.list()
        assert server.operations() == ["create", "get", "list"]
    assert server.poured < 2 * 64 * MIB


@pytest.mark.parametrize(
    "header",
    [*(f"Content-Encoding: {coding}" for coding in ("", "identity", "Identity, identity")), f"X-Long: {'a' * 60_000}"],
    ids=["no coding", "identity", "identities", "long"],
)
def test_a_header_that_changes_nothing_loses_no_key(connect: Connect, header: str) -> None:
    with Server(answer(200, GOOD["create"], header)) as server:
        assert connect(server.url, token="token").create().key


@pytest.mark.parametrize("name", ["200 without a body", "204"])
def test_a_deactivation_that_is_answered_without_a_record_is_read_back(connect: Connect, name: str) -> None:
    with Server(WRONG[name]) as server:
        assert not connect(server.url, token="token").deactivate(KEY_ID).is_active
        assert server.operations() == ["deactivate", "get"]


def test_a_deactivation_that_cannot_be_read_back_is_applied() -> None:
    with Server(answer(200), answer(501)) as server, ApiKeysClient(server.url, token="token") as client:
        error = failure(client, "deactivate")
    assert isinstance(error, ServerError)
    assert (error.outcome, error.attempts) == (Outcome.APPLIED, 2)


def test_a_deactivation_whose_record_says_active_is_unknown() -> None:
    act = answer(200, json.dumps(RECORD).encode())
    with Server(act) as server, ApiKeysClient(server.url, token="token") as client:
        error = failure(client, "deactivate")
    assert isinstance(error, UnexpectedResponseError)
    assert error.outcome is Outcome.UNKNOWN


def test_a_token_that_is_gone_leaves_open_what_became_of_the_key() -> None:
    tokens = iter(["token"])
    with Server(say()) as server, ApiKeysClient(server.url, token=lambda: next(tokens)) as client:
        error = failure(client, "deactivate")
    assert isinstance(error, ConfigurationError)
    assert "raised StopIteration" in str(error)
    assert (error.outcome, error.attempts, error.key_id) == (Outcome.UNKNOWN, 1, KEY_ID)
    assert error.elapsed > 0


def test_what_is_left_of_an_answer_is_not_taken_for_the_next(connect: Connect) -> None:
    with Server(answer(200, GOOD["create"], "Content-Length: 9")) as server:
        client = connect(server.url, token="token", max_attempts=1)
        assert isinstance(failure(client, "create"), OutcomeUnknownError)
        for later in OPERATIONS:
            OPERATIONS[later](client)
        assert server.operations() == ["create", *OPERATIONS]


def test_an_answer_that_was_not_asked_for_is_not_taken_for_the_next(connect: Connect) -> None:
    answered, sent = threading.Event(), threading.Event()

    def act(peer: Peer, request: Request) -> None:
        good(peer, request)
        answered.wait(5)
        peer.send(message(404, b'{"detail": "for somebody else"}'))
        sent.set()

    with Server(act) as server:
        client = connect(server.url, token="token", max_attempts=1)
        assert client.create()
        answered.set()
        assert sent.wait(5)
        # Bytes that come while the next request is on its way can't be told from its answer.
        threading.Event().wait(0.1)
        for later in OPERATIONS:
            OPERATIONS[later](client)
        assert server.operations() == ["create", *OPERATIONS]
        assert server.connections == 2


def test_a_chunk_of_a_size_below_zero_has_an_end(connect: Connect) -> None:
    def act(peer: Peer, _: Request) -> None:
        peer.send(CHUNKED % 200 + b"-1\r\n")
        peer.pour(b" " * MIB, most=200 * MIB)
        peer.close()

    with Server(act) as server:
        client = connect(server.url, token="token", max_attempts=1)
        with memory_bound(128 * MIB):
            assert isinstance(failure(client, "list"), ApiConnectionError)
    assert server.poured < 128 * MIB


EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
INTERIM = {
    "many 100s": b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    "102": b"HTTP/1.1 102 Processing\r\n\r\n",
    "103": EARLY_HINTS,
    "103s and 100s": (EARLY_HINTS + b"HTTP/1.1 100 Continue\r\n\r\n") * 3,
}


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_answers_are_passed_over(connect: Connect, interim: bytes) -> None:
    with Server(say(interim + message(200, GOOD["create"]), then=None)) as server:
        client = connect(server.url, token="token")
        assert client.create()
        assert not client.get(KEY_ID).is_active
        assert server.operations() == ["create", "get"]
        assert server.connections == 1
