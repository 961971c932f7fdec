"""Through a proxy: who goes through it, what it is told, and how it can fail; and over TLS through a real one.

The target's name leads nowhere but at the real proxy, so that a call that went past the proxy fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme

from api_keys_client import ApiKeysClient, Outcome, UnexpectedResponseError
from api_keys_client.errors import FailureKind
from tests.support.certificates import presenting, trusting
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, check_lost, check_not_sent, failure, unresolved_at_once
from tests.support.wire import Act, Peer, Server, answer, say, too_much

HOST = "engine.invalid"
AUTH = "us%20er:p%40ss%3Aw%25rd%2F%C3%BC"


@pytest.fixture(autouse=True)
def _names_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unresolved_at_once(monkeypatch)


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
    proxy = f"http://{AUTH}@127.0.0.1:{raw.port}"
    return connect(f"{scheme}://{HOST}", token="a-token", allow_http=True, proxy=proxy, **options)


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


def test_through_a_tunnel_each_is_told_only_what_is_its_own(connect: Connect, authority: trustme.CA) -> None:
    with Server(tunnel=presenting(authority, HOST)) as raw:
        client = through(raw, connect, "https", ssl_context=trusting(authority))
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
    # On a slow machine the time may be up before the request is there.
    assert raw.operations() == ["CONNECT"] or kind == "timeout"


def dripping_record(peer: Peer, _: object) -> None:
    """The beginning of a handshake, in one record that takes hours."""
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    peer.sock.recv(16_384)
    peer.drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + b"\0" * 16_000, every=0.05)


def test_a_record_of_tls_inside_tls_that_drips_ends_in_time(authority: trustme.CA) -> None:
    """The sync client's: asyncio reads records as they come."""
    with Server(dripping_record, tls=presenting(authority)) as raw:
        options: dict[str, Any] = {"proxy": raw.url, "ssl_context": trusting(authority), "timeout": 0.3}
        with ApiKeysClient(f"https://{HOST}", token="token", max_attempts=1, **options) as client:
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
def test_a_proxy_that_breaks_after_the_request(connect: Connect, scheme: str, authority: trustme.CA) -> None:
    with Server(*[say(then=Peer.reset)] * 2, tunnel=presenting(authority, HOST)) as raw:
        client = through(raw, connect, scheme, ssl_context=trusting(authority), max_attempts=1)
        for operation in ("create", "get"):
            check_lost(failure(client, operation), operation, "reset", attempts=1)
        assert [name for name in raw.operations() if name != "CONNECT"] == ["create", "get"]


def test_a_certificate_that_does_not_verify_behind_a_tunnel(connect: Connect, authority: trustme.CA) -> None:
    with Server(tunnel=presenting(authority, HOST)) as raw:
        check_not_sent(failure(through(raw, connect, "https"), "create"), "create", "tls_untrusted", attempts=1)
    assert raw.operations() == ["CONNECT"]


@pytest.fixture(scope="module")
def secure_proxy(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[str]:
    """The URL of proxy.py over TLS in a process of its own, which asks for the password."""
    folder = tmp_path_factory.mktemp("proxy")
    port, log, certificate = folder / "port", folder / "log", folder / "both.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    command = [sys.executable, "-m", "proxy", "--threaded", "--num-acceptors=1", "--num-workers=1", "--port=0"]
    command += [f"--port-file={port}", f"--data-dir={folder}", f"--log-file={log}", "--basic-auth=us er:p@ss:w%rd/ü"]
    command += [
        f"--cert-file={certificate}",
        f"--key-file={certificate}",
        "--plugins=tests.support.everywhere.Everywhere",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUTF8": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        began = monotonic()
        while not (port.is_file() and port.read_text()):
            assert process.poll() is None, log.read_text()
            assert monotonic() - began < 20
            threading.Event().wait(0.01)
        yield f"https://{AUTH}@localhost:{int(port.read_text())}"
    finally:
        process.terminate()
        process.wait()


def through_tls(server: Server, connect: Connect, authority: trustme.CA, proxy: str) -> ApiKeysClient:
    url = server.url.replace("127.0.0.1", HOST)
    return connect(url, token="token", ssl_context=trusting(authority), allow_http=True, proxy=proxy)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_calls_go_through_a_real_proxy(connect: Connect, authority: trustme.CA, secure_proxy: str, scheme: str) -> None:
    with Server(tls=presenting(authority, HOST) if scheme == "https" else None) as server:
        client = through_tls(server, connect, authority, secure_proxy)
        for operation in OPERATIONS:
            assert OPERATIONS[operation](client)
        assert server.operations() == [*OPERATIONS]


@pytest.mark.parametrize("length", [1_200, 8_192, 9_900])
def test_an_answer_that_comes_before_its_request_is_not_taken_out_of_tls_inside_tls(
    connect: Connect, authority: trustme.CA, secure_proxy: str, length: int
) -> None:
    with Server(say(too_much(length), then=None), tls=presenting(authority, HOST)) as server:
        client = through_tls(server, connect, authority, secure_proxy)
        assert client.list() == []
        assert client.create("ci").key
        assert server.operations() == ["list", "create"]
        assert server.connections == 2


def test_a_proxy_that_asks_for_other_credentials_refuses_plain_http(connect: Connect) -> None:
    with Server(answer(407)) as raw:
        error = failure(through(raw, connect, "http"), "create")
    assert type(error) is UnexpectedResponseError
    assert (error.status, error.outcome) == (407, Outcome.REJECTED)
