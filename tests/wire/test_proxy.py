"""Through a raw proxy: who goes through it, what it is told, and how it can fail.

The target's name leads nowhere, so that a call that went past the proxy fails.
"""

from __future__ import annotations

import logging
import ssl
import traceback
from collections.abc import Iterator

import pytest
import trustme

from api_keys_client import ApiConnectionError, ApiKeysClient, ApiKeysError, ApiTimeoutError
from tests.support import certificates
from tests.support.clients import Connect
from tests.support.failing import OPERATIONS, check_lost, check_not_sent, each_operation, failure, unresolved_at_once
from tests.support.wire import GOOD, Act, Peer, Server, answer, message, say

HOST = "engine.invalid"
AUTH = "us%20er:p%40ss%3Aw%25rd%2F%C3%BC"
SHOWN = ("p@ss", "p%40ss", "cDpAc3M", "dXMgZXI6cEBzczp3JXJkL8O8", "OnBAc3M6dyVyZC/DvA")
"""What of the password may not be seen anywhere, in clear or in base64."""

each_scheme = pytest.mark.parametrize("scheme", ["http", "https"])


@pytest.fixture(autouse=True)
def _names_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unresolved_at_once(monkeypatch)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def presenting(authority: trustme.CA) -> ssl.SSLContext:
    return certificates.presenting(authority, HOST)


@pytest.fixture(scope="module")
def local(authority: trustme.CA) -> ssl.SSLContext:
    return certificates.presenting(authority)


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    return certificates.trusting(authority)


