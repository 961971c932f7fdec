"""Answers that are not what was asked for: wrong, endless, with no clear end; and those that refuse, or move.

Nothing else is taken for an answer, and nothing of one is left behind for the next call.
"""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from time import monotonic

import pytest
import trustme
import urllib3

from api_keys_client import (
    ApiConnectionError,
    ApiKeysClient,
    ConfigurationError,
    KeyLimitReachedError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    UnexpectedResponseError,
)
from tests.support.certificates import presenting, trusting
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, create_and_another, failure, memory_bound
from tests.support.wire import (
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
    dripped,
    endless,
    good,
    message,
    say,
    too_much,
)

WRONG: dict[str, Act] = {
    "206": answer(206, b"{", "Content-Range: bytes 0-0/9"),
    "a gzip bomb": answer(200, gzip.compress(b" " * 100 * MIB, 1), "Content-Encoding: gzip"),
    "half of a gzip": answer(200, gzip.compress(GOOD["create"])[:-9], "Content-Encoding: gzip"),
    "no gzip": answer(200, GOOD["create"], "Content-Encoding: gzip"),
    "brotli": answer(200, b"\x0b\x02\x80{}\x03", "Content-Encoding: br"),
    "204": say(b"HTTP/1.1 204 No\r\n\r\n", then=None),
    "endless chunks": endless(CHUNKED % 200),
    "endless until closed": endless(UNTIL_CLOSED % 200),
}


