"""TLS against a real server: what doesn't verify is said clearly, once, and before anything is sent."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from pytest_httpserver import HTTPServer

from api_keys_client import ApiConnectionError, ApiKeysError, ApiTimeoutError, Outcome, OutcomeUnknownError
from api_keys_client.sandbox import Sandbox
from tests.support.certificates import HERE, presenting, trusting
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, changed, check_lost, check_not_sent, each_operation, failure
from tests.support.wire import GOOD, Act, Peer, Request, Server, message


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_key_lives_its_life_over_tls(connect: Connect, engine: Sandbox, authority: trustme.CA) -> None:
    with HTTPServer(ssl_context=presenting(authority)) as server:
        server.expect_request(re.compile("/")).respond_with_handler(engine.respond)
        for host in HERE:
            url = f"https://{host}:{server.port}"
            client = connect(url, token=engine.token, ssl_context=trusting(authority))
            created = client.create("ci")
            assert [record.id for record in client.list()] == [created.id]
            assert client.get(created.id).is_active
            assert not client.deactivate(created.id).is_active


@each_operation
def test_connections_are_kept(connect: Connect, operation: str, authority: trustme.CA) -> None:
    with Server(tls=presenting(authority, clients_of=authority)) as server:
        client = connect(server.url, token="token", ssl_context=trusting(authority, client_of=authority))
        for _ in range(3):
            OPERATIONS[operation](client)
        assert server.connections == 1
        assert server.failed_handshakes == []


def check_distrusted(error: ApiKeysError, operation: str, server: Server, words: str) -> None:
    """That one handshake was tried, and ended before the request."""
    check_not_sent(error, operation, ApiConnectionError, attempts=1)
    assert "certificate does not verify" in str(error)
    assert words in str(error)
    assert "ssl_context" in error.next_step
    assert not error.retryable
    assert server.connections == 1
    assert len(server.failed_handshakes) == 1
    assert server.requests == []


@each_operation
def test_an_unknown_authority(connect: Connect, operation: str, authority: trustme.CA) -> None:
    for context in (None, trusting(trustme.CA())):
        with Server(tls=presenting(authority)) as server:
            error = failure(connect(server.url, token="token", ssl_context=context), operation)
        check_distrusted(error, operation, server, "unable to get local issuer certificate")


@each_operation
def test_a_wrong_host_name(connect: Connect, operation: str, authority: trustme.CA) -> None:
    with Server(tls=presenting(authority, "engine.example.com")) as server:
        error = failure(connect(server.url, token="token", ssl_context=trusting(authority)), operation)
    check_distrusted(error, operation, server, "IP address mismatch")
    with Server(tls=presenting(authority, "engine.example.com", "127.0.0.1")) as server:
        url = f"https://localhost:{server.port}"
        error = failure(connect(url, token="token", ssl_context=trusting(authority)), operation)
    check_distrusted(error, operation, server, "Hostname mismatch")


@each_operation
def test_an_expired_certificate(connect: Connect, operation: str, authority: trustme.CA) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with Server(tls=presenting(authority, not_after=yesterday)) as server:
        error = failure(connect(server.url, token="token", ssl_context=trusting(authority)), operation)
    check_distrusted(error, operation, server, "certificate has expired")


@pytest.mark.parametrize("presented", ["nothing", "another authority's"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@each_operation
def test_a_client_certificate_that_the_server_does_not_take(
    connect: Connect, operation: str, authority: trustme.CA, presented: str, version: ssl.TLSVersion
) -> None:
    context = presenting(authority, clients_of=authority)
    context.maximum_version = version
    ours = trusting(authority, client_of=None if presented == "nothing" else trustme.CA())
    with Server(tls=context) as server:
        error = failure(connect(server.url, token="token", ssl_context=ours), operation)
    # With TLS 1.3 the server's word comes when the request is on its way already.
    sent = version is ssl.TLSVersion.TLSv1_3
    assert type(error) is (OutcomeUnknownError if sent and operation == "create" else ApiConnectionError)
    assert error.outcome is changed(operation, Outcome.UNKNOWN if sent else Outcome.NOT_SENT)
    assert "TLS failed" in str(error)
    assert "alert" in str(error)
    assert "ssl_context" in error.next_step or operation == "create"
    assert error.attempts == 1
    assert not error.retryable
    assert server.connections == 1
    assert len(server.failed_handshakes) == 1
    assert server.requests == []


@each_operation
def test_https_to_a_server_that_speaks_http(connect: Connect, operation: str) -> None:
    with Server() as server:
        url = server.url.replace("http:", "https:")
        error = failure(connect(url, token="token", max_attempts=1), operation)
    check_not_sent(error, operation, ApiConnectionError, attempts=1)
    assert server.requests == []


@each_operation
def test_http_to_a_server_that_speaks_https(connect: Connect, operation: str, authority: trustme.CA) -> None:
    with Server(tls=presenting(authority)) as server:
        url = server.url.replace("https:", "http:")
        error = failure(connect(url, token="token", max_attempts=1), operation)
    check_lost(error, operation, ApiConnectionError, attempts=1)
    assert len(server.failed_handshakes) == 1
    assert server.requests == []


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a listener that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@each_operation
def test_a_handshake_that_hangs_ends_at_the_connect_timeout(connect: Connect, operation: str, silent: int) -> None:
    client = connect(f"https://127.0.0.1:{silent}", token="token", timeout=(0.1, 9), max_attempts=1)
    error = failure(client, operation)
    check_not_sent(error, operation, ApiTimeoutError, attempts=1)
    assert error.retryable
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


@pytest.mark.parametrize("act", [spoil, half_an_answer])
@each_operation
def test_tls_that_fails_after_the_request(connect: Connect, operation: str, act: Act, authority: trustme.CA) -> None:
    with Server(act, tls=presenting(authority)) as server:
        client = connect(server.url, token="token", ssl_context=trusting(authority), max_attempts=1)
        check_lost(failure(client, operation), operation, ApiConnectionError, attempts=1)
        assert server.operations() == [operation]
        OPERATIONS[operation](client)
        assert server.connections == 2
