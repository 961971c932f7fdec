"""What the tests of the sandbox share: a caller with a connection of its own, and what it gets or meets."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from api_keys_client.sandbox import Sandbox

KEYS = "/auth/api_keys/"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
PATIENCE = 10


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        assert list(self.json) == ["detail"]
        return self.json["detail"]


class Caller:
    """One connection to a server, and the token to send."""

    def __init__(self, url: str, token: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
        self.headers = {"Authorization": f"Bearer {token}"}

    def send(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> None:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if data is None else {"Content-Type": "application/json"}
        self.connection.request(method, path, data, kind | (self.headers if headers is None else headers))

    def receive(self) -> Answer:
        response = self.connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def call(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> Answer:
        self.send(method, path, body, headers=headers)
        return self.receive()

    def create(self, **body: object) -> dict[str, Any]:
        answer = self.call("POST", KEYS, body)
        assert answer.status == 200, answer
        return answer.json  # type: ignore[no-any-return]

    def deactivate(self, key_id: str) -> Answer:
        return self.call("DELETE", f"{KEYS}deactivate/{key_id}")

    def list_ids(self) -> list[str]:
        return [key["id"] for key in self.call("GET", KEYS).json]


@contextmanager
def caller_on(url: str, token: str) -> Iterator[Caller]:
    caller = Caller(url, token)
    try:
        yield caller
    finally:
        caller.connection.close()


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"


@contextmanager
def connection_reset() -> Iterator[None]:
    """Really reset: http.client's RemoteDisconnected, for an orderly end, is a ConnectionResetError too."""
    with pytest.raises(ConnectionResetError) as caught:
        yield
    assert caught.type is ConnectionResetError


def one_of_each(caller: Caller, *, headers: dict[str, str]) -> list[Answer]:
    return [
        caller.call("POST", KEYS, {}, headers=headers),
        caller.call("GET", KEYS, headers=headers),
        caller.call("GET", f"{KEYS}{UNKNOWN_ID}", headers=headers),
        caller.call("DELETE", f"{KEYS}deactivate/{UNKNOWN_ID}", headers=headers),
    ]


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def head_of(method: str, path: str, token: str, headers: str = "", version: str = "1.1") -> bytes:
    line = f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n"
    return f"{line}Authorization: Bearer {token}\r\n{headers}\r\n".encode()


@contextmanager
def sandbox_stopped(sandbox: Sandbox) -> Iterator[None]:
    try:
        yield
    finally:
        sandbox.stop()
