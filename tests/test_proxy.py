"""Through a proxy: a real one, and a raw one that fails where real ones can't be made to.

The target's name can be resolved by the proxy alone, so that a call that succeeds has gone through it.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
import trustme
from conftest import Connect
from pytest_httpserver import HTTPServer
from wire import (
    GOOD,
    OPERATIONS,
    Act,
    Peer,
    Server,
    answer,
    changed,
    check_lost,
    check_not_sent,
    each_operation,
    failure,
    message,
    say,
    unresolved_at_once,
)

from api_keys_client import (
    ApiConnectionError,
    ApiKeysClient,
    ApiKeysError,
    ApiTimeoutError,
    Outcome,
    UnexpectedResponseError,
)
from api_keys_client.sandbox import Sandbox

HOST = "engine.invalid"
PASSWORD = "p@ss:w%rd/ü"
AUTH = "us%20er:p%40ss%3Aw%25rd%2F%C3%BC"
SHOWN = ("p@ss", "p%40ss", "cDpAc3M", "dXMgZXI6cEBzczp3JXJkL8O8", "OnBAc3M6dyVyZC/DvA")
"""What of the password may not be seen anywhere, in clear or in base64."""


@pytest.fixture(autouse=True)
def _names_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unresolved_at_once(monkeypatch)


class Targets:
    """A sandbox over http and over https, under a name that leads nowhere."""

    def __init__(self, engine: Sandbox, secure: HTTPServer, context: ssl.SSLContext) -> None:
        self.engine = engine
        self.context = context
        self.urls = {
            "http": engine.url.replace("127.0.0.1", HOST),
            "https": f"https://{HOST}:{secure.port}",
        }

    def client(self, connect: Connect, scheme: str, **options: object) -> ApiKeysClient:
        token = self.engine.token
        return connect(self.urls[scheme], token=token, ssl_context=self.context, allow_http=True, **options)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def presenting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def all_targets(presenting: ssl.SSLContext, trusting: ssl.SSLContext) -> Iterator[Targets]:
    with Sandbox() as engine, HTTPServer(ssl_context=presenting) as secure:
        secure.expect_request(re.compile("/")).respond_with_handler(engine.respond)
        yield Targets(engine, secure, trusting)


@pytest.fixture
def targets(all_targets: Targets) -> Targets:
    all_targets.engine.reset()
    return all_targets


@contextmanager
def running_proxy(folder: Path, **more: object) -> Iterator[str]:
    """The host and port of proxy.py in a process of its own, which asks for the password."""
    port = folder / "port"
    options = {
        "--port": "0",
        "--port-file": port,
        "--num-acceptors": "1",
        "--num-workers": "1",
        "--plugins": "everywhere.Everywhere",
        "--basic-auth": f"us er:{PASSWORD}",
        "--data-dir": folder,
        "--log-file": folder / "log",
        **more,
    }
    command = [sys.executable, "-m", "proxy", "--threaded", *[str(part) for pair in options.items() for part in pair]]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTHONUTF8": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        began = monotonic()
        while not (port.is_file() and port.read_text()):
            assert process.poll() is None, (folder / "log").read_text()
            assert monotonic() - began < 20
            threading.Event().wait(0.01)
        yield f"localhost:{int(port.read_text())}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_proxy(tmp_path_factory.mktemp("proxy")) as place:
        yield place


@pytest.fixture(scope="module")
def secure_proxy(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[str]:
    """The same over TLS."""
    folder = tmp_path_factory.mktemp("secure-proxy")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    with running_proxy(folder, **{"--cert-file": folder / "both.pem", "--key-file": folder / "both.pem"}) as place:
        yield place


each_scheme = pytest.mark.parametrize("scheme", ["http", "https"])


@each_scheme
@pytest.mark.parametrize("way", ["http", "https"])
def test_a_key_lives_its_life_through_a_proxy(
    connect: Connect, driver: str, targets: Targets, proxy: str, secure_proxy: str, scheme: str, way: str
) -> None:
    if driver == "async" and sys.version_info < (3, 11) and (scheme, way) == ("https", "https"):
        pytest.skip("asyncio has TLS inside TLS from Python 3.11 on")
    place = proxy if way == "http" else secure_proxy
    client = targets.client(connect, scheme, proxy=f"{way}://{AUTH}@{place}")
    created = client.create("ci")
    assert [record.id for record in client.list()] == [created.id]
    assert client.get(created.id).is_active
    assert not client.deactivate(created.id).is_active


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_the_environment_names_the_proxy(
    connect: Connect, targets: Targets, proxy: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"http://{AUTH}@{proxy}")
    for scheme in ("http", "https"):
        if name.lower() in (f"{scheme}_proxy", "all_proxy"):
            assert targets.client(connect, scheme).list() == []
        else:
            error = failure(targets.client(connect, scheme, max_attempts=1), "list")
            assert "name cannot be resolved" in str(error)


@pytest.mark.parametrize("auth", ["", "us%20er:wrong@", "other@"])
@each_operation
def test_a_real_proxy_that_asks_for_other_credentials(
    connect: Connect, targets: Targets, proxy: str, operation: str, auth: str
) -> None:
    error = failure(targets.client(connect, "https", proxy=f"http://{auth}{proxy}", max_attempts=1), operation)
    check_not_sent(error, operation, ApiConnectionError, attempts=1)
    assert "the proxy refused the connection with 407" in str(error)

    error = failure(targets.client(connect, "http", proxy=f"http://{auth}{proxy}"), operation)
    assert type(error) is UnexpectedResponseError
    assert error.status == 407
    assert "user:password@" in error.next_step
    assert error.outcome is changed(operation, Outcome.REJECTED)
    assert targets.engine.requests == []


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
    peer.drip(b"X" * 300)


@pytest.mark.parametrize(
    "act", [say(then=Peer.hold), dripping_tunnel, say(b"HTTP/1.1 200 OK\r\n\r\n", then=Peer.hold)],
    ids=["silent", "one byte at a time", "silent in the handshake"],
)  # fmt: skip
@pytest.mark.parametrize("operation", ["create", "get"])
def test_a_tunnel_that_is_late_ends_at_the_connect_timeout(connect: Connect, operation: str, act: Act) -> None:
    with Server(act) as raw:
        error = failure(through(raw, connect, "https", timeout=(0.1, 9), max_attempts=1), operation)
    check_not_sent(error, operation, ApiTimeoutError, attempts=1)
    assert 0.1 <= error.elapsed < 0.6


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
