"""No answer, or not a whole one: a network and a server that break in every way."""

from __future__ import annotations

import json

import pytest

from api_keys_client import ApiKeysClient
from api_keys_client.errors import FailureKind
from tests.support.clients import Connect
from tests.support.failing import check_lost, create_and_another, failure
from tests.support.wire import Act, Peer, Request, Server, dripped, message, say

TIMEOUT = 0.1

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = json.dumps({"detail": "x" * 200}).encode()


def chunked(*chunks: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


BROKEN: dict[str, tuple[FailureKind, Act]] = {
    "reset before the answer": ("reset", say(then=Peer.reset)),
    "closed before the answer": ("reset", say()),
    "closed in the status line": ("reset", say(b"HTTP/1.1 20")),
    "closed after the status line": ("reset", say(b"HTTP/1.1 200 OK\r\n")),
    "reset inside the headers": ("reset", say(HEAD + b"Content-Len", then=Peer.reset)),
    "closed inside the headers": ("reset", say(HEAD + b"Content-Len")),
    "closed between the headers": ("reset", say(HEAD)),
    "closed before the body": ("reset", say(HEAD + b"Content-Length: 9\r\n\r\n")),
    "closed inside the body": ("reset", say(message(200, BODY)[:-1])),
    "reset inside the body": ("reset", say(message(200, BODY)[:-1], then=Peer.reset)),
    "closed before the last chunk": ("reset", say(chunked(b"2\r\n[]\r\n"))),
    "closed inside a chunk": ("reset", say(chunked(b"9\r\n["))),
    "not HTTP": ("protocol", say(b"SSH-2.0-server\r\n")),
    "no status": ("protocol", say(b"HTTP/1.1 OK\r\n\r\n")),
    "a header line without an end": ("protocol", say(HEAD + b"X: " + b"x" * 1_000_000)),
    "100,000 headers": ("protocol", say(HEAD + b"X: y\r\n" * 100_000 + b"\r\n")),
    "101 and nothing": ("protocol", say(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")),
    "103 and nothing": ("reset", say(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")),
}


@pytest.mark.parametrize(("kind", "act"), BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_leaves_the_outcome_open_and_the_client_whole(
    connect: Connect, kind: FailureKind, act: Act
) -> None:
    with Server(act, act) as server:
        client = connect(server.url, token="token", max_attempts=1)
        for operation in ("create", "get"):
            check_lost(failure(client, operation), operation, kind, attempts=1)
        assert client.list()
        assert server.operations() == ["create", "get", "list"]


@create_and_another
def test_what_may_be_replayed_is_sent_three_times_and_a_create_once(operation: str) -> None:
    with Server(*[say()] * 4) as server, ApiKeysClient(server.url, token="token") as client:
        error = failure(client, operation)
        check_lost(error, operation, "reset", attempts=3)
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
def test_a_late_answer_ends_at_the_timeout(connect: Connect, act: Act) -> None:
    with Server(act) as server:
        client = connect(server.url, token="token", timeout=(5, TIMEOUT), max_attempts=1)
        error = failure(client, "create")
        check_lost(error, "create", "timeout", attempts=1)
        assert TIMEOUT <= error.elapsed < 5
        assert client.with_options(timeout=9).create()
    assert server.operations() == ["create", "create"]


@pytest.mark.slow
def test_headers_and_body_share_one_timeout(connect: Connect) -> None:
    timeout = 2

    def act(peer: Peer, request: Request) -> None:
        peer.drip(HEAD[:25], every=0.06)
        peer.send(HEAD[25:] + b"Content-Length: 9\r\n\r\n")
        peer.hold()

    with Server(act) as server:
        error = failure(connect(server.url, token="token", timeout=timeout, max_attempts=1), "get")
        assert timeout <= error.elapsed < 1.5 * timeout


def test_the_deadline_holds_while_bytes_drip(connect: Connect) -> None:
    deadline = 0.3
    with Server(*[LATE["a body one byte at a time"]] * 3) as server:
        error = failure(connect(server.url, token="token", timeout=30, deadline=deadline), "get")
        check_lost(error, "get", "timeout", attempts=1)
        assert deadline <= error.elapsed < 5
    assert server.operations() == ["get"]
