"""Runs a program of the caller's for a secret: without a shell, within a time, and with bounded outputs."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, NamedTuple

from pydantic import SecretStr

from api_keys_client._core.validation import invalid_argument
from api_keys_client.errors import strip_traceback

_MAX_SECONDS = 86_400.0
_LINGER_SECONDS = 0.5
"""How long an output is waited for that something else, started by the program, still holds open."""


class Finished(NamedTuple):
    """What came of a program: how it ended otherwise than with 0 (empty if it did not), and what it said."""

    problem: str
    stdout: SecretStr
    stderr: SecretStr


def check_program(argv: object, timeout: object) -> list[str]:
    """Gives the program and its arguments.

    Raises:
        InvalidRequestError: argv is no list of strings that a program can be given, or timeout no number of seconds.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= _MAX_SECONDS:
        raise invalid_argument("timeout= is a positive number of seconds, at most a day.")
    if isinstance(argv, Sequence) and not isinstance(argv, (str, bytes)) and argv and all(map(_is_word, argv)):
        return [*argv]
    raise invalid_argument(
        "A command is a list of strings without NUL or lone surrogates: the program, then its arguments."
    )


def run_program(argv: list[str], *, stdin: SecretStr | None = None, timeout: float, most: int) -> Finished:
    """Runs a program, and kills it when its time is up, but not what it started itself.

    It gets this process's environment without API_KEYS_TOKEN and BEARER_TOKEN.

    Args:
        stdin: what it gets on its standard input; None: nothing.
        timeout: seconds.
        most: how many bytes of each output are kept; the rest is read and dropped.

    Raises:
        OSError, ValueError, RuntimeError: it could not be started.
    """
    process = subprocess.Popen(  # noqa: S603  # the caller's own program, without a shell
        argv,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # In no local: it may hold other secrets.
        env={name: value for name, value in os.environ.items() if name not in ("API_KEYS_TOKEN", "BEARER_TOKEN")},
    )
    problem = ""
    outputs: list[_Output] = []
    try:
        outputs += [_Output(stream, most) for stream in (process.stdout, process.stderr) if stream]
        if stdin and process.stdin:
            threading.Thread(target=_write, args=(process.stdin, stdin), daemon=True).start()
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        problem = f"was ended after {timeout:g} seconds"
    except BaseException as interruption:
        # The frames below hold what is written.
        raise strip_traceback(interruption) from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode and not problem:
        problem = f"ended with {process.returncode}"
    return Finished(problem, *(output.text() for output in outputs))


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
