"""What a call sends and what comes back: requests, whole answers, failures to get one, and their limits. Pure."""

from __future__ import annotations

import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz
from typing import Generic, NamedTuple, Self, TypeVar

from api_keys_client._core.options import SecretHeaders
from api_keys_client.errors import FailureKind

T = TypeVar("T")

_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
"""zlib's window bits for each coding that is unpacked. Some servers send deflate without zlib's header."""
_BROKEN_CODINGS = frozenset({"br", "zstd", "compress"})

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024

TOO_LONG = "more than"
"""How the problem of an answer begins that is longer than what is read."""


class RawResponse:
    """A whole answer of the server's. Its repr is plain because its body may hold a secret."""

    __slots__ = (
        "body",
        "codings",
        "date",
        "max_body_bytes",
        "problem",
        "received_at",
        "retry_after",
        "status",
        "token",
    )

    def __init__(self, status: int, body: bytes = b"", retry_after: str | None = None) -> None:
        self.status = status
        self.body = body
        self.retry_after = retry_after
        self.max_body_bytes = MAX_BODY_BYTES if status < 300 else MAX_ERROR_BYTES
        self.codings: str | None = None
        """How it is compressed, which nobody asked for: some proxies do it all the same."""
        self.date: str | None = None
        """The server's clock, as an answer with a value says it."""
        self.received_at = 0.0
        """Seconds since the epoch, by which a Retry-After date is read."""
        self.token = ""
        """What was sent, to be masked in an error body that echoes it; empty on success."""
        self.problem: str | None = None
        """Why the body could not be taken although the status was read."""

    @classmethod
    def from_headers(cls, status: int, headers: Mapping[str, str], *, authorization: str, received_at: float) -> Self:
        """Makes an answer whose headers have come; its body is still to be read."""
        made = cls(status)
        made.codings = headers.get("Content-Encoding")
        if status < 300:
            made.date = headers.get("Date")
        else:
            made.retry_after = headers.get("Retry-After")
            made.received_at = received_at
            made.token = authorization.partition(" ")[2]
        return made

    def unpack(self) -> None:
        """Puts the body into the form of JSON: unpacked within its bound, without a byte-order mark."""
        for coding in reversed((self.codings or "").lower().split(",")):
            name = coding.strip()
            if name in _BROKEN_CODINGS:
                self.problem = f"compressed with {name}, which was not asked for"
            elif name in _WINDOWS and not self.problem:
                self.body, self.problem = _unpacked(self.body, _WINDOWS[name], self.max_body_bytes)
        self.codings = None
        if self.body.startswith(BOM_UTF8):
            self.body = self.body[len(BOM_UTF8) :]

    def mark_truncated(self) -> Self:
        """Says so of a body that was longer than what is read; of a refusal the beginning is enough."""
        if self.status < 300:
            self.problem = f"{TOO_LONG} {MAX_BODY_BYTES // 1024 // 1024} MiB"
        return self


def http_date(text: str | None) -> datetime | None:
    """Gives the date of a header; None where there is none, or none that can be read."""
    # parsedate_to_datetime would raise an error with the text, which may echo the token.
    date = parsedate_tz(text or "")
    try:
        return None if date is None else datetime.fromtimestamp(mktime_tz(date), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _unpacked(body: bytes, windows: tuple[int, ...], most: int) -> tuple[bytes, str | None]:
    """Gives what was packed, and why it is not all there."""
    for bits in windows:
        unpacker = zlib.decompressobj(bits)
        try:
            unpacked = unpacker.decompress(body, most + 1)
        except zlib.error:
            continue
        if len(unpacked) > most:
            return b"", f"{TOO_LONG} {most // 1024 // 1024} MiB when unpacked"
        return (unpacked, None) if unpacker.eof else (b"", "compressed, and cut off")
    return b"", "not compressed as it says"


class TransportFailure(NamedTuple):
    """No whole answer. The driver knows whether a byte of the request left."""

    sent: bool
    kind: FailureKind
    reason: str


class DecodeFailure(NamedTuple):
    """An answer of the right status that is not what the operation gives."""

    reason: str
    key_id: str | None = None


# Without the methods that nothing uses: a dataclass pays for each at import.
@dataclass(repr=False, eq=False)
class Operation(Generic[T]):
    """One operation of the contract, for one client.

    Attributes:
        path: the path as it is logged, with {api_key_id} for an id.
        target: what stands before an id in the request line, the base URL's prefix included.
        after_id: what stands after it.
        decode: reads the answer, of the key with that id.
        idempotent: whether the same request can be sent again after one that may have been done.
        changes: whether it changes keys.
        unknown: what is to be said when nobody knows whether it was done (str).
    """

    name: str
    method: str
    path: str
    target: str
    after_id: str
    headers: SecretHeaders
    decode: Callable[[RawResponse, str | None], T | DecodeFailure]
    idempotent: bool
    changes: bool
    unknown: str


class Request(Generic[T]):
    """One request of an operation."""

    __slots__ = ("body", "key_id", "operation", "target")

    def __init__(self, operation: Operation[T], body: bytes | None = None, key_id: str | None = None) -> None:
        self.operation = operation
        self.target = operation.target if key_id is None else f"{operation.target}{key_id}{operation.after_id}"
        self.body = body
        self.key_id = key_id
