"""`api-keys` as a person runs it: the installed program, in a pipe or in a pseudo-terminal of its own."""

from __future__ import annotations

import json
import os
import re
import selectors
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from click.testing import CliRunner

from api_keys_client import ApiKeysClient, Role
from api_keys_client.cli import main
from api_keys_client.sandbox import Fault, Operation, Sandbox
from tests.support.interrupts import until_waiting

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX", allow_module_level=True)

import fcntl
import pty
import termios

LONG: Final = re.compile(r"[\w=+-]{37,}")
"""What is longer than an id, as a secret is."""
PROGRAM: Final = Path(sys.executable).with_name("api-keys")
UNKNOWN_ID: Final = "00000000-0000-4000-8000-000000000000"
RECORD: Final = {"id", "description", "roles", "is_active", "made", "ends", "created_at", "deactivated_at"}
CONTROL: Final = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")
SECONDS_MOST: Final = 30.0
HOSTILE: Final = "x\x1b]0;title\x07\x1b[31m[bold]red[/bold]\tnext\nline \x9b2J\u202eend"
HARMLESS: Final = r"x\x1b]0;title\x07\x1b[31m[bold]red[/bold]\tnext\nline \x9b2J\u202eend"
# Each of these tells a program to write otherwise than it would.
_TELLING = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CI")


class Ran(NamedTuple):
    """How a run ended; in a terminal, `out` is the screen's bytes, those of stderr included."""

    code: int
    out: str
    err: str = ""

    @property
    def document(self) -> Any:
        """The JSON document on stdout, and nothing but that."""
        return json.loads(self.out)

    @property
    def all(self) -> str:
        """Everything that it said."""
        return self.out + self.err

    @property
    def plain(self) -> str:
        """What is on the screen, without its styles and the cursor's moves."""
        return CONTROL.sub("", self.out).replace("\r\n", "\n")


def environment(sandbox: Sandbox | None = None, **further: str | None) -> dict[str, str]:
    """This process's, with warnings as errors, a sandbox to talk to, and these variables; None takes one away."""
    kept = {name: value for name, value in os.environ.items() if name not in _TELLING}
    kept |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"}
    if sandbox is not None:
        kept |= {"API_KEYS_BASE_URL": sandbox.url, "API_KEYS_TOKEN": sandbox.token}
    changed: dict[str, str | None] = {**kept, **further}
    return {name: value for name, value in changed.items() if value is not None}


