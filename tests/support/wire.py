"""A raw server on loopback: the bytes, silences and endings that no HTTP library can be made to produce.

A server is given acts, each of which meets one request; when they are used up, requests are answered as the engine
would. It keeps what came in: connections, requests, and TLS handshakes that failed.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from typing import Self

KEY_ID: Final = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"
RECORD: Final[dict[str, Any]] = {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "roles": []}
GOOD: Final[dict[str, bytes]] = {
    "create": json.dumps({**RECORD, "key": "a-new-secret"}).encode(),
    "list": json.dumps([RECORD]).encode(),
    "get": json.dumps({**RECORD, "is_active": False}).encode(),
    "deactivate": json.dumps({**RECORD, "is_active": False}).encode(),
}

PATIENCE = 10.0
"""Seconds within which what takes next to none has happened, on a slow machine too."""
MIB = 1024 * 1024
PAGE = b"<html><body>Please sign in to the network.</body></html>"
CHUNKED = b"HTTP/1.1 %d Whatever\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 %d Whatever\r\nConnection: close\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


class Request(NamedTuple):
    """A whole request, its header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        by_method = {"POST": "create", "DELETE": "deactivate", "GET": "list" if self.target.endswith("/") else "get"}
        return by_method.get(self.method, self.method)


Act: TypeAlias = Callable[["Peer", Request], object]


