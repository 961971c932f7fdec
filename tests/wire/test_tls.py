"""TLS against a real server: what doesn't verify is said clearly, once, and before anything is sent."""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from api_keys_client import ApiConnectionError, ApiKeysClient, ConfigurationError, Outcome
from api_keys_client.errors import FailureKind
from api_keys_client.sandbox import Sandbox
from tests.support.certificates import HERE, presenting, trusting
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, check_lost, check_not_sent, failure
from tests.support.wire import GOOD, Act, Peer, Request, Server, message, say


def test_connections_are_kept(connect: Connect, authority: trustme.CA) -> None:
    with Server(tls=presenting(authority, clients_of=authority)) as server:
        for number, host in enumerate(HERE, 1):
            ours = trusting(authority, client_of=authority)
            client = connect(f"https://{host}:{server.port}", token="token", ssl_context=ours)
            for operation in OPERATIONS:
                OPERATIONS[operation](client)
            assert server.connections == number
        assert server.failed_handshakes == []


def test_a_file_says_whom_to_trust(
    connect: Connect, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(place))
    with Server(tls=presenting(authority)) as server:
        for path in (place, str(place)):
            assert connect(server.url, token="token", ca_file=path).list()
        monkeypatch.setenv("SSL_CERT_FILE", str(place))
        assert connect(server.url, token="token").list()


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_that_cannot_be_used_says_so(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    place = tmp_path / "file"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(ConfigurationError, match="ca_file="):
        connect("https://localhost", token="token", ca_file=place)
    # Nor can keys be logged to a folder.
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path))
    with pytest.raises(ConfigurationError, match="SSLKEYLOGFILE"):
        connect("https://localhost", token="token")


YESTERDAY = datetime.now(UTC) - timedelta(days=1)
DISTRUSTED: dict[str, tuple[str, Sequence[str], datetime | None, str]] = {
    "unknown to the system": ("127.0.0.1", HERE, None, "unable to get local issuer certificate"),
    "another address": ("127.0.0.1", ["example.com"], None, "IP address mismatch"),
    "another host": ("localhost", ["example.com", "127.0.0.1"], None, "Hostname mismatch"),
    "expired": ("127.0.0.1", HERE, YESTERDAY, "certificate has expired"),
}


@pytest.mark.parametrize("name", DISTRUSTED)
def test_a_certificate_that_does_not_verify(connect: Connect, name: str, authority: trustme.CA) -> None:
    host, hosts, not_after, words = DISTRUSTED[name]
    ours = None if name == "unknown to the system" else trusting(authority)
    with Server(tls=presenting(authority, *hosts, not_after=not_after)) as server:
        error = failure(connect(f"https://{host}:{server.port}", token="token", ssl_context=ours), "create")
    check_not_sent(error, "create", "tls_untrusted", attempts=1)
    assert f"certificate does not verify: {words}" in str(error)
    assert server.connections == len(server.failed_handshakes) == 1
    assert server.requests == []


@pytest.mark.parametrize(
    ("version", "presented"),
    [(ssl.TLSVersion.TLSv1_2, None), (ssl.TLSVersion.TLSv1_3, None), (ssl.TLSVersion.TLSv1_3, trustme.CA())],
    ids=["1.2", "1.3", "another authority's"],
)
def test_a_client_certificate_that_the_server_does_not_take(
    connect: Connect, authority: trustme.CA, presented: trustme.CA | None, version: ssl.TLSVersion
) -> None:
    context = presenting(authority, clients_of=authority)
    context.maximum_version = version
    with Server(tls=context) as server:
        ours = trusting(authority, client_of=presented)
        error = failure(connect(server.url, token="token", ssl_context=ours), "deactivate")
    assert isinstance(error, ApiConnectionError)
    assert error.kind == "tls_refused"
    # With TLS 1.3 the server's word comes when the request is on its way already.
    assert error.outcome is (Outcome.UNKNOWN if version is ssl.TLSVersion.TLSv1_3 else Outcome.NOT_SENT)
    assert re.search("TLS failed: .*alert", str(error))
    assert error.attempts == server.connections == len(server.failed_handshakes) == 1
    assert not error.retryable
    assert server.requests == []


def test_a_refused_client_certificate_is_named_although_nothing_can_be_sent(authority: trustme.CA) -> None:
    """With TLS 1.3 the refusal comes after the handshake. The sync client's: asyncio reads before it writes."""
    gone = threading.Event()

    class Slow(ssl.SSLContext):
        def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
            secured = super().wrap_socket(*arguments, **options)
            assert gone.wait(5)
            return secured

    def refuse() -> None:
        sock, _ = listener.accept()
        with pytest.raises(ssl.SSLError):
            presenting(authority, clients_of=authority).wrap_socket(sock, server_side=True)
        sock.close()
        gone.set()

    context = Slow(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with ApiKeysClient(url, token="token", ssl_context=context, max_attempts=1) as client:
            assert "certificate required" in str(failure(client, "get"))
        thread.join()


def test_https_to_a_server_that_speaks_http(connect: Connect) -> None:
    # The sandbox answers what is no request, which the raw server leaves unanswered.
    with Sandbox() as sandbox:
        url = sandbox.url.replace("http:", "https:")
        error = failure(connect(url, token="token", max_attempts=1), "create")
        check_not_sent(error, "create", "not_tls", attempts=1)
        assert sandbox.requests == []


def test_http_to_a_server_that_speaks_https(connect: Connect, authority: trustme.CA) -> None:
    with Server(tls=presenting(authority)) as server:
        url = server.url.replace("https:", "http:")
        error = failure(connect(url, token="token", max_attempts=1), "create")
    check_lost(error, "create", "reset", attempts=1)
    assert len(server.failed_handshakes) == 1
    assert server.requests == []


def test_a_handshake_that_hangs_ends_at_the_connect_timeout(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        error = failure(connect(url, token="token", timeout=(0.1, 9), max_attempts=1), "create")
    check_not_sent(error, "create", "timeout", attempts=1)
    assert 0.1 <= error.elapsed < 5


def spoil(peer: Peer, _: Request) -> None:
    """Bytes under TLS that are none of its records."""
    with socket.socket(fileno=os.dup(peer.sock.fileno())) as plain:
        plain.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        plain.shutdown(socket.SHUT_WR)
    peer.hold()


def half_an_answer(peer: Peer, request: Request) -> None:
    """An end without TLS's goodbye."""
    peer.send(message(200, GOOD[request.operation])[:-1])
    peer.reset()


@pytest.mark.parametrize(("act", "kind"), [(spoil, "tls"), (half_an_answer, "reset"), (say(), "reset")])
def test_tls_that_fails_after_the_request(connect: Connect, act: Act, kind: FailureKind, authority: trustme.CA) -> None:
    with Server(act, act, tls=presenting(authority)) as server:
        client = connect(server.url, token="token", ssl_context=trusting(authority), max_attempts=1)
        for operation in ("create", "get"):
            check_lost(failure(client, operation), operation, kind, attempts=1)
        assert client.list()
        assert server.operations() == ["create", "get", "list"]
        assert server.connections == 3
