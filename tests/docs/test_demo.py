"""The demo, as a person runs it: in a pipe and in a terminal."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("the demo's script and pseudo-terminals are POSIX", allow_module_level=True)

import fcntl
import pty
import struct
import termios

DEMO = Path(__file__).parents[2] / "scripts" / "demo.py"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
COMMAND = [sys.executable, "-W", "error", str(DEMO)]
# Each of these tells rich to do otherwise than it would.
TELLING = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in TELLING}
    return {**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}


def in_a_pipe(folder: Path) -> str:
    finished = subprocess.run(
        COMMAND, cwd=folder, env=environment(), capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


def in_a_terminal(folder: Path, columns: int) -> str:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(COMMAND, cwd=folder, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError:
            # How Linux says that the other end is closed.
            pass
        finally:
            os.close(ours)
        assert child.wait(timeout=60) == 0
    return written.decode().replace("\r\n", "\n")


def check_story(text: str, columns: int) -> None:
    """Fail unless a reader sees the whole life, both ids in full, and of the secrets only the beginning."""
    assert max(len(line) for line in text.splitlines()) <= columns
    key_id, temporary_id = dict.fromkeys(found for found in UUID.findall(text) if found != UNKNOWN_ID)
    steps = re.split(r"^\W*(\d)  ", text, flags=re.MULTILINE)
    assert steps[1::2] == list("12345678")
    created, listed, got, leaked, ended, refused, block, after = steps[2::2]
    assert all(key_id in step for step in (created, listed, got, leaked, ended))
    assert all(temporary_id in step for step in (block, after))
    assert all(" active " in step for step in (created, got, block))
    assert all("inactive since 20" in step for step in (ended, after))
    assert UNKNOWN_ID in refused
    assert "KeyNotFoundError" in refused
    assert "rejected" in refused

    for owner, step in ((key_id, created), (key_id, leaked), (temporary_id, block)):
        beginning = base64.b64encode(owner.encode()).decode()
        assert f"{beginning[:4]}..." in step
        assert beginning[:6] not in text
    # Longer than an id: a secret, or the token.
    assert re.findall(r"[\w+/=-]{37,}", text) == []


def test_a_pipe_gets_the_story_without_colour(tmp_path: Path) -> None:
    text = in_a_pipe(tmp_path)
    assert "\x1b" not in text
    check_story(text, 80)


@pytest.mark.parametrize(("argument", "code"), [("foo", 2), ("--help", 0)])
def test_arguments_are_answered_with_its_usage(argument: str, code: int) -> None:
    finished = subprocess.run([*COMMAND, argument], capture_output=True, text=True, timeout=60, check=False)
    assert (finished.returncode, finished.stdout + finished.stderr) == (
        code,
        "Usage: scripts/demo (without arguments)\n",
    )
    assert (finished.stdout != "") is (code == 0)


@pytest.mark.parametrize(("terminal", "columns"), [(80, 80), (200, 80), (60, 60)])
def test_a_terminal_gets_it_in_colour(tmp_path: Path, terminal: int, columns: int) -> None:
    text = in_a_terminal(tmp_path, terminal)
    plain = STYLE.sub("", text)
    assert plain != text
    assert "\x1b" not in plain
    check_story(plain, columns)
