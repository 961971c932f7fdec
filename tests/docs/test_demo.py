"""The demo, as a person runs it: in a pipe and in a terminal."""

from __future__ import annotations

import base64
import re
import subprocess
import sys

from tests.support.cli_runs import LONG, UNKNOWN_ID, environment, terminal
from tests.support.pages import PROJECT

DEMO = str(PROJECT / "scripts" / "demo.py")
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


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
    assert all(word in refused for word in (UNKNOWN_ID, "KeyNotFoundError", "rejected"))

    for owner, step in ((key_id, created), (key_id, leaked), (temporary_id, block)):
        beginning = base64.b64encode(owner.encode()).decode()
        assert f"{beginning[:4]}..." in step
        assert beginning[:6] not in text
    # Longer than an id: a secret, or the token.
    assert LONG.findall(text) == []


def test_a_pipe_gets_the_story_without_colour() -> None:
    command = [sys.executable, DEMO]
    run = subprocess.run(command, env=environment(), capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert "\x1b" not in run.stdout
    check_story(run.stdout, 80)


def test_a_terminal_gets_it_in_colour() -> None:
    with terminal(None, DEMO, program=sys.executable, columns=60) as begun:
        run = begun.end()
    assert run.code == 0
    assert "\x1b[1m" in run.out
    check_story(run.plain, 60)
