"""A sandbox whose keys are in a file."""

from __future__ import annotations

import base64
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from api_keys_client.sandbox import Sandbox
from tests.support.calling import KEYS, caller_on


@pytest.fixture
def database(tmp_path: Path) -> Path:
    # What means something in a URI means nothing here.
    return tmp_path / ("a#b%20 c.db" if os.name == "nt" else "a?b#c%20 d.db")


def test_it_survives_a_restart(database: Path) -> None:
    database.touch()
    with Sandbox(database=database) as first, caller_on(first.url, first.token) as caller:
        kept, ended = caller.create(description="kept", roles=["ORG-AUDITOR"]), caller.create()
        caller.deactivate(ended["id"])
        before = caller.call("GET", KEYS).json
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript("analyze")
    with Sandbox(database=str(database), limit=1) as second:
        assert [(key.id, key.is_active) for key in second.keys()] == [(kept["id"], True), (ended["id"], False)]
        assert second.accepts(kept["key"])
        with caller_on(second.url, second.token) as caller:
            assert caller.call("GET", KEYS).json == before
            assert caller.call("POST", KEYS, {}).status == 400
    with Sandbox(database=database, profile="spec") as spec, caller_on(spec.url, spec.token) as caller:
        aware = datetime.fromisoformat(caller.call("GET", KEYS).json[0]["created_at"])
    assert datetime.fromisoformat(kept["created_at"]).astimezone() == aware
    assert list(database.parent.iterdir()) == [database]


def test_it_holds_no_secret_and_is_for_its_owner_alone(database: Path) -> None:
    before = os.umask(0)
    try:
        with Sandbox(database=database) as sandbox, caller_on(sandbox.url, sandbox.token) as caller:
            secret = caller.create(description="findable")["key"]
            during = database.read_bytes()
            modes = {stat.S_IMODE(path.stat().st_mode) for path in database.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}
    for content in (during, database.read_bytes()):
        assert b"findable" in content
        for hidden in (secret, base64.b64decode(secret).decode().split(":")[1], sandbox.token):
            assert hidden.encode() not in content


def test_what_is_no_database_is_an_error(database: Path) -> None:
    database.write_text("This is a letter, " * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        Sandbox(database=database)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is read-only to this user")
def test_what_cannot_be_written_is_an_error(database: Path) -> None:
    Sandbox(database=database).stop()
    database.chmod(0o400)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        Sandbox(database=database)


@pytest.mark.parametrize(
    "made",
    [
        "create table sandbox_keys (id text)",
        "pragma journal_mode = wal; create table customers (name text)",
    ],
)
def test_that_of_another_program_is_left_as_it_is(database: Path, made: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(f"{made}; pragma user_version = 7")
    before = database.read_bytes()
    with pytest.raises(sqlite3.DatabaseError, match="another program"):
        Sandbox(database=database)
    assert database.read_bytes() == before


def test_what_a_killed_writer_left_is_put_right(database: Path) -> None:
    with Sandbox(database=database) as sandbox, caller_on(sandbox.url, sandbox.token) as caller:
        caller.create(description="kept")
    killed = f"""
import os, sqlite3
connection = sqlite3.connect({str(database)!r}, isolation_level=None)
connection.executescript("pragma cache_size = 1; begin; update sandbox_keys set description = 'lost'")
connection.executemany(
    "insert into sandbox_keys values (?, x'', ?, '[]', 0, null)", [(str(number), "x" * 2000) for number in range(500)]
)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", killed], check=True)
    assert database.with_name(f"{database.name}-journal").stat().st_size
    with Sandbox(database=database) as sandbox:
        assert [key.description for key in sandbox.keys()] == ["kept"]
