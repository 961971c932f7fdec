"""Where the client's own token comes from, if it changes: `ApiKeysClient(token=tokens.file("/run/secrets/token"))`.

Each function here makes a function for `token=`. After a 401 it is asked once more, and where the token has changed
since, the call is tried once with the new one. The async client asks in a thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

from pydantic import SecretStr

from api_keys_client._core.options import MAX_SECONDS, configuration_error
from api_keys_client._core.validation import invalid_argument
from api_keys_client._files import reason, version_of
from api_keys_client._programs import ProgramFailed, check_program, run_program
from api_keys_client.errors import ConfigurationError

__all__ = ["command", "file"]

MAX_TOKEN_BYTES = 64 * 1024

_Reading: TypeAlias = tuple[SecretStr, Callable[[], bool]]
"""A token, and a function that tells whether it still is the one that counts."""


class TokenReader:
    """A function for `token=` that keeps what it read for as long as that is current. Safe for threads."""

    def __init__(self, read: Callable[[], _Reading]) -> None:
        self._read = read
        self._token: SecretStr | None = None
        self._is_current: Callable[[], bool] = lambda: False
        self._failures: list[str] = []
        self._lock = threading.Lock()
        self._process = os.getpid()

    def __call__(self) -> SecretStr:
        """Gives the token."""
        return self.renew(None)

    def renew(self, refused: SecretStr | None) -> SecretStr:
        """Gives the token; reads it again if it is still the one that was refused.

        Raises:
            ConfigurationError: there is none to be had.
        """
        if os.getpid() != self._process:
            # A lock that another thread held at the fork would never be let go here.
            self._lock, self._process = threading.Lock(), os.getpid()
        failures = self._failures
        with self._lock:
            if self._failures is not failures:
                # Whoever waited for a reading that failed does not wait for another one.
                raise configuration_error(self._failures[0])
            if self._token is None or self._token == refused or not self._is_current():
                try:
                    self._token, self._is_current = self._read()
                except ConfigurationError as error:
                    self._failures = [str(error.args[0])]
                    raise
            return self._token


def file(path: str | os.PathLike[str]) -> TokenReader:
    """Reads the token from a file, and again when the file has changed, as mounted secrets do.

    Blanks and line ends around it don't count.

    Raises:
        InvalidRequestError: the path is none.

    When it is asked, it raises a ConfigurationError if the file cannot be read, is longer than 64 KiB or no text.
    """
    try:
        place = os.fspath(path)
        os.fsencode(place)
    except (TypeError, UnicodeEncodeError):
        raise invalid_argument("A file's path is a string or an os.PathLike of one.") from None

    def version() -> tuple[int, ...] | None:
        with suppress(OSError, ValueError):
            return version_of(place, follow_symlinks=True)
        return None

    def read() -> _Reading:
        # Before the reading: a change meanwhile is seen the next time.
        before = version()
        try:
            with open(place, "rb") as opened:
                text = SecretStr(opened.read(MAX_TOKEN_BYTES + 1).decode("utf-8", "surrogateescape"))
        except (OSError, ValueError) as error:
            raise configuration_error(f"The token file cannot be read: {reason(error)}.") from None
        return _token_in(text, "The token file"), lambda: version() == before

    return TokenReader(read)


def command(argv: Sequence[str], *, ttl: float = 300.0, timeout: float = 30.0) -> TokenReader:
    """Asks a command for the token, which is the one line that it prints, and again after a while.

    No shell is involved. One command runs at a time for all threads. It gets this process's environment without
    API_KEYS_TOKEN and BEARER_TOKEN.

    Args:
        argv: the program and its arguments; no secret belongs there, where other users can see it.
        ttl: for how many seconds the answer counts.
        timeout: seconds that it may take; then it is killed.

    Raises:
        InvalidRequestError: argv is not a list of strings that a program can be given, or a time no number of seconds.

    When it is asked, it raises a ConfigurationError if the command fails or prints anything else.
    """
    words = check_program(argv, timeout)
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or not 0 <= ttl <= MAX_SECONDS:
        raise invalid_argument("ttl= is a number of seconds from 0 on, at most a day.")

    def read() -> _Reading:
        try:
            printed = run_program(words, timeout=timeout)
        except ProgramFailed as error:
            raise configuration_error(f"The command for the token {error}.") from None
        token = _token_in(printed, "What the command for the token printed")
        current_until = time.monotonic() + ttl
        return token, lambda: time.monotonic() < current_until

    return TokenReader(read)


def _token_in(output: SecretStr, what: str) -> SecretStr:
    """Gives the one line of an output.

    Raises:
        ConfigurationError: it has none, or more.
    """
    # Asked for at each use, so that no local holds it.
    text = output.get_secret_value
    if len(text()) > MAX_TOKEN_BYTES:
        raise configuration_error(f"{what} is no token: it is longer than {MAX_TOKEN_BYTES // 1024} KiB.")
    if not text().isprintable() and any("\udc80" <= character <= "\udcff" for character in text()):
        raise configuration_error(f"{what} is no token: it is no UTF-8.")
    token = SecretStr(text().removeprefix("\ufeff").strip())
    if len(token.get_secret_value().splitlines()) != 1:
        raise configuration_error(f"{what} is no token: it is {'empty' if not token else 'more than one line'}.")
    return token
