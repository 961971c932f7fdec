"""How a run of `api-keys` ends: its exit code, two lines that say why, and no secret in them."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from api_keys_client.sandbox import Fault, Sandbox
from tests.support.cli_runs import (
    LONG,
    PROGRAM,
    UNKNOWN_ID,
    Held,
    Ran,
    active,
    begun,
    check_refused,
    check_silent,
    ended,
    environment,
    made,
    piped,
    run_without_a_reader,
    within,
)

MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "no such command": (["lst"], ["none of the commands: list", "--help"]),
    "no such option": (["list", "--nope"], ["no such option", "api-keys list --help"]),
    "no id": (["get"], ["ID", "api-keys get --help"]),
    "an id that is none": (["get", "x"], ["UUID"]),
    "a number that is none": (["list", "--timeout", "soon"], ["--timeout"]),
    "no time": (["list", "--timeout", "0"], ["--timeout is a positive number"]),
    "a role that is none": (["create", "--role", "KING", "--show"], ["VALIDATION-USER"]),
    "another host over http": (["list", "--base-url", "http://engine.example"], ["say --allow-http"]),
    "a base URL that is none": (["list", "--base-url", "ftp://x"], ["https://"]),
    "a token file that is not there": (
        ["list", "--token-file", "/nowhere/token"],
        ["--token-file cannot be read", "No such file"],
    ),
    "a token file of stdin": (["list", "--token-file", "-"], ["--token-file /dev/stdin"]),
    "a token file without a name": (["list", "--token-file", ""], ["--token-file is empty"]),
    "a place that is no file": (["create", "--output", "-"], ["--output", "--show"]),
    "a place without a name": (["create", "--output", ""], ["--output is empty"]),
    "a place that is a folder": (["create", "--output", "/"], ["it is a folder"]),
    "a new place without a name": (["rotate", UNKNOWN_ID, "--to-file", ""], ["--to-file is empty"]),
    "a role in small letters": (["create", "--role", "task_admin", "--show"], ["Did you mean --role TASK-ADMIN?"]),
    "a token on the command line": (["list", "--token", "t0ken"], ["--token-file"]),
    "a token in a word": (["--token=t0ken", "list"], ["--token-file"]),
    "a secret for an id": (["deactivate", "--yes", "c2VjcmV0" * 12], ["--leaked"]),
    "a secret that is one too many": (["get", UNKNOWN_ID, "c2VjcmV0" * 12], ["more arguments than api-keys get takes"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_with_2_and_nothing_is_sent(engine: Sandbox, name: str) -> None:
    arguments, words = MISTAKES[name]
    run = within(engine, *arguments)
    check_refused(run, 2, *words)
    check_silent(run, "t0ken", "c2VjcmV0", engine.token)
    assert engine.requests == []


def test_without_a_token_it_says_where_to_put_one(engine: Sandbox) -> None:
    check_refused(piped(engine, "list", API_KEYS_TOKEN=None), 2, "--token-file", "API_KEYS_TOKEN")
    assert piped(engine, "list", API_KEYS_TOKEN=None, BEARER_TOKEN=engine.token).code == 0


def refused_port() -> str:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# The fault, the operation that it meets, and what then happens to whom.
FAILURES: dict[str, tuple[Fault | None, list[str], dict[str, str], int, str]] = {
    "failed by the server": (Fault.status(500), ["get", UNKNOWN_ID], {}, 1, "500"),
    "refused by the server": (Fault.status(400, "no"), ["get", UNKNOWN_ID], {}, 1, "no"),
    "too many": (Fault.status(429, retry_after=3600), ["list"], {}, 1, "429"),
    "no answer of this API": (Fault.garbage(), ["list"], {}, 1, "base URL"),
    "a token that is not accepted": (None, ["list"], {"API_KEYS_TOKEN": "wr0ng"}, 3, "--token-file"),
    "a token that may not": (Fault.status(403), ["get", UNKNOWN_ID], {}, 3, "may manage"),
    "not found": (None, ["get", UNKNOWN_ID], {}, 4, UNKNOWN_ID),
    "unreachable": (None, ["list"], {"API_KEYS_BASE_URL": "refused"}, 5, "refused"),
    "too late": (Fault.silence(), ["list", "--timeout", "0.3"], {}, 5, "--timeout"),
    "cut off": (Fault.drop(), ["list"], {}, 5, "reset"),
    "created or not": (Fault.drop(committed=True), ["create", "--show"], {}, 6, "may have been created"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_ends_with_its_code(engine: Sandbox, name: str) -> None:
    fault, arguments, variables, code, word = FAILURES[name]
    if fault is not None:
        engine.queue(fault, times=3)
    if "API_KEYS_BASE_URL" in variables:
        variables = {"API_KEYS_BASE_URL": refused_port()}
    run = piped(engine, *arguments, "--json", **variables)
    check_refused(run, code, word)
    check_silent(run, "wr0ng", engine.token)
    assert "Traceback" not in run.err


def test_as_many_keys_as_are_allowed_end_with_1() -> None:
    with Sandbox(limit=0) as full:
        check_refused(piped(full, "create", "--show"), 1, "Maximum number of active keys", "Deactivate keys")


def test_an_interruption_ends_with_130(engine: Sandbox) -> None:
    request = Held(engine, "list")
    with begun(engine, "list") as child:
        request.wait()
        child.send_signal(2)
        run = ended(child)
    request.let_go()
    check_refused(run, 130, "interrupted")


def test_a_reader_that_leaves_early_is_no_accident(engine: Sandbox) -> None:
    made(engine, "job")
    assert run_without_a_reader(engine, "list") == Ran(1, "", "")


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("list >&-", 2, "stdout is closed"),
        ("create --show >&-", 2, "stdout is closed"),
        ("list 2>&-", 0, ""),
        ("list --nonsense 2>&-", 2, ""),
        ("deactivate --yes - <&-", 2, "stdin is closed"),
        ("deactivate --leaked --yes <&-", 2, "stdin is closed"),
        (f"deactivate {UNKNOWN_ID} <&-", 2, "no terminal"),
    ],
)
def test_a_closed_stream_is_no_accident(engine: Sandbox, command: str, code: int, words: str) -> None:
    finished = subprocess.run(
        ["sh", "-c", f"exec {PROGRAM} {command}"], env=environment(engine), capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stdout) == (code, "")
    assert words in finished.stderr
    assert finished.stderr.startswith("api-keys: " if words else "")
    assert "Traceback" not in finished.stderr
    assert active(engine) == []


def test_debug_shows_where_and_still_no_secret(engine: Sandbox, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-wr0ng-token\n")
    token.chmod(0o600)
    run = piped(engine, "list", "--debug", "--token-file", token)
    assert (run.code, run.out) == (3, "")
    assert run.err.startswith("Traceback (most recent call last):\n")
    assert "AuthenticationError" in run.err
    assert run.err.splitlines()[-2].startswith("api-keys: list: the server answered 401")
    assert "a-wr0ng-token" not in run.err

    command = ("sh", "-c", "cat >&2; exit 3")
    run = piped(engine, "rotate", made(engine), "--debug", "--to-command", *command)
    assert run.err.startswith("Traceback")
    assert LONG.findall(run.err.replace("^", "").replace("~", "")) == []
    assert "[secret]" in run.err


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_token_file_comes_before_the_environment(engine: Sandbox, tmp_path: Path) -> None:
    file = private(tmp_path / "token", f"{engine.token}\n")
    assert piped(engine, "list", "--token-file", file, API_KEYS_TOKEN="wr0ng").code == 0


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_token_file_that_others_can_read_is_refused(engine: Sandbox, tmp_path: Path, mode: int) -> None:
    file = private(tmp_path / "token", engine.token)
    file.chmod(mode)
    run = within(engine, "list", "--token-file", file)
    check_refused(run, 2, "others can read", f"chmod 600 {file}")
    assert engine.requests == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: private(path, ""), "empty"),
        (lambda path: private(path, "two words"), "--token-file holds a space"),
    ],
)
def test_a_token_file_without_a_token_is_refused(
    engine: Sandbox, tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "token")
    check_refused(within(engine, "list", "--token-file", tmp_path / "token"), 2, words)


def test_the_token_can_come_out_of_another_program(engine: Sandbox) -> None:
    reading, writing = os.pipe()
    os.write(writing, engine.token.encode())
    os.close(writing)
    # As a shell's <(command) does it.
    finished = subprocess.run(
        [PROGRAM, "list", "--token-file", f"/dev/fd/{reading}"],
        env=environment(engine, API_KEYS_TOKEN=None),
        pass_fds=[reading],
        capture_output=True,
        check=False,
    )
    os.close(reading)
    assert (finished.returncode, finished.stderr) == (0, b"")
