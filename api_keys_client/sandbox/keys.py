"""The keys that a sandbox knows, in SQLite."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sqlite3
import time
import uuid
from hashlib import sha256
from typing import Final, NamedTuple

_OPEN: Final = """
    pragma synchronous = off; -- a killed sandbox loses nothing so, only a machine without power might
    pragma user_version = 1; -- written so that a file that cannot be fails here
    create table if not exists sandbox_keys (
        id text primary key, digest blob not null, description text, roles text not null,
        created_at real not null, deactivated_at real
    )
"""
_OPEN_COLUMNS: Final = {"id", "digest", "description", "roles", "created_at", "deactivated_at"}
_TABLES: Final = (
    "select name from sqlite_master where type in ('table', 'view') and name not like 'sqlite^_%' escape '^'"
)
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
            tables = {name for (name,) in self._connection.execute(_TABLES)}
            info = self._connection.execute("select name from pragma_table_info('sandbox_keys')")
            columns = {name for (name,) in info}
            if (tables, columns) not in ((set(), set()), ({"sandbox_keys"}, _OPEN_COLUMNS)):
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
        return next(iter(self._select("from sandbox_keys where id = ?", key_id)), None)

    def active(self) -> list[StoredKey]:
        """Gives the active keys in the order of their digests, which has nothing to do with their age."""
        return self._select(f"{_ACTIVE} order by digest")

    def all(self) -> list[StoredKey]:
        """Gives every key, active or not, in the order of creation."""
        return self._select("from sandbox_keys order by rowid")

    def deactivate(self, key_id: str) -> StoredKey | None:
        """Deactivate the key, again if it was inactive already."""
        self._connection.execute("update sandbox_keys set deactivated_at = ? where id = ?", (time.time(), key_id))
        return self.find(key_id)

    def active_with(self, secret: str) -> StoredKey | None:
        """Gives the active key whose secret this is."""
        return next(iter(self._select(f"{_ACTIVE} and digest = ?", _digest(secret))), None)

    def clear(self) -> None:
        """Forget every key."""
        self._connection.execute("delete from sandbox_keys")

    def close(self) -> None:
        """Close the database; a `:memory:` one is gone with that."""
        self._connection.close()

    def _select(self, rest: str, *values: str | bytes) -> list[StoredKey]:
        rows = self._connection.execute(f"select {_COLUMNS} {rest}", values)
        return [
            StoredKey(key_id, description, tuple(json.loads(roles)), created_at, deactivated_at)
            for key_id, description, roles, created_at, deactivated_at in rows
        ]


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()
