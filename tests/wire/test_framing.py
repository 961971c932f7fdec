"""Where an answer begins and ends: nothing else is taken for one, and nothing is left behind for the next call."""

from __future__ import annotations

import pytest
import trustme
import urllib3

from api_keys_client import ApiConnectionError, ApiKeysClient
from tests.support.certificates import presenting, trusting
from tests.support.clients import Connect
from tests.support.failing import failure
from tests.support.wire import GOOD, KEY_ID, Peer, Server, say, too_much

RECORD = GOOD["get"]
PLAIN = f"HTTP/1.1 200 OK\r\nContent-Length: {len(RECORD)}\r\n\r\n".encode()


@pytest.mark.parametrize("length", [100, 8_192, 12_000], ids=["short", "as the buffer", "longer"])
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
    return headed("Transfer-Encoding: chunked") + f"{size}\r\n".encode() + RECORD + b"\r\n0\r\n\r\n"


LENGTH = len(RECORD)
AMBIGUOUS: dict[str, bytes] = {
    **{
        f"status {status!r}": PLAIN.replace(b"200", status.encode()) + RECORD
        for status in ("+200", "0200", "2_00", "20", "2000", "200x", "-200", "\u0662\u0660\u0660")
    },
    "no version": PLAIN.replace(b"HTTP/1.1 ", b"") + RECORD,
    **{
        f"length {length!r}": headed(f"Content-Length: {length}") + RECORD
        for length in (
            f"+{LENGTH}",
            f"-{LENGTH}",
            f"{LENGTH // 10}_{LENGTH % 10}",
            f"0x{LENGTH:x}",
            f"{LENGTH}, 5",
            "x",
        )
    },
    "two lengths": headed(f"Content-Length: {LENGTH}", "Content-Length: 5") + RECORD,
    **{f"chunk {size!r}": chunked(size) for size in (f"+{LENGTH:x}", f"0x{LENGTH:x}", f"{LENGTH:x}_", "-1", "", " 5")},
}


@pytest.mark.parametrize("said", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_answer_whose_frame_is_ambiguous_is_none(connect: Connect, said: bytes) -> None:
    with Server(say(said, then=Peer.hold)) as server:
        client = connect(server.url, token="token", max_attempts=1, timeout=5)
        error = failure(client, "get")
        assert type(error) is ApiConnectionError
        client.get(KEY_ID)
        assert server.connections == 2


@pytest.mark.parametrize("length", [f"+{LENGTH}", f"{LENGTH}, 5"])
def test_the_generated_client_takes_none_either(length: str) -> None:
    said = headed(f"Content-Length: {length}") + RECORD
    with Server(say(said, then=None)) as server, ApiKeysClient(server.url, token="token") as client:
        with pytest.raises(urllib3.exceptions.HTTPError):
            client.generated.get_api_key_auth_api_keys_api_key_id_get(KEY_ID)
        client.get(KEY_ID)
        assert server.connections == 2
