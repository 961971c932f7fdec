"""The keys that a sandbox knows, in SQLite."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sqlite3
import time
import uuid
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

_APPLICATION_ID: Final = 0x41504B53
"""By which SQLite's files say whose they are."""
_OPEN: Final = f"""
    pragma synchronous = off; -- only a machine that loses its power loses a key by this
    pragma application_id = {_APPLICATION_ID}; -- fails here if the file cannot be written
    create table if not exists sandbox_keys (
        id text primary key, digest blob not null, description text, roles text not null,
        created_at real not null, deactivated_at real
    )
"""
_COLUMNS: Final = "id, description, roles, created_at, deactivated_at"
_ACTIVE: Final = "from sandbox_keys where deactivated_at is null"


class StoredKey(NamedTuple):
    """A key as the sandbox's database has it; times are seconds since the epoch."""

    id: str
    description: str | None
    roles: tuple[str, ...]
    created_at: float
    deactivated_at: float | None

    @property
    def is_active(self) -> bool:
        """Tells whether the key has not been deactivated."""
        return self.deactivated_at is None


class KeyStore:
    """The keys, in SQLite; of a secret it keeps the SHA-256 only. Not thread-safe: its user holds a lock."""

    def __init__(self, database: str | os.PathLike[str]) -> None:
        if database not in (":memory:", ""):
            try:
                # A new file is for its owner alone.
                os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
            except OSError as error:
                raise sqlite3.OperationalError(error.strerror) from None
        self._connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        try:
            (whose,) = self._connection.execute("pragma application_id").fetchone()
            if whose != _APPLICATION_ID and self._connection.execute("select * from sqlite_master").fetchone():
                raise sqlite3.DatabaseError("it is the database of another program")
            self._connection.executescript(_OPEN)
        except sqlite3.Error:
            self._connection.close()
            raise

    def add(
        self, description: str | None, roles: list[str], created_at: float, limit: int
    ) -> tuple[StoredKey, str] | None:
        """Gives a new key and its secret, or None when `limit` keys are active.

        Raises:
            ValueError: the description has what text of PostgreSQL cannot have, a NUL or a lone surrogate.
        """
        if "\0" in (description or ""):
            raise ValueError("PostgreSQL's text has no NUL")
        key = StoredKey(str(uuid.uuid4()), description, tuple(roles), created_at, None)
        secret = base64.b64encode(f"{key.id}:{secrets.token_urlsafe(32)}".encode()).decode()
        added = self._connection.execute(
            f"insert into sandbox_keys select ?, ?, ?, ?, ?, null where (select count(*) {_ACTIVE}) < ?",
            (key.id, _digest(secret), description, json.dumps(roles), created_at, limit),
        )
        return (key, secret) if added.rowcount else None

    def find(self, key_id: str) -> StoredKey | None:
        """Gives the key with this id, active or not."""
        return next(self._select("from sandbox_keys where id = ?", key_id), None)

    def active(self) -> list[StoredKey]:
        """Gives the active keys in the order of their digests, which has nothing to do with their age."""
        return [*self._select(f"{_ACTIVE} order by digest")]

    def all(self) -> list[StoredKey]:
        """Gives every key, active or not, in the order of creation."""
        return [*self._select("from sandbox_keys order by rowid")]

    def deactivate(self, key_id: str) -> StoredKey | None:
        """Deactivates the key, again if it was inactive already."""
        self._connection.execute("update sandbox_keys set deactivated_at = ? where id = ?", (time.time(), key_id))
        return self.find(key_id)

    def active_with(self, secret: str) -> StoredKey | None:
        """Gives the active key whose secret this is."""
        return next(self._select(f"{_ACTIVE} and digest = ?", _digest(secret)), None)

    def clear(self) -> None:
        """Forgets every key."""
        self._connection.execute("delete from sandbox_keys")

    def close(self) -> None:
        """Closes the database; a `:memory:` one is gone with that."""
        self._connection.close()

    def _select(self, rest: str, *values: str | bytes) -> Iterator[StoredKey]:
        for key_id, description, roles, *times in self._connection.execute(f"select {_COLUMNS} {rest}", values):
            yield StoredKey(key_id, description, tuple(json.loads(roles)), *times)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()