SAYS = {
    "a gzip bomb": "more than 32 MiB when unpacked",
    "half of a gzip": "compressed, and cut off",
    "no gzip": "not compressed as it says",
    "brotli": "compressed with br, which was not asked for",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_2xx_that_does_not_decode_is_final(connect: Connect, name: str) -> None:
    with Server(*[WRONG[name]] * 2) as server:
        client = connect(server.url, token="token")
        for operation, kind in (("create", OutcomeUnknownError), ("get", UnexpectedResponseError)):
            with memory_bound((128 if "endless" in name or "bomb" in name else 4) * MIB):
                error = failure(client, operation)
            assert type(error) is kind
            assert error.status in (200, 204, 206)
            assert error.elapsed < 5
            assert SAYS.get(name, "") in str(error)
        assert client.list()
        assert server.operations() == ["create", "get", "list"]
    assert server.poured < 2 * 64 * MIB


RAW = zlib.compressobj(wbits=-15)
GZIPPED = gzip.compress(GOOD["create"])
PACKED: dict[str, tuple[str, bytes]] = {
    **{f"coding {coding!r}": (coding, GOOD["create"]) for coding in ("", "identity", "Identity, identity", "utf-8")},
    "a long header": (f"identity\r\nX-Long: {'a' * 60_000}", GOOD["create"]),
    "gzip": ("gzip", GZIPPED),
    "x-gzip": ("X-GZIP", GZIPPED),
    "deflate": ("deflate", zlib.compress(GOOD["create"])),
    "raw deflate": ("deflate", RAW.compress(GOOD["create"]) + RAW.flush()),
    "twice": ("deflate, gzip", gzip.compress(zlib.compress(GOOD["create"]))),
    "a byte-order mark": ("", b"\xef\xbb\xbf" + GOOD["create"]),
    "both": ("gzip, utf-8", gzip.compress(b"\xef\xbb\xbf" + GOOD["create"])),
}


@pytest.mark.parametrize(("coding", "body"), PACKED.values(), ids=PACKED)
def test_a_key_is_not_lost_for_how_its_answer_is_packed(connect: Connect, coding: str, body: bytes) -> None:
    with Server(answer(200, body, f"Content-Encoding: {coding}")) as server:
        assert connect(server.url, token="token").create().key


def test_a_refusal_that_is_packed_says_what_it_is(connect: Connect) -> None:
    refusal = gzip.compress(b'{"detail": "Maximum number of active keys reached"}')
    with Server(answer(400, refusal, "Content-Encoding: gzip")) as server:
        assert type(failure(connect(server.url, token="token"), "create")) is KeyLimitReachedError


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_that_has_no_body_is_not_waited_for(connect: Connect, status: str) -> None:
    said = f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with Server(say(said, then=None)) as server:
        client = connect(server.url, token="token", max_attempts=1, deadline=20)
        if status.startswith("204"):
            assert not client.deactivate(KEY_ID).is_active
        else:
            assert failure(client, "deactivate").status == 304
        assert server.connections == 1


def test_a_token_that_is_gone_leaves_open_what_became_of_the_key() -> None:
    tokens = iter(["token"])
    with Server(say()) as server, ApiKeysClient(server.url, token=lambda: next(tokens)) as client:
        error = failure(client, "deactivate")
    assert isinstance(error, ConfigurationError)
    assert "raised StopIteration" in str(error)
    assert (error.outcome, error.attempts, error.key_id) == (Outcome.UNKNOWN, 1, KEY_ID)
    assert error.elapsed > 0


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


BODY = GOOD["get"]
PLAIN = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


@pytest.mark.parametrize("length", [1_200, 8_192, 9_900], ids=["short", "as the buffer", "longer"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_that_comes_before_its_request_is_not_taken(
    connect: Connect, authority: trustme.CA, scheme: str, length: int
) -> None:
    """With TLS, both come in one record, of which the second may stay where the socket does not show it."""
    with Server(say(too_much(length), then=None), tls=presenting(authority) if scheme == "https" else None) as server:
        client = connect(server.url, token="token", ssl_context=trusting(authority))
        assert client.list() == []
        assert client.create("ci").key
        assert server.operations() == ["list", "create"]
        assert server.connections == 2


def headed(*headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "\r\n"]).encode()


def chunked(size: str) -> bytes:
    return headed("Transfer-Encoding: chunked") + f"{size}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"


LENGTH = len(BODY)
STATUSES = ("+200", "0200", "2_00", "20", "2000", "200x", "-200", "\u0662\u0660\u0660")
LENGTHS = (f"+{LENGTH}", f"-{LENGTH}", f"0_{LENGTH}", f"0x{LENGTH:x}", f"{LENGTH}, 5", "x")
CHUNK_SIZES = (f"+{LENGTH:x}", f"0x{LENGTH:x}", f"{LENGTH:x}_", f"{LENGTH - 1:x}", "-1", "", " 5", "zz")
AMBIGUOUS: dict[str, bytes] = {
    **{f"status {status!r}": PLAIN.replace(b"200", status.encode()) + BODY for status in STATUSES},
    "no version": PLAIN.replace(b"HTTP/1.1 ", b"") + BODY,
    **{f"length {length!r}": headed(f"Content-Length: {length}") + BODY for length in LENGTHS},
    "a length and chunks": headed(f"Content-Length: {LENGTH}", "Transfer-Encoding: chunked") + BODY,
    "a length behind no header": headed("X-Odd : 1", f"Content-Length: {LENGTH}") + BODY,
    "a header without a colon": headed(f"Content-Length: {LENGTH}", "X-Odd") + BODY,
    "a header without a name": headed(f"Content-Length: {LENGTH}", ": odd") + BODY,
    "a line end within a value": headed(f"X-Odd: 1\rContent-Length: {LENGTH}") + BODY,
    "a NUL in a value": headed("X-Odd: a\0b", f"Content-Length: {LENGTH}") + BODY,
    "a length and two codings": headed(f"Content-Length: {LENGTH}", "Transfer-Encoding: gzip, chunked") + BODY,
    "two lengths": headed(f"Content-Length: {LENGTH}", "Content-Length: 5") + BODY,
    **{f"chunk {size!r}": chunked(size) for size in CHUNK_SIZES},
}


@pytest.mark.parametrize("said", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_answer_whose_frame_is_ambiguous_is_none(connect: Connect, said: bytes) -> None:
    with Server(say(said, then=Peer.hold)) as server:
        client = connect(server.url, token="token", max_attempts=1, timeout=5)
        error = failure(client, "get")
        assert type(error) is ApiConnectionError
        client.get(KEY_ID)
        assert server.connections == 2


def test_a_header_may_go_on_in_another_line_but_not_for_ever() -> None:
    folded = headed("X-Long: begins", " \t goes on", "Transfer-Encoding:", " chunked") + chunked(f"{LENGTH:x}")[47:]
    many = headed(*["X-Many: 1"] * 200, f"Content-Length: {LENGTH}") + BODY
    long = headed(f"X-Long: {'x' * 70_000}", f"Content-Length: {LENGTH}") + BODY
    first = headed(f" Content-Length: {LENGTH}") + BODY
    # A search that tried each of these spaces anew would take longer than the test may.
    spaced = headed(f"X-Long: x{' ' * 60_000}y", f"Content-Length: {LENGTH}") + BODY
    broken = headed(f"X-Long:{' ' * 60_000}\rX: y", f"Content-Length: {LENGTH}") + BODY
    with Server(*(say(said, then=None) for said in (folded, spaced, many, long, first, broken))) as server:
        with ApiKeysClient(server.url, token="token", max_attempts=1) as client:
            for _ in range(2):
                assert client.get(KEY_ID).id == KEY_ID
            for _ in range(4):
                assert type(failure(client, "get")) is ApiConnectionError


def test_the_generated_client_takes_none_either() -> None:
    for length in (f"+{LENGTH}", f"{LENGTH}, 5"):
        said = headed(f"Content-Length: {length}") + BODY
        with Server(say(said, then=None)) as server, ApiKeysClient(server.url, token="token") as client:
            with pytest.raises(urllib3.exceptions.HTTPError):
                client.generated.get_api_key_auth_api_keys_api_key_id_get(KEY_ID)
            client.get(KEY_ID)
            assert server.connections == 2


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
        client = connect(server.url, token="token", timeout=(5, 1))
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
