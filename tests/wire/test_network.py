"""No answer, or not a whole one: every operation over a network and a server that break in every way."""

from __future__ import annotations

import json

import pytest

from api_keys_client import ApiConnectionError, ApiTimeoutError
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, check_lost, each_operation, failure
from tests.support.wire import Act, Peer, Request, Server, dripped, message, say

TIMEOUT = 0.1
SLACK = 5.0
"""Seconds that a slow machine may add to any bound."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = json.dumps({"detail": "x" * 200}).encode()


def chunked(*chunks: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


BROKEN: dict[str, Act] = {
    "reset before the answer": say(then=Peer.reset),
    "closed before the answer": say(),
    "closed in the status line": say(b"HTTP/1.1 20"),
    "closed after the status line": say(b"HTTP/1.1 200 OK\r\n"),
    "reset inside the headers": say(HEAD + b"Content-Len", then=Peer.reset),
    "closed inside the headers": say(HEAD + b"Content-Len"),
    "closed between the headers": say(HEAD),
    "closed before the body": say(HEAD + b"Content-Length: 9\r\n\r\n"),
    "closed inside the body": say(message(200, BODY)[:-1]),
    "reset inside the body": say(message(200, BODY)[:-1], then=Peer.reset),
    "closed before the last chunk": say(chunked(b"2\r\n[]\r\n")),
    "closed inside a chunk": say(chunked(b"9\r\n[")),
    "a chunk without a size": say(chunked(b"zz\r\n[]\r\n0\r\n\r\n")),
    "a chunk longer than its size": say(chunked(b"1\r\n[]\r\n0\r\n\r\n")),
    "a chunk of a negative size": say(chunked(b"-1\r\n[]\r\n0\r\n\r\n")),
    "two lengths": say(HEAD + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n[]"),
    "not HTTP": say(b"SSH-2.0-server\r\n"),
    "no status": say(b"HTTP/1.1 OK\r\n\r\n"),
    "a header line without an end": say(HEAD + b"X: " + b"x" * 1_000_000),
    "100,000 headers": say(HEAD + b"X: y\r\n" * 100_000 + b"\r\n"),
    "101 and nothing": say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
    "103 and nothing": say(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
}


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN)
@each_operation
def test_a_broken_answer_leaves_the_outcome_open_and_the_client_whole(
    connect: Connect, operation: str, act: Act
) -> None:
    with Server(act) as server:
        client = connect(server.url, token="token", max_attempts=1)
        check_lost(failure(client, operation), operation, ApiConnectionError, attempts=1)
        assert server.operations() == [operation]
        OPERATIONS[operation](client)
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("operation", "break_off"),
    [
        ("list", "reset before the answer"),
        ("get", "closed inside the headers"),
        ("deactivate", "closed inside the body"),
    ],
)
def test_a_replay_gives_the_value(connect: Connect, operation: str, break_off: str) -> None:
    with Server(BROKEN[break_off]) as server:
        assert OPERATIONS[operation](connect(server.url, token="token"))
        assert server.operations() == [operation, operation]


@each_operation
def test_what_may_be_replayed_is_sent_three_times_and_a_create_once(connect: Connect, operation: str) -> None:
    with Server(*[say()] * 4) as server:
        error = failure(connect(server.url, token="token"), operation)
        check_lost(error, operation, ApiConnectionError, attempts=3)
        assert server.operations() == [operation] * error.attempts


LATE: dict[str, Act] = {
    "silence": say(then=Peer.hold),
    "silence inside the headers": say(HEAD + b"Content-Len", then=Peer.hold),
    "silence after the headers": say(HEAD + b"Content-Length: 9\r\n\r\n", then=Peer.hold),
    "silence inside the body": say(message(200, BODY)[:-1], then=Peer.hold),
    "silence inside a chunk": say(chunked(b"9\r\n["), then=Peer.hold),
    "silence before the last chunk": say(chunked(b"2\r\n[]\r\n"), then=Peer.hold),
    "headers one byte at a time": dripped(b"", HEAD * 9),
    "a header line one byte at a time": dripped(HEAD, b"X" * 900),
    "a body one byte at a time": dripped(message(200, b"", "Content-Length: 900"), b"[" + b" " * 899),
    "a body without length, one byte at a time": dripped(HEAD + b"Connection: close\r\n\r\n", b" " * 900),
    "chunks one byte at a time": dripped(chunked(), b"1\r\n \r\n" * 150),
    "a chunk's size one byte at a time": dripped(chunked(), b"0" * 900),
    "nothing but 100s": dripped(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 36),
}


@pytest.mark.parametrize("act", LATE.values(), ids=LATE)
@pytest.mark.parametrize("operation", ["create", "get"])
def test_a_late_answer_ends_at_the_timeout(connect: Connect, operation: str, act: Act) -> None:
    with Server(act) as server:
        client = connect(server.url, token="token", timeout=(5, TIMEOUT), max_attempts=1)
        error = failure(client, operation)
        check_lost(error, operation, ApiTimeoutError, attempts=1)
        assert TIMEOUT <= error.elapsed < TIMEOUT + SLACK
        OPERATIONS[operation](client.with_options(timeout=9))
    assert server.operations() == [operation] * 2


@each_operation
def test_silence_is_replayed_but_a_create_is_sent_once(connect: Connect, operation: str) -> None:
    with Server(*[LATE["silence"]] * 2) as server:
        error = failure(connect(server.url, token="token", timeout=TIMEOUT, max_attempts=2), operation)
        check_lost(error, operation, ApiTimeoutError, attempts=2)
    assert server.operations() == [operation] * error.attempts


def test_headers_and_body_share_one_timeout(connect: Connect) -> None:
    timeout = 2

    def act(peer: Peer, request: Request) -> None:
        peer.drip(HEAD[:25], every=0.06)
        peer.send(HEAD[25:] + b"Content-Length: 9\r\n\r\n")
        peer.hold()

    with Server(act) as server:
        error = failure(connect(server.url, token="token", timeout=timeout, max_attempts=1), "get")
        assert timeout <= error.elapsed < 1.5 * timeout


@pytest.mark.parametrize("operation", ["create", "get"])
def test_the_deadline_holds_while_bytes_drip(connect: Connect, operation: str) -> None:
    deadline = 0.3
    with Server(*[LATE["a body one byte at a time"]] * 3) as server:
        error = failure(connect(server.url, token="token", timeout=30, deadline=deadline), operation)
        check_lost(error, operation, ApiTimeoutError, attempts=1)
        assert deadline <= error.elapsed < deadline + SLACK
    assert server.operations() == [operation]