@pytest.mark.parametrize("exempt", [HOST, ".invalid", "invalid", "*", f"example.com, {HOST}"])
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@each_scheme
def test_no_proxy_exempts_a_host(
    connect: Connect, scheme: str, name: str, exempt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as raw:
        monkeypatch.setenv(f"{scheme}_proxy", raw.url)
        monkeypatch.setenv(name, exempt)
        client = connect(f"{scheme}://{HOST}:1", token="token", allow_http=True, max_attempts=1)
        assert "name cannot be resolved" in str(failure(client, "list"))
        assert raw.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@each_operation
def test_loopback_never_goes_through_a_proxy(
    connect: Connect, operation: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as raw, Server() as target:
        url = f"http://{host}:{target.port}"
        OPERATIONS[operation](connect(url, token="token", proxy=raw.url))
        for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, raw.url)
        OPERATIONS[operation](connect(url, token="token"))
        assert target.operations() == [operation] * 2
        assert raw.connections == 0


def through(raw: Server, connect: Connect, scheme: str, **options: object) -> ApiKeysClient:
    return connect(
        f"{scheme}://{HOST}", token="a-token", allow_http=True, proxy=f"http://{AUTH}@127.0.0.1:{raw.port}", **options
    )


@each_operation
def test_a_forward_proxy_is_told_the_whole_url(connect: Connect, operation: str) -> None:
    with Server() as raw:
        client = through(raw, connect, "http")
        for _ in range(2):
            OPERATIONS[operation](client)
        assert raw.connections == 1
    for request in raw.requests:
        assert request.target.startswith(f"http://{HOST}/auth/api_keys/")
        assert request.headers["host"] == HOST
        assert request.headers["authorization"] == "Bearer a-token"
        assert request.headers["proxy-authorization"] == "Basic dXMgZXI6cEBzczp3JXJkL8O8"


@each_operation
def test_through_a_tunnel_each_is_told_only_what_is_its_own(
    connect: Connect, operation: str, presenting: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with Server(tunnel=presenting) as raw:
        client = through(raw, connect, "https", ssl_context=trusting)
        for _ in range(2):
            OPERATIONS[operation](client)
        assert raw.connections == 1
    tunnel, *requests = raw.requests
    assert (tunnel.method, tunnel.target) == ("CONNECT", f"{HOST}:443")
    assert tunnel.headers["proxy-authorization"] == "Basic dXMgZXI6cEBzczp3JXJkL8O8"
    assert "authorization" not in tunnel.headers
    assert [request.operation for request in requests] == [operation] * 2
    for request in requests:
        assert request.target.startswith("/auth/api_keys/")
        assert "proxy-authorization" not in request.headers


@pytest.mark.parametrize("status", [403, 407, 502])
@each_operation
def test_a_tunnel_that_is_refused(connect: Connect, operation: str, status: int) -> None:
    with Server(answer(status, b"<html>No</html>")) as raw:
        error = failure(through(raw, connect, "https", max_attempts=1), operation)
    check_not_sent(error, operation, ApiConnectionError, attempts=1)
    assert error.retryable
    assert f"the proxy refused the connection with {status}" in str(error)
    assert [request.method for request in raw.requests] == ["CONNECT"]


def reset_in_the_handshake(peer: Peer, _: object) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    peer.wait_for_a_byte()
    peer.reset()


BROKEN: dict[str, Act] = {
    "reset": say(then=Peer.reset),
    "closed": say(),
    "closed inside the headers": say(b"HTTP/1.1 200 OK\r\nX:"),
    "not HTTP": say(b"SSH-2.0-server\r\n"),
    "reset in the handshake": reset_in_the_handshake,
    "no TLS behind it": say(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n"),
}


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN)
@each_operation
def test_a_tunnel_that_breaks(connect: Connect, operation: str, act: Act) -> None:
    with Server(act) as raw:
        error = failure(through(raw, connect, "https", max_attempts=1), operation)
    check_not_sent(error, operation, ApiConnectionError, attempts=1)
    assert [request.method for request in raw.requests] == ["CONNECT"]


def dripping_tunnel(peer: Peer, _: object) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\n")
    peer.drip(b"X" * 900)


@pytest.mark.parametrize(
    "act", [say(then=Peer.hold), dripping_tunnel, say(b"HTTP/1.1 200 OK\r\n\r\n", then=Peer.hold)],
    ids=["silent", "one byte at a time", "silent in the handshake"],
)  # fmt: skip
@pytest.mark.parametrize("operation", ["create", "get"])
def test_a_tunnel_that_is_late_ends_at_the_connect_timeout(connect: Connect, operation: str, act: Act) -> None:
    with Server(act) as raw:
        error = failure(through(raw, connect, "https", timeout=(0.1, 9), max_attempts=1), operation)
    check_not_sent(error, operation, ApiTimeoutError, attempts=1)
    assert 0.1 <= error.elapsed < 5


def dripping_record(peer: Peer, _: object) -> None:
    """The beginning of a handshake, in one record that takes hours."""
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    peer.sock.recv(16_384)
    peer.drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + b"\0" * 16_000, every=0.05)


@pytest.mark.parametrize("operation", ["create", "get"])
def test_a_record_of_tls_inside_tls_that_drips_ends_in_time(
    operation: str, trusting: ssl.SSLContext, local: ssl.SSLContext
) -> None:
    """The sync client's: asyncio reads records as they come."""
    with Server(dripping_record, tls=local) as raw:
        proxy = raw.url.replace("127.0.0.1", "localhost")
        with ApiKeysClient(
            f"https://{HOST}", token="token", proxy=proxy, ssl_context=trusting, timeout=0.3, max_attempts=1
        ) as client:
            error = failure(client, operation)
    check_not_sent(error, operation, ApiTimeoutError, attempts=1)
    assert error.elapsed < 9


@each_scheme
@each_operation
def test_a_proxy_that_is_not_there(connect: Connect, operation: str, scheme: str) -> None:
    with Server() as raw:
        port = raw.port
    for url in (f"http://{AUTH}@127.0.0.1:{port}", f"http://{AUTH}@proxy.invalid:3128"):
        client = connect(f"{scheme}://{HOST}", token="token", allow_http=True, proxy=url, max_attempts=1)
        check_not_sent(failure(client, operation), operation, ApiConnectionError, attempts=1)


@pytest.mark.parametrize("then", [Peer.reset, Peer.close])
@each_operation
def test_a_forward_proxy_that_breaks_after_the_request(connect: Connect, operation: str, then: object) -> None:
    with Server(say(then=then)) as raw:  # type: ignore[arg-type]  # a method of Peer's
        error = failure(through(raw, connect, "http", max_attempts=1), operation)
        check_lost(error, operation, ApiConnectionError, attempts=1)
        assert raw.operations() == [operation]


@each_operation
def test_a_reset_inside_a_tunnel_after_the_request(
    connect: Connect, operation: str, presenting: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    with Server(say(then=Peer.reset), tunnel=presenting) as raw:
        client = through(raw, connect, "https", ssl_context=trusting, max_attempts=1)
        check_lost(failure(client, operation), operation, ApiConnectionError, attempts=1)
        assert raw.operations() == ["CONNECT", operation]


@each_operation
def test_a_certificate_that_does_not_verify_behind_a_tunnel(
    connect: Connect, operation: str, presenting: ssl.SSLContext
) -> None:
    with Server(tunnel=presenting) as raw:
        error = failure(through(raw, connect, "https"), operation)
    check_not_sent(error, operation, ApiConnectionError, attempts=1)
    assert "certificate does not verify" in str(error)
    assert raw.operations() == ["CONNECT"]


LEAKY: dict[str, tuple[str, Act]] = {
    "refused tunnel": ("https", answer(407, AUTH.encode())),
    "broken tunnel": ("https", say(then=Peer.reset)),
    "refused request": ("http", answer(407, b'{"detail": "no"}')),
    "broken request": ("http", say(then=Peer.reset)),
    "good": ("http", say(message(200, GOOD["list"]))),
}


@pytest.mark.parametrize(("scheme", "act"), LEAKY.values(), ids=LEAKY)
def test_the_password_shows_nowhere(connect: Connect, scheme: str, act: Act, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Server(act) as raw:
        client = through(raw, connect, scheme, max_attempts=1)
        shown = [repr(client), repr(vars(client))]
        try:
            client.list()
        except ApiKeysError as error:
            shown.extend(everything(error))
    for record in caplog.records:
        shown.extend([record.getMessage(), repr(vars(record))])
    for text in shown:
        for part in SHOWN:
            assert part not in text


def everything(error: BaseException | None) -> Iterator[str]:
    """All that the error and those behind it tell, with the locals of the frames that are the package's."""
    while error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        yield from (str(error), repr(error), repr(vars(error)), *told.format_exception_only())
        yield from (str(frame.locals) for frame in told.stack if "/api_keys_client/" in frame.filename)
        error = error.__cause__ or error.__context__
