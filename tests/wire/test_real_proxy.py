"""Through a real proxy, proxy.py, over http and over TLS, to targets of both kinds.

The targets' name can be resolved by the proxy alone, so that a call that succeeds has gone through it.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
import trustme
from pytest_httpserver import HTTPServer

from api_keys_client import ApiKeysClient, Outcome, UnexpectedResponseError
from api_keys_client.sandbox import Sandbox
from tests.support.certificates import presenting, trusting
from tests.support.clients import Connect
from tests.support.failing import check_not_sent, failure
from tests.support.wire import Server, say, too_much

HOST = "engine.invalid"
PASSWORD = "p@ss:w%rd/ü"
AUTH = "us%20er:p%40ss%3Aw%25rd%2F%C3%BC"


pytestmark = pytest.mark.usefixtures("_names_of_nothing")


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
def all_targets(authority: trustme.CA) -> Iterator[Targets]:
    with Sandbox() as engine, HTTPServer(ssl_context=presenting(authority, HOST)) as secure:
        secure.expect_request(re.compile("/")).respond_with_handler(engine.respond)
        yield Targets(engine, secure, trusting(authority))


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
        "--plugins": "tests.support.everywhere.Everywhere",
        "--basic-auth": f"us er:{PASSWORD}",
        "--data-dir": folder,
        "--log-file": folder / "log",
        **more,
    }
    command = [sys.executable, "-m", "proxy", "--threaded", *[str(part) for pair in options.items() for part in pair]]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUTF8": "1"}
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


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("way", ["http", "https"])
def test_a_key_lives_its_life_through_a_proxy(
    connect: Connect, driver: str, targets: Targets, proxy: str, secure_proxy: str, scheme: str, way: str
) -> None:
    place = proxy if way == "http" else secure_proxy
    client = targets.client(connect, scheme, proxy=f"{way}://{AUTH}@{place}")
    created = client.create("ci")
    assert [record.id for record in client.list()] == [created.id]
    assert client.get(created.id).is_active
    assert not client.deactivate(created.id).is_active


@pytest.mark.parametrize("length", [100, 12_000])
def test_an_answer_that_comes_before_its_request_is_not_taken_out_of_tls_inside_tls(
    connect: Connect, authority: trustme.CA, secure_proxy: str, length: int
) -> None:
    with Server(say(too_much(length), then=None), tls=presenting(authority, HOST)) as server:
        url, proxy = f"https://{HOST}:{server.port}", f"https://{AUTH}@{secure_proxy}"
        client = connect(url, token="token", ssl_context=trusting(authority), proxy=proxy)
        assert client.list() == []
        assert client.create("ci").key
        assert server.operations() == ["list", "create"]
        assert server.connections == 2


@pytest.mark.parametrize(
    ("name", "schemes"), [("HTTPS_PROXY", ["https"]), ("http_proxy", ["http"]), ("ALL_PROXY", ["http", "https"])]
)
def test_the_environment_names_the_proxy(
    connect: Connect, targets: Targets, proxy: str, name: str, schemes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"http://{AUTH}@{proxy}")
    for scheme in ("http", "https"):
        client = targets.client(connect, scheme, max_attempts=1)
        if scheme in schemes:
            assert client.list() == []
        else:
            check_not_sent(failure(client, "create"), "create", "dns", attempts=1)


def test_a_real_proxy_that_asks_for_other_credentials(connect: Connect, targets: Targets, proxy: str) -> None:
    for auth in ("", "us%20er:wrong@", "other@"):
        error = failure(targets.client(connect, "https", proxy=f"http://{auth}{proxy}", max_attempts=1), "create")
        check_not_sent(error, "create", "proxy", attempts=1)
        assert "the proxy refused the connection with 407" in str(error)

        error = failure(targets.client(connect, "http", proxy=f"http://{auth}{proxy}"), "create")
        assert type(error) is UnexpectedResponseError
        assert (error.status, error.outcome) == (407, Outcome.REJECTED)
    assert targets.engine.requests == []
