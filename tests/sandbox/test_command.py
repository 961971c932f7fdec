"""The sandbox as a process of its own: its options, what it prints, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api_keys_client.sandbox import Sandbox
from api_keys_client.sandbox.command import main
from tests.support.calling import KEYS, PATIENCE, address, caller_on, head_of

COMMAND = [sys.executable, "-W", "error", "-m", "api_keys_client.sandbox"]


@contextmanager
def running(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its base URL, and all that it printed until it was ready."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | variables
    with subprocess.Popen(
        [*COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            printed = ""
            assert process.stdout
            for line in process.stdout:
                printed += line
                if match := re.fullmatch(r"Ready: (http://\S+)\n", line):
                    yield process, match[1], printed
                    return
            raise AssertionError(f"it ended instead: {printed}{process.communicate()}")
        finally:
            process.kill()


def ended_by(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def test_it_makes_up_a_token_and_prints_it() -> None:
    with running() as (process, url, printed):
        assert "development and tests only" in printed
        match = re.search(r"^export API_KEYS_TOKEN=(\S{32,})$", printed, re.MULTILINE)
        assert match
        with caller_on(url, match[1]) as caller:
            caller.create()
        assert ended_by(process, signal.SIGTERM) == (0, "", "")


def test_it_takes_a_token_that_it_does_not_print_and_ends_cleanly_while_a_request_is_in_flight() -> None:
    with running(API_KEYS_TOKEN="", BEARER_TOKEN="sesame") as (process, url, printed):
        assert f"export API_KEYS_BASE_URL={url}\n" in printed
        assert "TOKEN" not in printed
        assert "sesame" not in printed
        with caller_on(url, "sesame") as idle, socket.create_connection(address(url), PATIENCE) as connection:
            connection.sendall(head_of("POST", KEYS, "sesame", "Content-Length: 2\r\n") + b"{")
            idle.create()
            assert ended_by(process, signal.SIGINT) == (0, "", "")


def test_a_file_survives_its_process(tmp_path: Path) -> None:
    database = tmp_path / "keys.db"
    with running("--db", str(database), API_KEYS_TOKEN="sesame") as (process, url, _):
        with caller_on(url, "sesame") as caller:
            key = caller.create(description="kept")
        ended_by(process, signal.SIGKILL)
    with Sandbox(database=database) as sandbox:
        assert sandbox.accepts(key["key"])
    assert key["key"].encode() not in database.read_bytes()


def test_it_takes_profile_limit_port_and_host(engine: Sandbox) -> None:
    port = address(engine.url)[1]
    engine.stop()
    options = ["--profile", "spec", "--limit", "1", "--port", str(port), "--host", "localhost"]
    with running(*options, API_KEYS_TOKEN="sesame") as (_, url, _), caller_on(url, "sesame") as caller:
        assert url == f"http://127.0.0.1:{port}"
        key = caller.create()
        assert caller.call("POST", KEYS, {}).status == 400
        assert caller.deactivate(key["id"]).status == 200


@pytest.mark.parametrize(
    ("options", "token", "problem"),
    [
        (["--db", "none/keys.db"], "sesame", "none/keys.db"),
        (["--host", "0.0.0.0"], "sesame", "loopback"),
        ([], "open sesame", "token"),
    ],
)
def test_what_it_cannot_do_is_one_line(
    options: list[str], token: str, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("API_KEYS_TOKEN", token)
    assert main(options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(rf"sandbox: .*{re.escape(problem)}.*\n", printed.err)
    assert "sesame" not in printed.err


def test_what_was_typed_in_a_wrong_place_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    for typed in (["s3cret-t0ken"], ["--port", "s3cret-t0ken"], ["--profile=s3cret-t0ken"]):
        with pytest.raises(SystemExit, match="2"):
            main(typed)
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "error: " in printed.err
        assert "s3cret" not in printed.err


def test_a_port_in_use_is_one_line(engine: Sandbox) -> None:
    command = [*COMMAND, "--port", str(address(engine.url)[1])]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert re.fullmatch(r"sandbox: .*in use.*\n", finished.stderr)
