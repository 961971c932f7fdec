"""A secret as one of a dotenv file's variables, of which the rest stays as it was."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import given, strategies

from api_keys_client import InvalidRequestError, NotStored, stores
from tests.support.rotations import caught, properties
from tests.support.storing import NEW, OLD, created, left_in, not_stored

VALUES = {
    "plain": (b"KEY=old\n", b"KEY=%s\n"),
    "double quotes": (b'KEY="old"\n', b'KEY="%s"\n'),
    "single quotes": (b"KEY='old'\n", b"KEY='%s'\n"),
    "spaces": (b"  export\tKEY = old  \n", b"  export\tKEY = %s  \n"),
    "no line end": (b"A=1\nKEY=old", b"A=1\nKEY=%s"),
    "windows": (b"A=1\r\nKEY=old\r\nB=2\r\n", b"A=1\r\nKEY=%s\r\nB=2\r\n"),
    "comment after it": (b"KEY=old # from the vault\n", b"KEY=%s # from the vault\n"),
    "comment after quotes": (b"KEY='old' # it's\n", b"KEY='%s' # it's\n"),
    "quotes and more": (b'KEY="old"er\n', b'KEY="%s"\n'),
    "quote left open": (b'KEY="old\nB=2\n', b'KEY="%s"\nB=2\n'),
    "several lines": (b'KEY="o\nKEY=l\nd"\nB=2\n', b'KEY="%s"\nB=2\n'),
    "in another's lines": (b'A="\nKEY=inner\n"\nKEY=old\n', b'A="\nKEY=inner\n"\nKEY=%s\n'),
    "in a comment only": (b"# KEY=old\n", b"# KEY=old\nKEY=%s\n"),
    "missing, no line end": (b"A=1", b"A=1\nKEY=%s\n"),
    "no utf-8": (b"A=\xff\xfe\nKEY=\xe9\nB=\x80\n", b"A=\xff\xfe\nKEY=%s\nB=\x80\n"),
    "a byte-order mark": (b"\xef\xbb\xbfKEY=old\nB=2\n", b"\xef\xbb\xbfKEY=%s\nB=2\n"),
}

# Lines as people write them, each whole, and none that sets KEY.
OTHER_LINES = strategies.one_of(
    strategies.sampled_from(["", "  ", "# don't", "# KEY=1", "export", 'A="a b" # c', "export B='x'", "C=", "D = 1 "]),
    strategies.sampled_from(['E="1\n2"', "F='\nKEY=1\n'", 'G="\\"\nKEY=2"', "H=it#s # so", "I=ö", "KEYS=1", "A.B=1"]),
)
KEY_LINES = strategies.tuples(
    strategies.sampled_from(["KEY=", "export KEY=", " KEY = ", "export\tKEY= "]),
    strategies.sampled_from(["old", "'old'", '"old"', '"o\nld"', "o#ld", "'it''s", "'\\''", "", '"old" ', "o ld"]),
    strategies.sampled_from(["", " # why", "\t#'", "  "]),
)
SECRETS = strategies.text("abcXYZ012+/=_-.:", min_size=1) | strategies.text('ab c$#"`&;!', min_size=1)


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A file in memory, if there is such a place: what a disk takes to flush would go into hundreds of examples."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder, ".env")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.mark.parametrize("case", VALUES)
def test_one_value_is_replaced(path: Path, case: str) -> None:
    before, after = VALUES[case]
    path.write_bytes(before)
    stores.env_file(path, "KEY")(created())
    assert path.read_bytes() == after.replace(b"%s", NEW.encode())


def test_a_shell_reads_it(path: Path) -> None:
    for case in ("plain", "double quotes", "single quotes", "comment after it", "quotes and more"):
        path.write_bytes(VALUES[case][0])
        for secret in (NEW, 'a "b" $c `d` #e & (f)'):
            stores.env_file(path, "KEY")(created(secret))
            read = ["sh", "-c", '. "$0"; printf %s "$KEY"', str(path)]
            assert subprocess.run(read, capture_output=True, check=True).stdout == secret.encode(), case


@properties
@given(
    strategies.lists(OTHER_LINES),
    strategies.none() | KEY_LINES,
    strategies.lists(OTHER_LINES),
    strategies.sampled_from(["\n", "\r\n"]),
    strategies.booleans(),
    SECRETS,
)
def test_a_library_reads_the_secret_and_the_rest_as_before(
    scratch: Path,
    head: list[str],
    line: tuple[str, str, str] | None,
    tail: list[str],
    line_end: str,
    ended: bool,
    secret: str,
) -> None:
    lines = [*head, *([] if line is None else ["".join(line)]), *tail]
    before = (line_end.join(lines) + line_end * ended).replace("\n", line_end)
    scratch.write_bytes(before.encode())
    others = {name: value for name, value in dotenv_values(scratch, interpolate=False).items() if name != "KEY"}
    stores.env_file(scratch, "KEY")(created(secret))
    assert dotenv_values(scratch, interpolate=False) == {**others, "KEY": secret}


@properties
@given(strategies.binary() | strategies.text("KEY=\n\r\t '\"\\#ab").map(str.encode))
def test_any_bytes_around_the_value_are_kept(scratch: Path, before: bytes) -> None:
    scratch.write_bytes(before)
    error = caught(lambda: stores.env_file(scratch, "KEY")(created("first.secret")))
    after = scratch.read_bytes()
    if error is not None:
        assert isinstance(error, (NotStored, InvalidRequestError))
        assert after == before
        return
    stores.env_file(scratch, "KEY")(created("second_secret"))
    assert scratch.read_bytes() == after.replace(b"first.secret", b"second_secret")
    head, _, tail = after.partition(b"first.secret")
    if head[-1:] in (b"'", b'"'):
        head, tail = head[:-1], tail[1:]
    assert after.startswith(before) or (before.startswith(head) and before.endswith(tail))


@pytest.mark.parametrize("line", ["OTHER=%sx", "KEY=a%sb", "KEY='a'%sb", "KEY=%s# c"])
def test_a_long_run_of_blanks_costs_no_time(path: Path, line: str) -> None:
    path.write_text(line % (" " * 20_000))
    began = time.process_time()
    stores.env_file(path, "KEY")(created())
    # A hundred times what it takes; when the time grew with the square of the length it was several seconds.
    assert time.process_time() - began < 1
    assert dotenv_values(path, interpolate=False)["KEY"] == NEW


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le"])
def test_a_file_in_another_encoding_is_refused_before_there_is_a_key(path: Path, encoding: str) -> None:
    """As PowerShell writes them."""
    store = stores.env_file(path, "KEY")
    path.write_text("KEY=old\n", encoding=encoding)
    with pytest.raises(InvalidRequestError, match="no UTF-8: save it in that encoding first"):
        stores.env_file(path, "KEY")
    assert "no UTF-8" in not_stored(store)
    assert path.read_text(encoding=encoding) == "KEY=old\n"


def test_a_variable_that_is_set_twice_is_not_guessed_at(path: Path) -> None:
    path.write_text(f"KEY={OLD}\nexport KEY='x'\n")
    assert not_stored(stores.env_file(path, "KEY")) == f"{path}: KEY is set 2 times"
    assert path.read_text() == f"KEY={OLD}\nexport KEY='x'\n"
    assert left_in(path.parent) == [path.name]


def test_a_secret_that_such_a_file_cannot_hold(path: Path) -> None:
    path.write_text("KEY=old\n")
    for secret in ("it's", "back\\slash", "two\nlines", "nul\0", "cr\r", "tab\t", "\x1b[2J", "\x7f"):
        with pytest.raises(NotStored, match="characters that a dotenv file cannot hold"):
            stores.env_file(path, "KEY")(created(secret))
    assert path.read_text() == "KEY=old\n"


def test_a_name_that_is_none_is_refused(path: Path) -> None:
    names: list[Any] = ["", "1A", "A-B", "A B", "A=B", "A\n", "Ä", None, b"A"]
    for name in names:
        with pytest.raises(InvalidRequestError, match="name of a variable"):
            stores.env_file(path, name)