class Peer:
    """One connection, seen from the server. Every method ends early when the client leaves."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self._file = sock.makefile("rb")
        self.open = True

    def read_request(self) -> Request | None:
        """The next request; None if the client left instead."""
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            return None
        words = line.decode("latin-1").split()
        if len(words) != 3:
            # The beginning of TLS, say, which may hold a line end.
            return None
        method, target, _ = words
        headers = {}
        for line in iter(self._file.readline, b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Request(method, target, headers, self._file.read(int(headers.get("content-length", 0))))

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, every: float = 0.01) -> None:
        """One byte at a time."""
        for byte in data:
            self.send(bytes([byte]))
            if self._client_leaves(every):
                return

    def pour(self, block: bytes, most: int) -> None:
        """The same block again and again, up to so many bytes; the server counts them."""
        while self.server.poured < most:
            self.send(block)
            self.server.poured += len(block)

    def hold(self) -> None:
        """Nothing, until the client leaves."""
        while not self._client_leaves(None):
            continue
        self.close()

    def wait_for_a_byte(self) -> None:
        """Until the next one is there; it stays unread."""
        self.sock.settimeout(None)
        self.sock.recv(1, socket.MSG_PEEK)

    def _client_leaves(self, within: float | None) -> bool:
        self.sock.settimeout(within)
        try:
            return not self.sock.recv(1)
        except TimeoutError:
            return False

    def handed_over(self) -> socket.socket:
        """The connection, for another to go on with."""
        self._file.close()
        return self.sock

    def close(self) -> None:
        self.open = False
        self._file.close()
        self.sock.close()

    def reset(self) -> None:
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()


class Server:
    """Listens from the start of its `with` block to its end.

    Args:
        tls: what it presents and asks for; None: plain http.
        tunnel: what it presents behind a CONNECT, as if it were the target too; None: a CONNECT is like any request.
        idle: seconds after which it closes a connection without a request.
    """

    def __init__(
        self,
        *acts: Act,
        tls: ssl.SSLContext | None = None,
        tunnel: ssl.SSLContext | None = None,
        idle: float | None = None,
    ) -> None:
        self._acts = list(acts)
        self._tls = tls
        self._tunnel = tunnel
        self._idle = idle
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self.requests: list[Request] = []
        self.failed_handshakes: list[str] = []
        self.poured = 0
        self.idle_ends = threading.Semaphore(0)
        """One for each idle connection that it closed."""
        self.accepting = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.accepting.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        # Closing alone would not wake the thread that accepts.
        with suppress(OSError):
            self.accepting.shutdown(socket.SHUT_RDWR)
        self.accepting.close()
        self._threads[0].join()
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):
                    # The plain socket's: a TLS one would take its session from under the thread that reads.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def act_next(self, *acts: Act) -> None:
        """More acts, for the requests after those that have one already."""
        with self._lock:
            self._acts.extend(acts)

    def operations(self) -> list[str]:
        """What the requests that came in asked for, in that order."""
        return [request.operation for request in self.requests]

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self.accepting.accept()
                self.connections += 1
                with self._lock:
                    self._sockets.add(sock)
                self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is None:
                self._converse(Peer(self, sock))
            else:
                self._secure(sock, self._tls)

    def _secure(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        """A TLS handshake, and the conversation behind it."""
        with sock.dup() as plain:
            try:
                secured = tls.wrap_socket(sock, server_side=True)
            except OSError as error:
                self.failed_handshakes.append(getattr(error, "reason", None) or str(error))
                # An alert that is followed by a reset might not be read any more.
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(4096):
                    continue
                raise
        with self._lock:
            self._sockets.add(secured)
        self._converse(Peer(self, secured))

    def _converse(self, peer: Peer) -> None:
        try:
            while peer.open:
                peer.sock.settimeout(self._idle)
                try:
                    request = peer.read_request()
                except TimeoutError:
                    peer.close()
                    self.idle_ends.release()
                    return
                if request is None:
                    return
                with self._lock:
                    self.requests.append(request)
                if self._tunnel and request.method == "CONNECT":
                    peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    self._secure(peer.handed_over(), self._tunnel)
                    return
                with self._lock:
                    act = self._acts.pop(0) if self._acts else good
                act(peer, request)
        finally:
            peer.close()


def message(status: int, body: bytes, *headers: str) -> bytes:
    """A whole answer; its length is told unless the headers say how the body ends."""
    framed = any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers)
    length = [] if framed else [f"Content-Length: {len(body)}"]
    head = "\r\n".join([f"HTTP/1.1 {status} Whatever", "Content-Type: application/json", *length, *headers])
    return f"{head}\r\n\r\n".encode() + body


def too_much(length: int) -> bytes:
    """An answer of so many bytes, and behind it one to a request that nobody has made yet."""
    filled = length - len(message(200, b"[" + b" " * 1000 + b"]")) + 1000
    first = message(200, b"[" + b" " * filled + b"]")
    assert len(first) == length
    return first + message(400, b'{"detail": "Maximum number of active keys reached"}')


def good(peer: Peer, request: Request) -> None:
    """What the engine would answer."""
    peer.send(message(200, GOOD[request.operation]))


def answer(status: int, body: bytes = b"", *headers: str) -> Act:
    """A whole answer, after which the connection stays open."""
    return say(message(status, body, *headers), then=None)


def say(data: bytes = b"", *, then: Callable[[Peer], object] | None = Peer.close) -> Act:
    """Any bytes, and how the connection goes on."""

    def act(peer: Peer, _: Request) -> None:
        peer.send(data)
        if then:
            then(peer)

    return act


def held(arrived: threading.Event, left: threading.Event | None = None, *, data: bytes = b"") -> Act:
    """Any bytes and nothing more until the client leaves; says when they were sent, and when it has left."""

    def act(peer: Peer, _: Request) -> None:
        peer.send(data)
        arrived.set()
        peer.hold()
        if left:
            left.set()

    return act


def good_when(go_on: threading.Event, arrived: threading.Event) -> Act:
    """What the engine would answer, but not before it may; says when the request is there."""

    def act(peer: Peer, request: Request) -> None:
        arrived.set()
        assert go_on.wait(PATIENCE)
        good(peer, request)

    return act


def dripped(before: bytes, data: bytes, *, then: Callable[[Peer], object] = Peer.hold) -> Act:
    """Some bytes at once, the others one at a time."""

    def act(peer: Peer, _: Request) -> None:
        peer.send(before)
        peer.drip(data)
        then(peer)

    return act


def endless(start: bytes) -> Act:
    """The beginning of an answer, and chunks without end behind it."""

    def act(peer: Peer, _: Request) -> None:
        peer.send(start)
        peer.pour(CHUNK, most=500 * MIB)

    return act