def within(
    sandbox: Sandbox | None, *arguments: str | Path, given: str = "", charset: str = "utf-8", **further: str | None
) -> Ran:
    """A run in this process, with the streams of click's own runner: for what needs no process of its own."""
    variables = {**dict.fromkeys(os.environ), **environment(sandbox, **further)}
    with CliRunner(charset).isolation(given, variables) as (out, err, _):
        try:
            code = main([*map(str, arguments)])
        except SystemExit as end:
            # How click ends once it has completed a word.
            code = int(end.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        return Ran(code, out.getvalue().decode(charset), err.getvalue().decode(charset))


def within_while(held: Held, happening: Callable[[], object], sandbox: Sandbox, *arguments: str | Path) -> Ran:
    """The same, while something happens between the arrival of the requests that are held and their answers."""

    def happen() -> None:
        try:
            held.wait()
            happening()
        finally:
            held.let_go()

    thread = threading.Thread(target=happen)
    thread.start()
    try:
        return within(sandbox, *arguments)
    finally:
        thread.join()


def begun(sandbox: Sandbox | None, *arguments: str | Path, **further: str | None) -> subprocess.Popen[str]:
    """A run of the installed program, its three streams pipes, that has only begun."""
    return subprocess.Popen(
        [PROGRAM, *arguments],
        env=environment(sandbox, **further),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def ended(child: subprocess.Popen[str]) -> Ran:
    """How it ended, once it has."""
    try:
        out, err = child.communicate(timeout=SECONDS_MOST)
    finally:
        child.kill()
    return Ran(child.returncode, out, err)


def run_without_a_reader(engine: Sandbox, *arguments: str | Path) -> Ran:
    """A run whose stdout is a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    finished = subprocess.run(
        [PROGRAM, *arguments], env=environment(engine), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    return Ran(finished.returncode, "", finished.stderr)


class Held:
    """Requests that are answered when they are let go; each has taken effect by then, or has not."""

    def __init__(self, sandbox: Sandbox, operation: Operation, *, times: int = 1, committed: bool = True) -> None:
        self._arrived = [threading.Event() for _ in range(times)]
        self._release = threading.Event()
        for arrived in self._arrived:
            sandbox.queue(Fault.hold(arrived, self._release, committed=committed), operation=operation)

    def wait(self) -> None:
        """Until all of them have come."""
        assert all(arrived.wait(SECONDS_MOST) for arrived in self._arrived)

    def let_go(self) -> None:
        self._release.set()


def made(sandbox: Sandbox, description: str | None = None, *roles: Role) -> str:
    """The id of a new key."""
    with ApiKeysClient(sandbox.url, token=sandbox.token) as client:
        return client.create(description, roles or None).id


def secret_of_new(sandbox: Sandbox, description: str) -> tuple[str, str]:
    """The id and the secret of a new key."""
    with ApiKeysClient(sandbox.url, token=sandbox.token) as client:
        key = client.create(description)
        return key.id, key.key.get_secret_value()


def active(sandbox: Sandbox) -> list[str]:
    """The ids of the keys that are active, in the order of their creation."""
    return [key.id for key in sandbox.keys() if key.is_active]


def check_refused(run: Ran, code: int, *words: str) -> None:
    """Fail unless it ended with this code, an answer of nothing, and these words in two lines at most."""
    assert (run.code, run.out) == (code, "")
    assert [word for word in words if word not in run.err] == []
    assert 1 <= len(run.err.splitlines()) <= 2
    assert run.err.startswith("api-keys: ")
    check_silent(run)


def check_silent(run: Ran, *secrets: str) -> None:
    """Fail if it said one of these, or anything that looks like a secret."""
    assert [secret for secret in secrets if secret in run.all] == []
    assert LONG.findall(CONTROL.sub(" ", run.all)) == []


def check_record(document: dict[str, object], **wanted: object) -> None:
    """Fail unless this is a record's document, with these values."""
    assert {*document} == RECORD
    assert {name: document[name] for name in wanted} == wanted
    for name in ("created_at", "deactivated_at"):
        assert document[name] is None or datetime.fromisoformat(str(document[name]))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class Terminal:
    """A run in a terminal: what is on the screen can be waited for, and answered."""

    def __init__(self, child: subprocess.Popen[bytes], ours: int) -> None:
        self.child = child
        self._ours = ours
        self._written = b""
        self._ended = False

    def type(self, text: str) -> None:
        """As from the keyboard; Ctrl-C is `\\x03`, and comes while the program waits."""
        if text == "\x03":
            until_waiting(self.child.pid, self.child.pid)
        os.write(self._ours, text.encode())

    def until(self, text: str, *, times: int = 1) -> str:
        """The screen so far, once this is on it."""
        while len(re.findall(re.escape(text), self.screen)) < times:
            assert self._read(), f"{text!r} never came: {self.screen!r}"
        return self.screen

    def end(self) -> Ran:
        """How it ended, once it has."""
        while self._read():
            continue
        return Ran(self.child.wait(SECONDS_MOST), self._written.decode())

    @property
    def screen(self) -> str:
        return self._written.decode(errors="replace")

    def _read(self) -> bool:
        until = time.monotonic() + SECONDS_MOST
        with selectors.DefaultSelector() as selector:
            selector.register(self._ours, selectors.EVENT_READ)
            if self._ended or not selector.select(until - time.monotonic()):
                return False
        try:
            read = os.read(self._ours, 65536)
        except OSError:
            # How Linux says that the other end is closed.
            read = b""
        self._written += read
        self._ended = not read
        return bool(read)


@contextmanager
def terminal(
    sandbox: Sandbox | None,
    *arguments: str | Path,
    program: str | Path = PROGRAM,
    columns: int = 80,
    stdout: int | None = None,
    variables: Mapping[str, str | None] | None = None,
) -> Iterator[Terminal]:
    """A run in a terminal of its own; `stdout` can be a file descriptor instead."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    # A session's leader that opens a terminal has it for its own: Ctrl-C reaches it, and getpass finds it.
    shell = ["/bin/sh", "-c", ': <"$0" && exec "$@"', name]
    child = subprocess.Popen(
        [*shell, program, *arguments],
        env=environment(sandbox, **(variables or {})),
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(child, ours)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        os.close(ours)


def in_terminal(sandbox: Sandbox | None, *arguments: str | Path, columns: int = 80, **further: str | None) -> Ran:
    """A run in a terminal in which nothing is typed."""
    with terminal(sandbox, *arguments, columns=columns, variables=further) as run:
        return run.end()
