"""The files that are named on the command line or in a profile, and the secret that one of them or stdin holds."""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING

from api_keys_client.cli.errors import CliError
from api_keys_client.cli.output import remark

if TYPE_CHECKING:
    from pydantic import SecretStr

MAX_SECRET_BYTES = 64 * 1024


def check_file(option: str, path: str, *, instead: str) -> None:
    """Refuses a name that no file can have.

    Raises:
        CliError: it is empty, a folder, or the `-` of other programs.
    """
    if path == "-":
        raise CliError(f"{option} takes a file, and - is none. Nothing was sent.", instead)
    if not path:
        raise CliError(
            f"the FILE of {option} is empty. Nothing was sent.", "If it comes from a variable, see what it holds."
        )
    if os.path.isdir(path):
        raise CliError(f"the FILE of {option} is no file: it is a folder. Nothing was sent.", "Name a file in it.")


def check_writers(found: os.stat_result, name: str) -> None:
    """Refuses a file that others can write to, or a folder whose files they can replace.

    Raises:
        CliError: its mode lets them.
    """
    # In a sticky folder others cannot replace what is not theirs; of a pipe, the mode says nothing.
    kept = stat.S_ISREG(found.st_mode) or (stat.S_ISDIR(found.st_mode) and not found.st_mode & stat.S_ISVTX)
    if os.name == "posix" and kept and found.st_mode & 0o022:
        raise CliError(
            f"others can write to {name}, so it was not used. Nothing was sent.", "Take that from them: chmod go-w"
        )


def read_secret(opened: IO[bytes]) -> SecretStr:
    """Gives what a file holds, without the blanks and line ends around it."""
    # Late, as all that --help does not need.
    from pydantic import SecretStr

    return SecretStr(opened.read(MAX_SECRET_BYTES).decode("utf-8", "replace").strip())


def read_token(path: str, option: str) -> SecretStr:
    """Gives what the file of an option, or of a profile's setting, holds.

    Raises:
        CliError: it cannot be read, or others can write to it.
    """
    check_file(option, path, instead="To read the token from stdin: --token-file /dev/stdin")
    name = f"the FILE of {option}"
    try:
        with open(path, "rb") as opened:
            found = os.fstat(opened.fileno())
            check_writers(found, name)
            if os.name == "posix" and stat.S_ISREG(found.st_mode) and found.st_mode & 0o044:
                # Not refused: Docker and Kubernetes mount secrets like this, and a container cannot change that.
                remark(f"others on this machine can read {name}.")
            return read_secret(opened)
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror}. Nothing was sent.") from None
