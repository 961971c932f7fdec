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
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

from pydantic import SecretStr

from api_keys_client._core.operations import CreatedKey
from api_keys_client._core.validation import invalid_argument
from api_keys_client.errors import NotStored, strip_traceback

if sys.platform == "win32":
    import msvcrt

    def _lock_now(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock_now(handle: int) -> None:
        # Not lockf, whose locks do not keep the threads of a process apart.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


__all__ = ["CommandFailed", "command", "env_file", "file"]

Store: TypeAlias = Callable[[CreatedKey], None]

MAX_STDERR = 2_000

_ARGV = "A command is a list of strings without NUL or lone surrogates: the program, then its arguments."
_DAY = 86_400.0

LOCK_SECONDS = 30.0
"""How long a store waits for others that write to the same file."""

_LOCK_ENDING = ".api-keys-lock"
_LOCK_PLACE = f"a file beside it that ends in {_LOCK_ENDING}"
_FIRST_WAIT = 0.001
_MAX_WAIT = 0.1
_FULL = "it is there already, and is not empty"
# How often a file is read and written anew because another program changed it meanwhile.
_UPDATES_MOST = 5

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


def file(path: str | os.PathLike[str], *, overwrite: bool = True) -> Store:
    """Writes the secret, and nothing else, to a file that only its owner can read.

    Written beside it, flushed to the disk and renamed: whoever reads sees the old secret or the new one whole.
    Of several that write to one file at once, each whole, the last one stays.

    Args:
        overwrite: False takes only a file that is new or empty, both when the store is made and when it writes.

    Raises:
        InvalidRequestError: the path is none, too long, a symlink or no regular file, or others can write to its
            folder; or overwrite is False and the file is not empty.
    """
    target = _checked(path)
    if not isinstance(overwrite, bool):
        raise invalid_argument("overwrite= is True or False.")
    if overwrite:
        return lambda new: _replace(target, lambda: new.key)
    if _is_full(_version(target)):
        raise invalid_argument(_printable(f"A secret cannot be kept at {target}: {_FULL}."))
    return lambda new: _update(target, lambda: new.key, only_new=True)


def env_file(path: str | os.PathLike[str], name: str) -> Store:
    """Writes the secret to one variable of a dotenv file, and keeps the rest of it byte for byte.

    The file is replaced like that of `file`, and is then readable by its owner only. Several variables of one file
    can be written at once, by threads or processes: each waits for the others. If another program changes the file
    meanwhile, it is read again.

    Raises:
        InvalidRequestError: the name is none, or the path is none, too long, a symlink or no regular file, or
            others can write to its folder.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid_argument(
            "The name of a variable has letters, digits and underscores, and does not begin with a digit."
        )
    target = _checked(path)
    return lambda new: _update(target, lambda: _with_variable(_text_of(target), name, new.key))


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
    if isinstance(argv, (str, bytes)) or not isinstance(argv, Sequence) or not argv:
        raise invalid_argument(_ARGV)
    words = [*argv]
    if not all(map(_is_word, words)):
        raise invalid_argument(_ARGV)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= _DAY:
        raise invalid_argument("timeout= is a positive number of seconds, at most a day.")
    return lambda new: _run(words, timeout, new.key)


def _is_word(word: object) -> bool:
    """Tells whether it can be the argument of a program."""
    try:
        return isinstance(word, str) and b"\0" not in os.fsencode(word)
    except UnicodeEncodeError:
        return False


def _checked(path: str | os.PathLike[str]) -> Path:
    """Gives the path as given, made absolute, if a secret can be kept there."""
    try:
        target = Path(path).absolute()
        os.fsencode(target)
    except TypeError:
        raise invalid_argument(
            f"A file's path is a string or an os.PathLike of one, not {type(path).__name__}."
        ) from None
    except UnicodeEncodeError:
        raise invalid_argument("A file's path holds a lone surrogate, so no file can have it.") from None
    except OSError:
        raise invalid_argument(
            "A file's path is relative, and the working directory is gone or cannot be read."
        ) from None
    problem = _problem(target)
    if problem:
        raise invalid_argument(_printable(f"A secret cannot be kept at {target}: {problem}."))
    return target


def _printable(text: str) -> str:
    """Gives the text with the bytes of a path that are no text spelled out: it could not be printed with them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _problem(target: Path) -> str | None:
    """Says why a secret cannot be kept there; None if it can."""
    try:
        return _unfit(target)
    except OSError as error:
        return _reason(error)


def _unfit(target: Path) -> str | None:
    if "\0" in str(target):
        return "it is no path"
    # The longest name of what is written beside it: refused now and not when the secret is there to be written.
    with suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(target.parent / f".{target.name}{_LOCK_ENDING}")
    if target.is_symlink():
        return "it is a symlink"
    if target.exists() and not target.is_file():
        return "it is no regular file"
    if not target.parent.is_dir():
        return "its folder is not there"
    if os.name != "posix":
        return None
    # Both as the path is written and as it is without symlinks: either way could be changed.
    nearest = (target.parent, Path(os.path.realpath(target.parent)))
    for folder in (*nearest, *nearest[0].parents, *nearest[1].parents):
        found = folder.stat()
        # In a sticky folder above, others cannot rename what is not theirs.
        writable = stat.S_IWGRP | stat.S_IWOTH
        if found.st_mode & writable and (folder in nearest or not found.st_mode & stat.S_ISVTX):
            return f"others can write to {folder}"
        if found.st_uid not in (0, os.geteuid()):
            return f"{folder} belongs to another user"
    return None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _not_stored(place: Path, problem: str) -> NotStored:
    return NotStored(_printable(f"{place}: {problem}"))


def _write(target: Path, content: Callable[[], SecretStr], put: Callable[[str], bool]) -> bool:
    """Writes the content to a file beside the target, and returns whether `put` moved it there.

    Raises:
        NotStored: something failed before that.
    """
    problem = _problem(target)
    beside: str | None = None
    is_put = False
    try:
        if problem is None:
            handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            with os.fdopen(handle, "wb") as opened:
                if os.name == "posix":
                    # mkstemp's own 0600 goes through the umask.
                    os.fchmod(handle, 0o600)
                opened.write(content().get_secret_value().encode("utf-8", "surrogateescape"))
                opened.flush()
                os.fsync(handle)
            is_put = put(beside)
    except OSError as error:
        problem = _reason(error)
    except NotStored as error:
        problem = str(error)
    finally:
        if beside is not None:
            # After a rename there is nothing of that name.
            Path(beside).unlink(missing_ok=True)
    if problem is not None:
        raise _not_stored(target, problem)
    if is_put and os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return is_put


def _replace(target: Path, content: Callable[[], SecretStr]) -> None:
    """Puts the content in place of whatever is there; raises NotStored for all that fails before the rename."""

    def put(beside: str) -> bool:
        os.replace(beside, target)
        return True

    _write(target, content, put)


def _update(target: Path, content: Callable[[], SecretStr], *, only_new: bool = False) -> None:
    """Puts the content in place of what it was made from, and never over what came there meanwhile.

    Raises:
        NotStored: nothing was written.
    """
    problem = _problem(target)
    if problem is not None:
        raise _not_stored(target, problem)
    lock = target.with_name(f".{target.name}{_LOCK_ENDING}")
    with _locked(lock, target) as opened:
        try:
            for _ in range(_UPDATES_MOST):
                before = _version(target)
                if only_new and _is_full(before):
                    raise _not_stored(target, _FULL)
                if _write(target, content, partial(_put_if_unchanged, target, before)):
                    return
        finally:
            # By whoever holds it, and only the file that is locked: so nobody else's lock is deleted.
            with suppress(OSError):
                if _is_at(opened, lock):
                    os.unlink(lock)
    raise _not_stored(target, f"another program changed it {_UPDATES_MOST} times while it was to be written")


class _Version(NamedTuple):
    """What changes when a file is replaced or written to."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


def _version(target: Path) -> _Version | None:
    """Gives the file's version; None where there is no file."""
    try:
        found = os.lstat(target)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _not_stored(target, _reason(error)) from None
    return _Version(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _is_full(found: _Version | None) -> bool:
    return found is not None and found.size > 0


def _put_if_unchanged(target: Path, before: _Version | None, beside: str) -> bool:
    """Gives the file beside the target its name, if what has that name is as it was before; returns whether it did."""
    if _version(target) != before:
        return False
    if before is not None:
        os.replace(beside, target)
        return True
    try:
        # Unlike a rename, a link never takes the place of a file.
        os.link(beside, target)
    except FileExistsError:
        return False
    except OSError:
        return _put_without_link(beside, target)
    return True


def _put_without_link(beside: str, target: Path) -> bool:
    """Does the same on a filesystem without hard links: an empty file of ours takes the name first."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    try:
        os.replace(beside, target)
    except BaseException:
        # Unless an interrupt came right after the rename.
        with suppress(OSError):
            if os.lstat(target).st_size == 0:
                os.unlink(target)
        raise
    return True


def _locked(lock: Path, target: Path) -> IO[bytes]:
    """Opens the lock file, and locks it against other threads and processes until it is closed.

    The lock is on a file beside the target, because the target itself is replaced.

    Raises:
        NotStored: there can be no such file, or somebody else held the lock for LOCK_SECONDS.
    """
    until = time.monotonic() + LOCK_SECONDS
    wait = _FIRST_WAIT
    while True:
        try:
            opened = open(lock, "r+b", buffering=0, opener=_open_lock)  # noqa: SIM115  # the caller closes it
            try:
                # Who held the lock before may have deleted the file meanwhile: then another one counts.
                if _lock(opened) and _is_at(opened, lock):
                    return opened
            except BaseException:
                opened.close()
                raise
        except OSError as error:
            raise _not_stored(target, f"its lock, {_LOCK_PLACE}, cannot be had: {_reason(error)}") from None
        opened.close()
        if time.monotonic() > until:
            raise _not_stored(target, f"its lock, {_LOCK_PLACE}, was not free for {LOCK_SECONDS:g} seconds")
        # The system's own wait for a lock has no limit.
        time.sleep(wait)
        wait = min(2 * wait, _MAX_WAIT)


def _open_lock(path: str, _: int) -> int:
    # A symlink is not followed, and a FIFO not waited for.
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, os.O_CREAT | os.O_RDWR | flags, 0o600)


def _lock(opened: IO[bytes]) -> bool:
    """Locks the file if nobody else has; returns whether it did."""
    try:
        _lock_now(opened.fileno())
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_at(opened: IO[bytes], path: Path) -> bool:
    """Returns whether the open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False


def _text_of(target: Path) -> SecretStr:
    """Gives what a file holds, secrets among it; bytes that are no UTF-8 survive in it."""
    return SecretStr(target.read_bytes().decode("utf-8", "surrogateescape") if target.exists() else "")


def _with_variable(before: SecretStr, name: str, secret: SecretStr) -> SecretStr:
    """Gives the text of a dotenv file with one variable changed, or added at its end."""
    # Asked for at each use, so that no local holds it.
    text = before.get_secret_value
    places = [line.span("value") for line in _LINE.finditer(text()) if line["name"] == name]
    if len(places) > 1:
        raise NotStored(f"{name} is set {len(places)} times")
    if places:
        ((start, end),) = places
        quote = next((mark for mark in ("'", '"') if text().startswith(mark, start, end)), "")
        return SecretStr(f"{text()[:start]}{_quoted(secret, quote).get_secret_value()}{text()[end:]}")
    line_end = "\r\n" if "\r\n" in text() else "\n"
    separator = line_end if text() and not text().endswith(("\n", "\r")) else ""
    return SecretStr(f"{text()}{separator}{name}={_quoted(secret, '').get_secret_value()}{line_end}")


def _quoted(secret: SecretStr, quote: str) -> SecretStr:
    if not _PLAIN.fullmatch(secret.get_secret_value()):
        if _NOT_IN_QUOTES.search(secret.get_secret_value()):
            raise NotStored("the secret has characters that a dotenv file cannot hold")
        quote = "'"
    return SecretStr(f"{quote}{secret.get_secret_value()}{quote}")


def _run(argv: list[str], timeout: float, secret: SecretStr) -> None:
    started = _start(argv)
    if isinstance(started, str):
        raise NotStored(_printable(f"{argv[0]} could not be started: {started}"))
    process, stderr = started
    problem = ""
    with stderr, process:
        try:
            process.communicate(secret.get_secret_value().encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            problem = f"was ended after {timeout:g} seconds"
        except BaseException as interruption:
            # The frames below hold what is written.
            raise strip_traceback(interruption) from None
        finally:
            if process.poll() is None:
                process.kill()
                # Not left to `with`, which after a Ctrl-C does not wait.
                process.wait()
        problem = problem or (f"ended with {process.returncode}" if process.returncode else "")
        if problem:
            said = _said(stderr, secret)
            raise CommandFailed(_printable(f"{argv[0]} {problem}{': ' if said else ''}{said}"))


def _start(argv: list[str]) -> tuple[subprocess.Popen[bytes], IO[bytes]] | str:
    """Gives the process and the file that its stderr goes to, which no grandchild can hold up; or why there is none."""
    stderr: IO[bytes] | None = None
    try:
        stderr = tempfile.TemporaryFile()  # noqa: SIM115  # whoever runs the command closes it
        process = subprocess.Popen(  # noqa: S603  # the caller's own command, without a shell
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            # In no local: it may hold other secrets.
            env={name: value for name, value in os.environ.items() if name not in ("API_KEYS_TOKEN", "BEARER_TOKEN")},
        )
    except (OSError, ValueError) as error:
        if stderr is not None:
            stderr.close()
        return _reason(error)
    return process, stderr


def _said(stderr: IO[bytes], secret: SecretStr) -> str:
    """Gives the beginning of what a command said, without the secret."""
    length = len(secret.get_secret_value().encode())
    # As long as the secret, so that what comes behind stays where the cut is.
    mask = b"[secret]".ljust(length, b"\0")[:length]
    stderr.seek(0)
    said = stderr.read(MAX_STDERR + length).replace(secret.get_secret_value().encode(), mask)[:MAX_STDERR]
    text = said.replace(b"\0", b"").decode("utf-8", "replace")
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text).strip()
