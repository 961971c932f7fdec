"""A source of documents on a raw socket, for what no HTTP library can be made to send."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

MIB = 1024 * 1024
Act = Callable[[socket.socket, threading.Event], None]


@contextmanager
def raw_server(act: Act) -> Iterator[str]:
    """Meet one connection with an act, which is told when the client has gone; the URL to ask."""
    ended = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with closing(connection):
                while not connection.recv(65536).endswith(b"\r\n\r\n"):
                    pass
                act(connection, ended)

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/openapi.json"
        finally:
            ended.set()
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def send_without_end(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{")
    for _ in range(512):
        connection.sendall(b" " * MIB)


def drip_body(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not ended.wait(0.02):
        connection.sendall(b" ")


def drip_headers(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not ended.wait(0.02):
        connection.sendall(b"X-More: 1\r\n")


def stay_silent(connection: socket.socket, ended: threading.Event) -> None:
    ended.wait()
