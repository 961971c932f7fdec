"""The sandbox on the wire: framing, connections that stay or end, clients that leave."""

from __future__ import annotations

import socket
import threading

import pytest
from werkzeug.wrappers import Request as WSGIRequest

from api_keys_client.sandbox import Sandbox, application
from tests.support.calling import KEYS, PATIENCE, Caller, address, eventually, head_of, one_of_each


def answered(engine: Sandbox, request: bytes) -> bytes:
    """All that comes back until the connection is closed."""
    with socket.create_connection(address(engine.url), PATIENCE) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_a_connection_stays_open(caller: Caller) -> None:
    caller.connection.connect()
    opened = caller.connection.sock
    answers = one_of_each(caller, headers=caller.headers) + one_of_each(caller, headers={})
    answers.append(caller.call("HEAD", KEYS))
    answers.append(caller.call("GET", KEYS, b"a body that nobody asked for"))
    assert [answer.status for answer in answers] == [200, 200, 404, 404, *[401] * 4, 405, 200]
    assert caller.connection.sock is opened
    assert all("connection" not in answer.headers for answer in answers)


@pytest.mark.parametrize(
    ("version", "headers", "end"),
    [
        ("1.1", "Connection: close\r\n", b"\r\n\r\n2\r\n[]\r\n0\r\n\r\n"),
        ("1.0", "", b"\r\n\r\n[]"),
        ("1.0", "Connection: keep-alive\r\n", b"\r\n\r\n[]"),
    ],
)
def test_a_client_that_wants_it_closed_sees_it_closed(engine: Sandbox, version: str, headers: str, end: bytes) -> None:
    received = answered(engine, head_of("GET", KEYS, engine.token, headers, version))
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in received
    assert received.endswith(end)


def test_a_chunked_request_is_read(engine: Sandbox, caller: Caller) -> None:
    headers = {**caller.headers, "Content-Type": "application/json"}
    caller.connection.request("POST", KEYS, iter([b'{"descri', b'ption": "parts"}']), headers)
    assert caller.receive().status == 200
    assert [key.description for key in engine.keys()] == ["parts"]


def test_a_client_that_leaves_in_the_middle_of_its_request_does_nothing(
    engine: Sandbox, caller: Caller, capfd: pytest.CaptureFixture[str]
) -> None:
    before = threading.active_count()
    with socket.create_connection(address(engine.url), PATIENCE) as connection:
        connection.sendall(head_of("POST", KEYS, engine.token, "Content-Length: 100\r\n") + b"{}")
        eventually(lambda: threading.active_count() == before + 1)
    eventually(lambda: threading.active_count() == before)
    assert caller.list_ids() == []
    assert [received.operation for received in engine.requests] == ["list"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("length", ["-1", "2_0", "1" * 5_000])
def test_a_length_that_is_none_is_400_and_ends_the_connection(engine: Sandbox, length: str) -> None:
    """Its body would be taken for the next request."""
    behind = f"GET {KEYS} HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST {KEYS} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    answer = answered(engine, f"{head}{behind}".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"\r\n\r\nInvalid HTTP request received.")
    assert engine.requests == []


def test_only_so_many_requests_are_remembered(engine: Sandbox) -> None:
    for path in (*["/elsewhere"] * application.MAX_REQUESTS, KEYS):
        engine.respond(WSGIRequest.from_values(path))
    assert len(engine.requests) == application.MAX_REQUESTS
    assert engine.requests[-1].operation == "list"
