"""`client.generated`: the generated API on the client's own connections. It is the sync client's alone."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import urllib3

from _generated import NewApiKeyRequest
from _generated.exceptions import ApiException
from api_keys_client import ApiConnectionError, ApiKeysClient
from api_keys_client._core.options import POOL_SIZE
from tests.support.wire import GOOD, KEY_ID, Act, Peer, Server, answer, dripped, held, message, say

SHORT = 0.2
SLACK = 2.0
"""Seconds that a slow machine may add."""
TOKEN = "t0ken"


def get(client: ApiKeysClient) -> object:
    return client.generated.get_api_key_auth_api_keys_api_key_id_get(KEY_ID)


@contextmanager
def ending_in_time(kind: type[Exception] = urllib3.exceptions.TimeoutError) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(kind):
        yield
    assert SHORT <= time.monotonic() - began < SHORT + SLACK


@pytest.mark.parametrize("status", [302, 308])
def test_no_redirect_is_followed(status: int) -> None:
    with Server() as target:
        acts = [answer(status, b"", f"Location: {place}") for place in (f"{target.url}/auth/api_keys/", "/elsewhere")]
        with Server(*acts) as server, ApiKeysClient(server.url, token=TOKEN) as client:
            for _ in acts:
                with pytest.raises(ApiException) as caught:
                    get(client)
                assert caught.value.status == status
            assert [request.target for request in server.requests] == [f"/auth/api_keys/{KEY_ID}"] * 2
    assert target.connections == 0


LATE = {
    "silence": say(then=Peer.hold),
    "half a body": say(message(200, GOOD["get"])[:-1], then=Peer.hold),
    "dripping headers": dripped(b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n" * 9_999),
    "a dripping body": dripped(message(200, GOOD["get"] + b" " * 99_999)[:-99_999], b" " * 99_999),
}


@pytest.mark.parametrize("act", LATE.values(), ids=LATE)
def test_the_answer_is_not_waited_for_longer_than_the_timeout(act: Act) -> None:
    with Server(act) as server, ApiKeysClient(server.url, token=TOKEN, timeout=(30, SHORT)) as client:
        with ending_in_time():
            get(client)
        assert len(server.requests) == 1


def test_the_connection_is_not_waited_for_longer_than_the_timeout() -> None:
    # Nobody accepts, so that the TLS handshake gets no answer.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with ApiKeysClient(url, token=TOKEN, timeout=(SHORT, 30)) as client, ending_in_time():
            get(client)


def test_a_free_connection_is_not_waited_for_longer_than_the_deadline() -> None:
    busy = [threading.Event() for _ in range(POOL_SIZE)]
    with Server(*map(held, busy)) as server, ThreadPoolExecutor(POOL_SIZE) as threads:
        with ApiKeysClient(server.url, token=TOKEN) as client:
            for event in busy:
                threads.submit(client.get, KEY_ID)
                assert event.wait(10)
            with ending_in_time(urllib3.exceptions.EmptyPoolError):
                get(client.with_options(deadline=SHORT))


def test_a_timeout_of_ones_own_takes_the_place_of_ours() -> None:
    with Server(LATE["silence"]) as server, ApiKeysClient(server.url, token=TOKEN, timeout=10) as client:
        with ending_in_time():
            client.generated.get_all_active_api_keys_auth_api_keys_get(_request_timeout=SHORT)


def test_nothing_is_sent_twice() -> None:
    with Server(say(), answer(503, b"{}", "Retry-After: 0")) as server:
        with ApiKeysClient(server.url, token=TOKEN) as client:
            with pytest.raises(urllib3.exceptions.ProtocolError):
                get(client)
            with pytest.raises(ApiException):
                get(client)
    assert server.operations() == ["get", "get"]


def test_what_is_sent() -> None:
    tokens = itertools.count(1)
    acts = [answer(200, GOOD[name], "Set-Cookie: ACCESS_TOKEN=x") for name in ("get", "create", "get")]
    with Server(*acts) as server:
        with ApiKeysClient(server.url, token=lambda: f"token-{next(tokens)}", headers={"X-Team": "platform"}) as client:
            get(client)
            client.generated.create_api_key_auth_api_keys_post(NewApiKeyRequest(description="ci"))
            get(client.with_options(token="the-views", headers={"X-Team": "other", "User-Agent": "mine/1"}))
    first, second, third = (request.headers for request in server.requests)
    assert json.loads(server.requests[1].body) == {"description": "ci"}
    assert (first["authorization"], second["authorization"]) == ("Bearer token-1", "Bearer token-2")
    assert (first["x-team"], first["accept"]) == ("platform", "application/json")
    assert first["user-agent"].startswith("api-keys-client/")
    assert (third["authorization"], third["x-team"], third["user-agent"]) == ("Bearer the-views", "other", "mine/1")
    assert not any("cookie" in headers for headers in (first, second, third))


def test_the_connections_are_the_clients(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with Server(*[answer(200, GOOD["get"])] * 4) as server, ApiKeysClient(server.url, token=TOKEN) as client:
        client.get(KEY_ID)
        get(client)
        get(client.with_options(max_attempts=1))
        client.generated.api_client.close()
        client.get(KEY_ID)
        assert server.connections == 1
        assert TOKEN not in repr(client.generated)
    with pytest.raises(ApiConnectionError, match="closed"):
        get(client)
    # Nor do they print what is sent.
    assert capfd.readouterr() == ("", "")
