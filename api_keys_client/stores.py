"""Where a rotation may put a new secret: `client.rotate(key_id, store=stores.file("/run/secrets/engine"))`.

Each function here makes a `store`. What raises `NotStored` has written nothing; after any other exception
it isn't known what was written, and the rotation leaves both keys active.
In the async client they hold up the event loop: `store=lambda new: asyncio.to_thread(store, new)` does not.
"""

from __future__ import annotations

import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from pydantic import SecretStr

from api_keys_client._core.operations import CreatedKey
from api_keys_client._core.validation import invalid_argument
from api_keys_client._files import check_place, is_full, printable, reason, replace_file, update_file
from api_keys_client._programs import NotStarted, ProgramFailed, check_program, run_program
from api_keys_client.errors import NotStored

__all__ = ["CommandFailed", "command", "env_file", "file"]

Store: TypeAlias = Callable[[CreatedKey], None]

# One line of a dotenv file or one assignment, whose quoted value may go over several lines.
_LINE = re.compile(
    r"""
    [ \t]*(?:export[ \t]+)?(?P<name>[^\s=\#'"]+)[ \t]*=(?:[ \t]*(?=[^\s\#]))?
    (?P<value>
        (?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\S*(?=[ \t]*(?:[ \t]\#|[\r\n]|\Z))
        # Each run of blanks is read once, so that the time grows with the length of the line and no faster.
        | (?:[^ \t\r\n]+|[ \t]+(?![ \t\#\r\n]|\Z))*
    )
    [^\r\n]*(?:\r\n|\n|\r|\Z)
    | [^\r\n]*(?:\r\n|\n|\r|\Z)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./+=:@%-]+")
_NOT_IN_QUOTES = re.compile(r"['\\\x00-\x1f\x7f]|\$\{")


class CommandFailed(Exception):
    """The command of `stores.command` ended otherwise than with 0; whether it wrote anything isn't known."""


def file(path: str | os.PathLike[str], *, overwrite: bool = True, follow_symlinks: bool = False) -> Store:
    """Writes the secret, and nothing else, to a file.

    Written beside it, flushed to the disk and renamed: whoever reads sees the old secret or the new one whole. Of
    several that write to one file at once, each whole, the last one stays. A new file can be read by its owner only;
    one that is there keeps its owner, its group and what they may do.

    Args:
        overwrite: False takes only a file that is new or empty, both when the store is made and when it writes.
        follow_symlinks: True takes a symlink for the file where it leads when the store is made.

    Raises:
        InvalidRequestError: no secret can be kept there, and the text names the way out: the path is none, a symlink or
            no regular file, others can write to its folder, or its owner, group or ACL would be lost; or overwrite is
            False and the file is not empty.
    """
    target = check_place(path, follow_symlinks=follow_symlinks)
    if not isinstance(overwrite, bool):
        raise invalid_argument("overwrite= is True or False.")
    if overwrite:
        return lambda new: replace_file(target, new.key.get_secret_value)
    if is_full(target):
        raise invalid_argument(
            printable(f"A secret cannot be kept at {target}: it is there already, and is not empty.")
        )
    return lambda new: update_file(target, new.key.get_secret_value, only_new=True)


def env_file(path: str | os.PathLike[str], name: str, *, follow_symlinks: bool = False) -> Store:
    """Writes the secret to one variable of a dotenv file, and keeps the rest of it byte for byte.

    The file is replaced like that of `file`. Several variables of one file can be written at once, by threads or
    processes: each waits for the others. If another program changes the file meanwhile, it is read again.

    Args:
        name: of the variable.
        follow_symlinks: as of `file`.

    Raises:
        InvalidRequestError: the name is none, no secret can be kept there, as of `file`, or the file is no UTF-8.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid_argument(
            "The name of a variable has letters, digits and underscores, and does not begin with a digit."
        )
    target = check_place(path, follow_symlinks=follow_symlinks)
    if problem := _unreadable(target):
        raise invalid_argument(printable(f"A secret cannot be kept at {target}: {problem}."))
    return lambda new: update_file(target, lambda: _with_variable(_text_of(target), name, new.key.get_secret_value()))


def command(argv: Sequence[str], *, timeout: float = 60.0) -> Store:
    """Gives the secret to a command on its standard input, and never in its arguments or environment.

    The command has stored it when it ends with 0. It gets this process's environment without API_KEYS_TOKEN
    and BEARER_TOKEN.

    Args:
        argv: the program and its arguments; no shell is involved.
        timeout: seconds that it may take; then it is ended, but not what it started itself.

    Raises:
        InvalidRequestError: argv is not a list of strings that a program can be given, or timeout no number of seconds.
    """
    words = check_program(argv, timeout)
    return lambda new: _give(words, timeout, new.key)


def _text_of(target: Path) -> str:
    """Gives what a file holds, secrets among it; bytes that are no UTF-8 survive in it.

    Raises:
        NotStored: it is written in UTF-16 or UTF-32, or cannot be read.
    """
    try:
        content = target.read_bytes() if target.exists() else b""
    except OSError as error:
        raise NotStored(reason(error)) from None
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or b"\0" in content:
        raise NotStored("it is no UTF-8: save it in that encoding first")
    return content.decode("utf-8", "surrogateescape")


def _unreadable(target: Path) -> str:
    """Says why a file cannot be read as a dotenv file; empty if it can."""
    try:
        _text_of(target)
    except NotStored as error:
        return str(error)
    return ""


def _with_variable(text: str, name: str, secret: str) -> str:
    """Gives the text of a dotenv file with one variable changed, or added at its end."""
    begin = 1 if text.startswith("\ufeff") else 0
    places = [line.span("value") for line in _LINE.finditer(text, begin) if line["name"] == name]
    if len(places) > 1:
        raise NotStored(f"{name} is set {len(places)} times")
    if places:
        ((start, end),) = places
        quote = next((mark for mark in ("'", '"') if text.startswith(mark, start, end)), "")
        return f"{text[:start]}{_quoted(secret, quote)}{text[end:]}"
    line_end = "\r\n" if "\r\n" in text else "\n"
    separator = line_end if text and not text.endswith(("\n", "\r")) else ""
    return f"{text}{separator}{name}={_quoted(secret, '')}{line_end}"


def _quoted(secret: str, quote: str) -> str:
    if not _PLAIN.fullmatch(secret):
        if _NOT_IN_QUOTES.search(secret):
            raise NotStored("the secret has characters that a dotenv file cannot hold")
        quote = "'"
    return f"{quote}{secret}{quote}"


def _give(argv: list[str], timeout: float, secret: SecretStr) -> None:
    try:
        run_program(argv, stdin=secret, timeout=timeout)
    except NotStarted as error:
        raise NotStored(f"{printable(argv[0])} {error}") from None
    except ProgramFailed as error:
        raise CommandFailed(f"{printable(argv[0])} {error}") from None
