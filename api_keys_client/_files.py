"""A file that is replaced as a whole, so that whoever reads it sees the old content or the new one.

Its owner, its group and what they may do stay; what others may do is taken away.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from api_keys_client._core.validation import invalid_argument
from api_keys_client.errors import NotStored, strip_traceback

Content: TypeAlias = Callable[[], str]
"""Gives what is to be written: asked for while it is written, so that no local of ours holds it."""
Version: TypeAlias = tuple[int, ...]

LOCK_SECONDS = 30.0
"""How long a writer waits for others that write in the same folder."""

LOCK_NAME = ".api-keys-lock"
"""An empty file in each folder with a file that several may write to."""

_MAX_UPDATES = 5
"""How often a file is read and written anew because another program changed it meanwhile."""

_MAX_LINKS = 40
"""After so many symlinks they lead in a circle, and the last one is refused."""


def check_place(path: str | os.PathLike[str], *, follow_symlinks: bool) -> Path:
    """Gives the path made absolute, if a secret can be kept there.

    Raises:
        InvalidRequestError: it cannot; the text names the way out.
    """
    if not isinstance(follow_symlinks, bool):
        raise invalid_argument("follow_symlinks= is True or False.")
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
    problem = None
    try:
        # Each folder on the way holds a link that others could point elsewhere.
        for _ in range(_MAX_LINKS):
            if not (follow_symlinks and target.is_symlink()):
                break
            if problem := _open_to_others(target.parent):
                problem = f"it is a symlink that cannot be followed: {problem}"
                break
            target = Path(os.path.normpath(target.parent / os.readlink(target)))
        problem = problem or _problem(target)
    except OSError as error:
        problem = reason(error)
    except ValueError:
        problem = "it is no path"
    if problem:
        raise invalid_argument(printable(f"A secret cannot be kept at {target}: {problem}."))
    return target


def replace_file(target: Path, content: Content) -> None:
    """Puts the content in place of whatever is there.

    Raises:
        NotStored: something failed before that.
    """
    with _not_stored(target), _written_beside(target, content) as beside:
        os.replace(beside, target)
    _flush(target.parent)


def update_file(target: Path, content: Content, *, only_new: bool = False) -> None:
    """Puts the content in place of what it was made from, and never over what came there meanwhile.

    Raises:
        NotStored: nothing was written; with only_new, because the file is not empty.
    """
    with _not_stored(target), _locked(target.parent):
        for _ in range(_MAX_UPDATES):
            before = version_of(target)
            if only_new and is_full(target):
                raise NotStored("it is there already, and is not empty")
            with _written_beside(target, content) as beside:
                if _put_if_unchanged(beside, target, before):
                    break
        else:
            raise NotStored(f"another program changed it {_MAX_UPDATES} times while it was to be written")
    _flush(target.parent)


def version_of(path: str | Path, *, follow_symlinks: bool = False) -> Version | None:
    """Gives what changes when a file is replaced or written to; None where there is none."""
    try:
        found = os.stat(path, follow_symlinks=follow_symlinks)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def is_full(target: Path) -> bool:
    """Tells whether there is a file that is not empty."""
    return target.exists() and target.stat().st_size > 0


def printable(text: str) -> str:
    """Gives the text with what could not be printed spelled out: a path may hold anything."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def reason(error: Exception) -> str:
    """Says why a call of the system failed, without the path or what else the error's text holds."""
    if isinstance(error, OSError) and error.errno == errno.EBUSY:
        return "it is a mount of its own, which cannot be replaced: mount its folder instead"
    return getattr(error, "strerror", None) or type(error).__name__


@contextmanager
def _not_stored(target: Path) -> Iterator[None]:
    """Turns what fails into a NotStored that names the file, without the frames that hold what was to be written."""
    try:
        yield
        return
    except (NotStored, OSError) as error:
        problem = reason(error) if isinstance(error, OSError) else str(error)
        strip_traceback(error)
    raise NotStored(printable(f"{target}: {problem}")) from None


