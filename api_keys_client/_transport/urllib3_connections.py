"""Connections of urllib3 that know two things more: whether a byte left, and when the whole answer is due."""

from __future__ import annotations

import errno
import http.client
import io
import re
import socket
import ssl
import threading
import time
import weakref
from contextlib import suppress
from functools import lru_cache
from queue import LifoQueue
from typing import TYPE_CHECKING, Any, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssltransport import SSLTransport

from api_keys_client._core.messages import MAX_BODY_BYTES
from api_keys_client._core.options import MAX_IDLE_SECONDS, MAX_SECONDS

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAX_LINE = 65_537
"""Bytes of one line of an answer, as in http.client."""

_STATUS_LINE = re.compile(rb"(?P<version>HTTP/1\.[0-9]) (?P<status>[1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
# Neither can be matched in two ways: a search that goes back holds up every thread of the program.
_HEADER = re.compile(rb"(?P<name>[!-9;-~]+):(?P<value>[^\r\n\0]*+)\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
"""Where the value of a header goes on in another line."""
_MAX_HEADERS = 100
"""As in http.client."""
_CHUNK_SIZE = re.compile(rb"(?P<size>[0-9A-Fa-f]+)[ \t]*(?:;[^\r\n]*)?\r?\n")


NO_RETRIES = urllib3.Retry(total=False, redirect=False)


class _SharedTimeout(urllib3.Timeout):
    """A timeout that urllib3 need not copy for each request: without a total it has no clock to start."""

    def clone(self) -> urllib3.Timeout:
        return self

    def start_connect(self) -> float:
        return 0.0


@lru_cache(maxsize=32)
def usual_timeout(connect: float, answer: float) -> urllib3.Timeout:
    """Gives the timeout for these seconds."""
    return _SharedTimeout(connect=connect, read=answer)


class AttemptState:
    """What one attempt needs to tell its connection, and to know of it."""

    __slots__ = ("authorization", "closed", "connection", "late", "sent", "until")

    def __init__(self, closed: threading.Event, until: float) -> None:
        self.authorization = ""
        self.closed = closed
        self.until = until
        self.sent = False
        self.late = False
        self.connection: HTTPConnection | None = None

    def end_late(self) -> None:
        """Ends it because its time is up."""
        self.late = True
        self.end()

    def end(self) -> None:
        """Ends what it waits for."""
        sock = self.connection and self.connection.sock
        if sock:
            try:
                # The plain socket's: a TLS one would take its session from under the reading thread.
                socket.socket.shutdown(plain(sock), socket.SHUT_RDWR)
            except OSError:
                return


class _Current(threading.local):
    state: AttemptState | None = None


# The pool chooses the connection deep inside urlopen, in the same thread: this is how the two meet.
current = _Current()


def plain(sock: socket.socket) -> socket.socket:
    """Gives the socket itself, where urllib3 has wrapped it for TLS inside a proxy's TLS."""
    return getattr(sock, "socket", sock)


class _BoundedReader(socket.SocketIO):
    """Reads a socket until one moment for the whole answer: urllib3's own timeout begins anew with each byte."""

    def __init__(self, sock: socket.socket, answer_by: float) -> None:
        super().__init__(sock, "r")
        self.in_head = True
        self.at_end = False
        self.more_came = False
        """Whether the buffer held more than the answer."""
        # What socket.makefile does: http.client closes the socket before the body is read.
        plain(sock)._io_refs += 1  # type: ignore[attr-defined]
        self._socket = sock
        self._answer_by = answer_by
        # Chunks of one byte each double an answer's length; beyond that it is endless.
        self._most = 2 * MAX_BODY_BYTES

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Gives what http.client calls on what it takes for the socket."""
        return io.BufferedReader(self)

    def readinto(self, buffer: WriteableBuffer) -> int | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.at_end:
            return None
        remaining = self._answer_by - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)
        count = super().readinto(buffer)
        if not count and self.in_head:
            # http.client would take the headers so far for all of them.
            raise http.client.RemoteDisconnected("")
        self._most -= count or 0
        if self._most < 0:
            raise OSError(errno.EMSGSIZE, "the answer is too long")
        return count


class _Response(http.client.HTTPResponse):
    """An answer that begins after any interim ones, not after a 100 only."""

    reader: _BoundedReader

    def begin(self) -> None:
        # As http.client does, whose own way leads through the email package and costs a fifth of a call.
        version, status = "", int(http.client.CONTINUE)
        while status == http.client.CONTINUE:
            version, status, _ = self._read_status()
            self.headers = self.msg = _read_headers(self.fp)
        self.reader.in_head = False
        self.code = self.status = status
        self.reason = ""
        self.version = 10 if version == "HTTP/1.0" else 11
        self.will_close = self._check_close()  # type: ignore[attr-defined]  # typeshed lacks it
        # These have no body, whatever their headers say of one.
        bodiless = status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED)
        lengths = self.msg.get_all("Content-Length", [])
        coding = ", ".join(self.msg.get_all("Transfer-Encoding", [])).lower()
        self.chunked = coding == "chunked" and not bodiless
        # Others make something else of "+5", of two lengths or codings, or of a length with chunks, and would see other
        # answers behind this one.
        is_clear = coding in ("", "identity", "chunked") and all(map(_is_number, lengths))
        if not is_clear or len(lengths) + self.chunked > 1:
            raise http.client.HTTPException
        self.length = 0 if bodiless else int(lengths[0]) if lengths else None
        self.chunk_left = None
        if self.length is None and not self.chunked:
            # The end of the connection is that of the body.
            self.will_close = True

    def _read_status(self) -> tuple[str, int, str]:
        # http.client reads it with int(), which takes "+400" and "4_00".
        line = _STATUS_LINE.fullmatch(self.fp.readline(_MAX_LINE))
        if not line:
            raise http.client.BadStatusLine("")
        status = int(line["status"])
        return line["version"].decode(), http.client.CONTINUE if 101 < status < 200 else status, ""

    def _read_next_chunk_size(self) -> int:
        # The same: of "+5" and "0x5" others make something else, and would see other answers behind this one.
        size = _CHUNK_SIZE.match(self.fp.readline(_MAX_LINE))
        if not size:
            raise ValueError
        return int(size["size"], 16)

    def _close_conn(self) -> None:
        buffered: Any = self.fp
        self.fp = None  # type: ignore[assignment]  # as in http.client
        # What is read from here on is nothing, so that the buffer shows what it holds already.
        self.reader.at_end = True
        self.reader.more_came = bool(buffered.peek())
        buffered.close()


def _read_headers(stream: io.BufferedReader) -> http.client.HTTPMessage:
    lines: list[bytes] = []
    while (line := stream.readline(_MAX_LINE)) not in (b"\r\n", b"\n"):
        lines.append(line)
        if len(lines) > _MAX_HEADERS or not line.endswith(b"\n"):
            raise http.client.HTTPException
    headers = http.client.HTTPMessage()
    for line in _FOLD.sub(b" ", b"".join(lines)).splitlines(keepends=True):
        header = _HEADER.fullmatch(line)
        if not header:
            # Others would take it for a part of the one before, or for the end of the headers.
            raise http.client.HTTPException
        headers[header["name"].decode("ascii")] = header["value"].strip(b" \t").decode("latin-1")
    return headers


def _is_number(length: str) -> bool:
    return length.isascii() and length.strip().isdigit()


class _Watched(HTTPConnection):
    """A connection that knows whether a byte of the request left, and when the whole answer is due."""

    # Not the class's own: a program that sets http.client's debug level would print the token.
    debuglevel = 0
    # Without urllib3's own, which looks in each value for a mark that no header of ours has.
    putheader = http.client.HTTPConnection.putheader
    _idle_since = 0.0
    _answer_by = 0.0
    _reader: _BoundedReader | None = None

    @property
    def is_connected(self) -> bool:
        if time.monotonic() - self._idle_since > MAX_IDLE_SECONDS:
            return False
        if self._reader and self._reader.more_came:
            # It would be taken for the next answer.
            return False
        return super().is_connected

    def connect(self) -> None:
        state = current.state
        if state:
            state.connection = self
            if state.closed.is_set():
                raise ConnectionAbortedError
        self._answer_by = self._due(time.monotonic())
        super().connect()

    def _new_conn(self) -> socket.socket:
        """Gives a socket to the first address that takes it: urllib3 would give the whole time to each of them."""
        # As bytes: text has the codec for IDNA imported, and a process forked just then would wait for that for ever.
        host = self._dns_host.strip("[]").encode("ascii")
        found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, address) in enumerate(found):
            sock = None
            try:
                # This alone fails for IPv6 where there is none.
                sock = socket.socket(family, kind, protocol)
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(self._left() / (len(found) - number))
                sock.connect(address)
                # The TLS handshake has what is left.
                sock.settimeout(self._left())
            except OSError:
                if sock:
                    sock.close()
                if number + 1 == len(found):
                    raise
            else:
                return sock
        raise socket.gaierror(socket.EAI_NONAME, "the host name has no address")

    def _left(self) -> float:
        # Never 0, which would make the socket one that does not wait.
        return max(self._answer_by - time.monotonic(), 0.001)

    def endheaders(self, *args: Any, **options: Any) -> None:
        if self.sock is None:
            self.connect()
        state = current.state
        if state:
            state.connection = self
            if state.closed.is_set():
                raise ConnectionAbortedError
            state.sent = True
        super().endheaders(*args, **options)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3 itself
        now = self._idle_since = time.monotonic()
        self._answer_by = self._due(now)
        return super().getresponse()

    def _due(self, now: float) -> float:
        due = now + (MAX_SECONDS if self.timeout is None else self.timeout)
        state = current.state
        return min(due, state.until) if state else due

    def response_class(  # type: ignore[override]  # http.client only ever calls it
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None
    ) -> http.client.HTTPResponse:
        self._reader = reader = _BoundedReader(sock, self._answer_by)
        response = _Response(cast("socket.socket", reader), debuglevel, method)
        response.reader = reader
        return response


# urllib3 describes its connections by protocols that its own classes don't match to the letter.
class _WatchedTLS(_Watched, HTTPSConnection):  # pyright: ignore[reportIncompatibleVariableOverride]
    @property
    def is_connected(self) -> bool:
        return not self._holds_more() and super().is_connected

    def _holds_more(self) -> bool:
        """Tells whether bytes behind the last answer lie decrypted in OpenSSL, where the socket does not show them."""
        sock: Any = self.sock
        if isinstance(sock, SSLTransport):
            # TLS inside the TLS of a proxy.
            outside: Any = sock.socket
            return bool(sock.sslobj.pending() or sock.incoming.pending or outside.pending())
        return sock is not None and sock.pending() > 0

    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except OSError:
            if isinstance(self.sock, ssl.SSLSocket):
                # With TLS 1.3 a server refuses our certificate after the handshake: its alert says more than this.
                self.sock.setblocking(False)
                with suppress(ssl.SSLWantReadError):
                    self.sock.recv(1)
            raise


class _AtExit(LifoQueue[Any]):
    """The queue of a pool once the interpreter exits: each call opens a connection of its own, and closes it."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        return None if block else super().get(block, timeout)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item:
            item.close()
        else:
            super().put(item, block, timeout)


def go_on_at_exit(pool: HTTPConnectionPool) -> None:
    """Lets calls be made while the interpreter exits, when urllib3 empties its pools.

    They would wait for a connection that nobody gives back. Of finalizers the last is run first: this one before
    urllib3's.
    """
    weakref.finalize(pool, setattr, pool.pool, "__class__", _AtExit)


class Pool(HTTPConnectionPool):
    ConnectionCls = _Watched  # pyright: ignore[reportAssignmentType]


class PoolTLS(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS  # pyright: ignore[reportAssignmentType]
