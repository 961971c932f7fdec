"""Through a raw proxy: who goes through it, what it is told, and how it can fail.

The target's name leads nowhere, so that a call that went past the proxy fails.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from api_keys_client import ApiKeysClient
from api_keys_client.errors import FailureKind
from tests.support import certificates
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, check_lost, check_not_sent, failure
from tests.support.wire import Act, Peer, Server, answer, say

HOST = "engine.invalid"
AUTH = "us%20er:p%40ss%3Aw%25rd%2F%C3%BC"

pytestmark = pytest.mark.usefixtures("_names_of_nothing")


@pytest.fixture(scope="session")
def presenting(authority: trustme.CA) -> ssl.SSLContext:
    return certificates.presenting(authority, HOST)


@pytest.fixture(scope="session")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    return certificates.trusting(authority)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_exempts_a_host(connect: Connect, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as raw:
        monkeypatch.setenv(name, f"example.com, {HOST}")
        for scheme in ("http", "https"):
            monkeypatch.setenv(f"{scheme}_proxy", raw.url)
            client = connect(f"{scheme}://{HOST}:1", token="token", allow_http=True, max_attempts=1)
            check_not_sent(failure(client, "create"), "create", "dns", attempts=1)
        assert raw.connections == 0


def test_loopback_never_goes_through_a_proxy(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as raw, Server() as target:
        for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, raw.url)
        for host in ("127.0.0.1", "localhost"):
            for options in ({"proxy": raw.url}, {}):
                assert connect(f"http://{host}:{target.port}", token="token", **options).create()
        assert target.operations() == ["create"] * 4
        assert raw.connections == 0


def through(raw: Server, connect: Connect, scheme: str, **options: object) -> ApiKeysClient:
    return connect(
        f"{scheme}://{HOST}", token="a-token", allow_http=True, proxy=f"http://{AUTH}@127.0.0.1:{raw.port}", **options
    )


def test_a_forward_proxy_is_told_the_whole_url(connect: Connect) -> None:
    with Server() as raw:
        client = through(raw, connect, "http")
        for operation in OPERATIONS:
            OPERATIONS[operation](client)
        assert raw.connections == 1
    for request in raw.requests:
        assert request.target.startswith(f"http://{HOST}/auth/api_keys/")
        assert request.headers["host"] == HOST
        assert request.headers["authorization"] == "Bearer a-token"
        assert request.headers["proxy-authorization"] == "Basic dXMgZXI6cEBzczp3JXJkL8O8"


def test_through_a_tunnel_each_is_told_only_what_is_its_own(
    connect: Connect, presenting: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with Server(tunnel=presenting) as raw:
        client = through(raw, connect, "https", ssl_context=trusting)
        for operation in OPERATIONS:
            OPERATIONS[operation](client)
        assert raw.connections == 1
    tunnel, *requests = raw.requests
    assert (tunnel.method, tunnel.target) == ("CONNECT", f"{HOST}:443")
    assert tunnel.headers["proxy-authorization"] == "Basic dXMgZXI6cEBzczp3JXJkL8O8"
    assert "authorization" not in tunnel.headers
    assert [request.operation for request in requests] == [*OPERATIONS]
    for request in requests:
        assert request.target.startswith("/auth/api_keys/")
        assert "proxy-authorization" not in request.headers


def in_the_handshake(then: Callable[[Peer], object]) -> Act:
    def act(peer: Peer, _: object) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        peer.wait_for_a_byte()
        then(peer)

    return act


def speak_http(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    peer.hold()


def dripping_tunnel(peer: Peer, _: object) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\n")
    peer.drip(b"X" * 900)


NO_TUNNEL: dict[str, tuple[FailureKind, Act]] = {
    "refused with 403": ("proxy", answer(403, b"<html>No</html>")),
    "refused with 407": ("proxy", answer(407, b"<html>No</html>")),
    "reset": ("reset", say(then=Peer.reset)),
    "closed": ("reset", say()),
    "closed inside the headers": ("reset", say(b"HTTP/1.1 200 OK\r\nX:")),
    "not HTTP": ("protocol", say(b"SSH-2.0-server\r\n")),
    "reset in the handshake": ("reset", in_the_handshake(Peer.reset)),
    "no TLS behind it": ("not_tls", in_the_handshake(speak_http)),
    "silent": ("timeout", say(then=Peer.hold)),
    "one byte at a time": ("timeout", dripping_tunnel),
    "silent in the handshake": ("timeout", in_the_handshake(Peer.hold)),
}


@pytest.mark.parametrize(("kind", "act"), NO_TUNNEL.values(), ids=NO_TUNNEL)
def test_a_tunnel_that_does_not_come_about(connect: Connect, kind: FailureKind, act: Act) -> None:
    with Server(act) as raw:
        connect_timeout = 0.1 if kind == "timeout" else 5
        error = failure(through(raw, connect, "https", timeout=(connect_timeout, 9), max_attempts=1), "create")
    check_not_sent(error, "create", kind, attempts=1)
    assert error.elapsed < 5
    if kind == "proxy":
        assert "the proxy refused the connection with 40" in str(error)
    assert raw.operations() == ["CONNECT"]


def dripping_record(peer: Peer, _: object) -> None:
    """The beginning of a handshake, in one record that takes hours."""
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    peer.sock.recv(16_384)
    peer.drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + b"\0" * 16_000, every=0.05)


def test_a_record_of_tls_inside_tls_that_drips_ends_in_time(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    """The sync client's: asyncio reads records as they come."""
    with Server(dripping_record, tls=certificates.presenting(authority)) as raw:
        options: dict[str, Any] = {"proxy": raw.url, "ssl_context": trusting, "timeout": 0.3, "max_attempts": 1}
        with ApiKeysClient(f"https://{HOST}", token="token", **options) as client:
            error = failure(client, "create")
    check_not_sent(error, "create", "timeout", attempts=1)
    assert error.elapsed < 9


def test_a_proxy_that_is_not_there(connect: Connect) -> None:
    with Server() as raw:
        places: dict[str, FailureKind] = {f"127.0.0.1:{raw.port}": "refused", "proxy.invalid:3128": "dns"}
    for scheme in ("http", "https"):
        for place, kind in places.items():
            proxy = f"http://{AUTH}@{place}"
            client = connect(f"{scheme}://{HOST}", token="token", allow_http=True, proxy=proxy, max_attempts=1)
            check_not_sent(failure(client, "create"), "create", kind, attempts=1)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_breaks_after_the_request(
    connect: Connect, scheme: str, presenting: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with Server(*[say(then=Peer.reset)] * 2, tunnel=presenting) as raw:
        client = through(raw, connect, scheme, ssl_context=trusting, max_attempts=1)
        for operation in ("create", "get"):
            check_lost(failure(client, operation), operation, "reset", attempts=1)
        assert [name for name in raw.operations() if name != "CONNECT"] == ["create", "get"]


def test_a_certificate_that_does_not_verify_behind_a_tunnel(connect: Connect, presenting: ssl.SSLContext) -> None:
    with Server(tunnel=presenting) as raw:
        check_not_sent(failure(through(raw, connect, "https"), "create"), "create", "tls_untrusted", attempts=1)
    assert raw.operations() == ["CONNECT"]