@contextmanager
def _written_beside(target: Path, content: Content) -> Iterator[str]:
    """Looks at the place once more, and writes the content to a file beside the target, to be given its name."""
    if problem := _problem(target):
        raise NotStored(problem)
    handle, beside = tempfile.mkstemp(prefix=".api-keys-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as opened:
            if os.name == "posix":
                # mkstemp's own 0600 goes through the umask.
                os.fchmod(handle, 0o600)
            opened.write(content().encode("utf-8", "surrogateescape"))
            opened.flush()
            if os.name == "posix" and target.exists():
                found = target.stat()
                os.fchown(handle, found.st_uid, found.st_gid)
                os.fchmod(handle, stat.S_IMODE(found.st_mode) & 0o770)
            os.fsync(handle)
        yield beside
    finally:
        # After a rename there is nothing of that name.
        Path(beside).unlink(missing_ok=True)


def _put_if_unchanged(beside: str, target: Path, before: Version | None) -> bool:
    """Gives the file beside the target its name, if what has that name is as it was before; returns whether it did."""
    if version_of(target) != before:
        return False
    if before is not None:
        os.replace(beside, target)
        return True
    try:
        # Unlike a rename, a link never takes the place of a file.
        os.link(beside, target)
    except FileExistsError:
        return False
    except OSError as error:
        raise NotStored(f"{reason(error)}: make an empty file of that name first") from None
    return True


def _flush(folder: Path) -> None:
    """Has the new name written to the disk; not every folder can be opened or flushed, and the file is in place."""
    if os.name != "posix":
        return
    with suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(handle)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other threads and processes that write in the folder out; on Windows, nobody.

    The lock is a file of its own, because the target is replaced, and anyone who reads the folder could lock that.
    It stays there: whoever deleted it would let in two at once.
    """
    if sys.platform == "win32":
        yield
        return
    # Not there on Windows.
    import fcntl

    try:
        # A symlink is not followed, and a FIFO not waited for.
        flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(folder / LOCK_NAME, flags, 0o600)
    except OSError as error:
        raise NotStored(f"its lock, {LOCK_NAME} beside it, cannot be had: {reason(error)}") from None
    try:
        until, wait = time.monotonic() + LOCK_SECONDS, 0.001
        while True:
            # Asked again and again: the system's own wait has no limit. Unlike lockf, it keeps threads apart too.
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > until:
                raise NotStored(f"its lock, {LOCK_NAME} beside it, was not free for {LOCK_SECONDS:g} seconds")
            time.sleep(wait)
            wait = min(2 * wait, 0.1)
        try:
            yield
        finally:
            # Closing it would leave the lock to a process that was forked meanwhile.
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _problem(target: Path) -> str | None:
    """Says why a secret cannot be kept there; None if it can."""
    found = None
    with suppress(FileNotFoundError, NotADirectoryError):
        found = os.lstat(target)
    if found and stat.S_ISLNK(found.st_mode):
        return "it is a symlink: follow_symlinks=True writes where it leads"
    if found and not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if not target.parent.is_dir():
        return "its folder is not there"
    if os.name != "posix":
        return None
    return _open_to_others(target.parent) or (_lost_with(target, found) if found else None)


def _open_to_others(parent: Path) -> str | None:
    """Says through which folder others could put something else in the place of what is in this one."""
    # Both as the path is written and as it is without symlinks: either way could be changed.
    nearest = (parent, Path(os.path.realpath(parent)))
    for folder in (*nearest, *nearest[0].parents, *nearest[1].parents):
        there = folder.stat()
        # In a sticky folder above, others cannot rename what is not theirs.
        writable = stat.S_IWGRP | stat.S_IWOTH
        if there.st_mode & writable and (folder in nearest or not there.st_mode & stat.S_ISVTX):
            return f"others can write to {folder}: chmod go-w {shlex.quote(str(folder))}"
        if there.st_uid not in (0, os.geteuid()):
            return f"{folder} belongs to another user: chown it, or choose a folder of your own"
    return None


def _lost_with(target: Path, found: os.stat_result) -> str | None:
    """Says what of an existing file a new one in its place could not have."""
    name, user = shlex.quote(str(target)), os.geteuid()
    if user and found.st_uid != user:
        return f"it belongs to user {found.st_uid}, which only root can keep: chown {user} {name}"
    if user and found.st_gid not in (os.getegid(), *os.getgroups()):
        return f"its group {found.st_gid} is none of yours, which only root can keep: chgrp {os.getegid()} {name}"
    attributes: list[str] = []
    with suppress(OSError):
        # Not every filesystem has any.
        attributes = os.listxattr(target) if sys.platform == "linux" else []
    if "system.posix_acl_access" in attributes:
        return f"it has an ACL, which would be lost: setfacl -b {name}"
    return None
