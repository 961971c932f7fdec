"""Where a rotation may put a new secret: `client.rotate(key_id, store=stores.file("/run/secrets/engine"))`.

Each function here makes a `store`. What raises `NotStored` has written nothing; after any other exception
it isn't known what was written, and the rotation leaves both keys active.
In the async client they hold up the event loop: `store=lambda new: asyncio.to_thread(store, new)` does not.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from pydantic import SecretStr

from api_keys_client._arguments import refused
from api_keys_client._calls import CreatedKey
from api_keys_client.errors import NotStored

__all__ = ["CommandFailed", "command", "env_file", "file"]

Store: TypeAlias = Callable[[CreatedKey], None]

STDERR_MOST = 2_000

# One line of a dotenv file or one assignment, whose quoted value may go over several lines.
_LINE = re.compile(
    rb"""
    (?P<before>[ \t]*(?:export[ \t]+)?(?P<name>[^\s=\#'"]+)[ \t]*=[ \t]*)
    (?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\r\n\#]*?(?=[ \t]*(?:[ \t]\#|[\r\n]|\Z))|[^\r\n]*)
    (?P<after>[^\r\n]*(?:\r\n|\n|\r|\Z))
    | [^\r\n]*(?:\r\n|\n|\r|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./+=:@%-]+")


class CommandFailed(Exception):
    """The command of `stores.command` ended otherwise than with 0; whether it wrote anything isn't known."""


def file(path: str | os.PathLike[str]) -> Store:
    """Writes the secret, and nothing else, to a file that only its owner can read.

    Written beside it, flushed to the disk and renamed: whoever reads sees the old secret or the new one whole.

    Raises:
        InvalidRequestError: the path is a symlink or no regular file, or others can write to its folder.
    """
    target = _checked(path)
    return lambda new: _replace(target, lambda _: new.key)


def env_file(path: str | os.PathLike[str], name: str) -> Store:
    """Writes the secret to one variable of a dotenv file, and keeps the rest of it byte for byte.

    The file is replaced like that of `file`, and is then readable by its owner only.

    Raises:
        InvalidRequestError: the name is none, the path is a symlink or no regular file, or others can write
            to its folder.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise refused("The name of a variable has letters, digits and underscores, and does not begin with a digit.")
    target = _checked(path)
    return lambda new: _replace(target, lambda before: _with_variable(before, name, new.key))


def command(argv: Sequence[str], *, timeout: float = 60.0) -> Store:
    """Gives the secret to a command on its standard input, and never in its arguments or environment.

    The command has stored it when it ends with 0. It gets this process's environment without API_KEYS_TOKEN
    and BEARER_TOKEN.

    Args:
        argv: the program and its arguments; no shell is involved.
        timeout: seconds that it may take.

    Raises:
        InvalidRequestError: argv is not a list of strings.
    """
    if isinstance(argv, str) or not argv or not all(isinstance(part, str) and "\0" not in part for part in argv):
        raise refused("A command is a list of strings: the program, then its arguments.")
    return lambda new: _run([*argv], timeout, new.key)


def _checked(path: str | os.PathLike[str]) -> Path:
    """The path as given, made absolute, if a secret can be kept there."""
    target = Path(path).absolute()
    problem = _problem(target)
    if problem:
        raise refused(f"A secret cannot be kept at {target}: {problem}.")
    return target


def _problem(target: Path) -> str | None:
    if target.is_symlink():
        return "it is a symlink"
    if target.exists() and not target.is_file():
        return "it is no regular file"
    if not target.parent.is_dir():
        return "its folder is not there"
    if os.name != "posix":
        return None
    for folder in target.parents:
        found = folder.stat()
        # In a sticky folder above, others cannot rename what is not theirs.
        writable = stat.S_IWGRP | stat.S_IWOTH
        if found.st_mode & writable and (folder == target.parent or not found.st_mode & stat.S_ISVTX):
            return f"others can write to {folder}"
        if found.st_uid not in (0, os.geteuid()):
            return f"{folder} belongs to another user"
    return None


def _replace(target: Path, content: Callable[[bytes], SecretStr]) -> None:
    """Puts the content in place; raises NotStored for all that fails before the rename."""
    problem = _problem(target)
    temporary: str | None = None
    try:
        if problem is None:
            before = target.read_bytes() if target.exists() else b""
            # mkstemp makes it readable by its owner only.
            handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            with os.fdopen(handle, "wb") as opened:
                opened.write(content(before).get_secret_value().encode("utf-8", "surrogateescape"))
                opened.flush()
                os.fsync(opened.fileno())
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except NotStored as error:
        problem = str(error)
    if problem is not None or temporary is None:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        raise NotStored(f"{target}: {problem}")
    os.replace(temporary, target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _with_variable(before: bytes, name: str, secret: SecretStr) -> SecretStr:
    """The text of a dotenv file with one variable changed, or added at its end; itself a secret."""
    lines = list(_LINE.finditer(before))
    found = [line for line in lines if line["name"] == name.encode()]
    if len(found) > 1:
        raise NotStored(f"{name} is set {len(found)} times")
    if not found:
        text = before.decode("utf-8", "surrogateescape")
        separator = "\n" if text and not text.endswith(("\n", "\r")) else ""
        return SecretStr(f"{text}{separator}{name}={_quoted(secret, '').get_secret_value()}\n")
    (line,) = found
    start, end = line.span("value")
    quote = line["value"][:1].decode("latin-1") if line["value"][:1] in (b'"', b"'") else ""
    head, tail = (part.decode("utf-8", "surrogateescape") for part in (before[:start], before[end:]))
    return SecretStr(f"{head}{_quoted(secret, quote).get_secret_value()}{tail}")


def _quoted(secret: SecretStr, quote: str) -> SecretStr:
    if _PLAIN.fullmatch(secret.get_secret_value()):
        return SecretStr(f"{quote}{secret.get_secret_value()}{quote}")
    if re.search(r"['\\\x00-\x1f]", secret.get_secret_value()):
        raise NotStored("the secret has characters that a dotenv file cannot hold")
    return SecretStr(f"'{secret.get_secret_value()}'")


def _run(argv: list[str], timeout: float, secret: SecretStr) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("API_KEYS_TOKEN", "BEARER_TOKEN")}
    problem = started = None
    with tempfile.TemporaryFile() as stderr:
        try:
            started = subprocess.Popen(  # noqa: S603  # the caller's own command, without a shell
                argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stderr, env=environment
            )
        except OSError as error:
            problem = error.strerror or type(error).__name__
        if started is None:
            raise NotStored(f"{argv[0]} could not be started: {problem}")
        try:
            started.communicate(secret.get_secret_value().encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            problem = f"was ended after {timeout:g} seconds"
        finally:
            if started.poll() is None:
                started.kill()
                started.wait()
        if problem is None and started.returncode:
            problem = f"ended with {started.returncode}"
        if problem is not None:
            stderr.seek(0)
            said = stderr.read(STDERR_MOST + len(secret)).decode("utf-8", "replace")
            said = said.replace(secret.get_secret_value(), "[secret]")[:STDERR_MOST].strip()
            raise CommandFailed(f"{argv[0]} {problem}{': ' if said else ''}{said}")
