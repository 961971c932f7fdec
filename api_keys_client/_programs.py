"""Runs a program of the caller's for a secret: without a shell, within a time, and with bounded outputs."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from pydantic import SecretStr

from api_keys_client._core.options import MAX_SECONDS
from api_keys_client._core.validation import invalid_argument
from api_keys_client._files import reason
from api_keys_client.errors import strip_traceback

MAX_STDERR = 2_000
"""Characters that an error quotes of what a program said."""

_MAX_OUTPUT = 128 * 1024
"""Bytes of each output that are kept; the rest is read and dropped, so that the program never waits."""

_LINGER_SECONDS = 0.5
"""How long an output is waited for that something else, started by the program, still holds open."""


class ProgramFailed(Exception):
    """A program that did not end with 0; its text says how, and what it wrote to its standard error."""


class NotStarted(ProgramFailed):
    """A program that could not be started, so that it did nothing."""


def check_program(argv: object, timeout: object) -> list[str]:
    """Gives the program and its arguments.

    Raises:
        InvalidRequestError: argv is no list of strings that a program can be given, or timeout no number of seconds.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= MAX_SECONDS:
        raise invalid_argument("timeout= is a positive number of seconds, at most a day.")
    if isinstance(argv, Sequence) and not isinstance(argv, (str, bytes)) and argv and all(map(_is_word, argv)):
        return [*argv]
    raise invalid_argument(
        "A command is a list of strings without NUL or lone surrogates: the program, then its arguments."
    )


def run_program(argv: list[str], *, stdin: SecretStr | None = None, timeout: float) -> SecretStr:
    """Runs a program, and kills it when its time is up, but not what it started itself.

    It gets this process's environment without API_KEYS_TOKEN and BEARER_TOKEN.

    Args:
        stdin: the secret that it gets on its standard input; None: nothing, and what it prints is the secret.
        timeout: seconds.

    Returns:
        The beginning of what it printed.

    Raises:
        ProgramFailed: it failed or took too long; the secret is masked in what it said.
        NotStarted: it could not be started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  # the caller's own program, without a shell
            argv,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # In no local: it may hold other secrets.
            env={name: value for name, value in os.environ.items() if name not in ("API_KEYS_TOKEN", "BEARER_TOKEN")},
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise NotStarted(f"could not be started: {reason(error)}") from None
    try:
        # With room for a secret beyond the part that an error quotes: one that was cut off would not be masked.
        most = _MAX_OUTPUT + 4 * len(stdin or "")
        stdout, stderr = [_Output(stream, most) for stream in (process.stdout, process.stderr) if stream]
        if stdin and process.stdin:
            threading.Thread(target=_write, args=(process.stdin, stdin), daemon=True).start()
        try:
            problem = f"ended with {process.returncode}" if process.wait(timeout) else ""
        except subprocess.TimeoutExpired:
            problem = f"was ended after {timeout:g} seconds"
    except BaseException as interruption:
        # The frames below hold what is written.
        raise strip_traceback(interruption) from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if problem:
        said = _said(stderr.text(), stdin or stdout.text())
        raise ProgramFailed(f"{problem}: {said}" if said else problem)
    return stdout.text()


class _Output:
    """The beginning of what a program writes, read by a thread so that the program never waits."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream = stream
        self._most = most
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError, ValueError), self._stream:
            while read := os.read(self._stream.fileno(), 65_536):
                self._kept += read[: self._most - len(self._kept)]

    def text(self) -> SecretStr:
        self._thread.join(_LINGER_SECONDS)
        return SecretStr(bytes(self._kept).decode("utf-8", "surrogateescape"))


def _said(stderr: SecretStr, secret: SecretStr) -> str:
    """Gives the beginning of what a program said, without any word of the secret."""
    # The longest first, as one may be a part of another.
    words = sorted(secret.get_secret_value().split(), key=len, reverse=True)
    said = re.sub("|".join(map(re.escape, words)), _mask, stderr.get_secret_value())[:MAX_STDERR].replace("\0", "")
    return "".join(character if character.isprintable() or character == "\n" else " " for character in said).strip()


def _mask(found: re.Match[str]) -> str:
    # As long as the word, so that no more of what comes behind gets before the cut.
    return "[secret]".ljust(len(found[0]), "\0")[: len(found[0])]


def _write(stream: IO[bytes], secret: SecretStr) -> None:
    # A program that does not read what it gets is judged by how it ends.
    with suppress(OSError), stream:
        stream.write(secret.get_secret_value().encode())


def _is_word(word: object) -> bool:
    """Tells whether it can be the argument of a program."""
    try:
        return isinstance(word, str) and b"\0" not in os.fsencode(word)
    except UnicodeEncodeError:
        return False
