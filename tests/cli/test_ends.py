"""How a run of `api-keys` ends: its exit code, two lines that say why, and no secret or token in them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
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
    check_refused,
    check_silent,
    environment,
    made,
    run_without_a_reader,
    within,
    within_while,
)
from tests.support.storing import left_in

SECRET = "c2VjcmV0" * 12
MISTAKES: dict[str, list[tuple[str, ...]]] = {
    "the program": [
        (
            "lst",
            "none of the commands: list, get, create, deactivate, rotate, sweep, config, doctor, sandbox, version",
            "--help",
        ),
        ("--", "none of the commands"),
        ("--token=t0ken list", "--token-file"),
    ],
    "list": [
        ("list --zzz", "no such option", "api-keys list --help"),
        ("list --roll x", "no such option", "Did you mean --role or"),
        ("list --json=yes", "--json", "value"),
        ("list --timeout soon", "--timeout takes a number"),
        ("list --timeout 0", "--timeout is a positive number"),
        ("list --base-url http://engine.example", "say --allow-http"),
        ("list --token-file /nowhere/token", "--token-file cannot be read", "No such file"),
        ("list --token-file -", "--token-file /dev/stdin"),
        ("list --token-file ''", "--token-file is empty"),
        ("list --token t0ken", "--token-file"),
    ],
    "get": [
        ("get", "ID", "api-keys get --help"),
        ("get x", "UUID"),
        (f"get {UNKNOWN_ID} {SECRET}", "more arguments than api-keys get takes", "api-keys get --help"),
    ],
    "create": [
        ("create --role KING --show", "VALIDATION-USER"),
        ("create --role task_admin --show", "--role takes one of DEFAULT-RULE-ADMIN, TASK-ADMIN"),
        ("create --output -", "--to-file", "--to-command"),
        ("create --to-file a --to-env-file b C", "to one place"),
        ("create --show echo", "--to-command, at the end"),
        ("create --to-command", "with the command after it"),
        ("create --to-command no-such-program", "no such program"),
        ("create --output /", "it is a folder"),
    ],
    "deactivate": [(f"deactivate --yes {SECRET}", "--leaked")],
    "rotate": [
        (f"rotate {UNKNOWN_ID} --to-file ''", "--to-file is empty"),
        ("rotate x --leftovers burn", "--leftovers takes one of refuse, deactivate, keep"),
        ("rotate x --to-env-file y", "--to-env-file", "requires 2 arguments"),
        (f"rotate {UNKNOWN_ID}", "--to-file"),
        (f"rotate {UNKNOWN_ID} --to-file a --to-env-file b C", "one"),
        (f"rotate {UNKNOWN_ID} {UNKNOWN_ID} --to-file a", "--to-command"),
        (f"rotate {UNKNOWN_ID} --to-command", "command"),
        (f"rotate {UNKNOWN_ID} --to-env-file no-folder/b C", "folder"),
        (f"rotate {UNKNOWN_ID} --to-env-file b NO-NAME", "name"),
        (f"rotate {UNKNOWN_ID} --to-env-file b C --overwrite", "--overwrite"),
    ],
}


@pytest.mark.parametrize("of", MISTAKES)
def test_a_mistake_ends_with_2_and_nothing_is_sent(engine: Sandbox, of: str) -> None:
    for typed, *words in MISTAKES[of]:
        run = within(engine, *shlex.split(typed))
        check_refused(run, 2, *words)
        check_silent(run, "t0ken", SECRET, engine.token)
    assert engine.requests == []


# The last: a doctor whose token file is none looks at the rest.
PLACES = """
TOKEN | TOKEN list | --TOKEN | --TOKEN=x | -TOKEN | list TOKEN | list --TOKEN | list -TOKEN |
list --json=TOKEN | list --base-url TOKEN | list --timeout TOKEN | list --token TOKEN |
list --token-file TOKEN | list --token-file /TOKEN/file | list --token-fil TOKEN |
list --token-file=TOKEN --debug | get TOKEN | get ID TOKEN | version TOKEN | create --role TOKEN --show |
create --output nowhere/TOKEN | create --output TOKEN/TOKEN | create --output=TOKEN/TOKEN --debug |
create --show=TOKEN | create --show TOKEN | deactivate --yes TOKEN | deactivate --yes=TOKEN |
rotate TOKEN --to-file new | rotate ID TOKEN --to-file new | rotate ID --leftovers TOKEN --to-file new |
rotate ID --to-file nowhere/TOKEN | rotate ID --to-file nowhere/TOKEN --overwrite --debug |
rotate ID --to-env-file nowhere/TOKEN KEY | rotate ID --to-env-file .env -TOKEN |
rotate ID --to-command TOKEN | rotate ID --to-command /TOKEN a b | doctor TOKEN | doctor --token-file TOKEN
"""


@pytest.mark.parametrize(
    "token",
    [
        "dG/lIHRva2Vu/AAb+" * 4,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl",
        "p4ssw0rd",
    ],
    ids=["base64 with a slash", "JSON web token", "made up"],
)
def test_a_token_that_is_typed_for_a_name_is_not_printed(
    engine: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in PLACES.replace("ID", UNKNOWN_ID).replace("\n", " ").split(" | "):
        assert engine.requests == [], place
        run = within(engine, *(word.replace("TOKEN", token) for word in shlex.split(place)))
        assert run.code == 2, place
        # Not in the form that Python and a terminal would give it either, nor the most of it.
        assert token[: len(token) // 2 + 1] not in run.all, place
        assert run.err == "" or "--debug" in place or len(run.err.splitlines()) <= 2, place
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    "command", ["create --output FILE", "rotate ID --to-file FILE", "rotate ID --to-env-file FILE K"]
)
def test_nor_is_a_file_that_could_not_be_written(engine: Sandbox, tmp_path: Path, command: str) -> None:
    folder, key_id = tmp_path / "folder", made(engine)
    folder.mkdir()
    words = [word.replace("ID", key_id).replace("FILE", f"{folder}/p4ssw0rd") for word in command.split()]
    run = within_while(Held(engine, "create"), lambda: folder.chmod(0o777), engine, *words, "--debug")
    assert run.code == 1
    assert "others can write to" in run.err
    assert "p4ssw0rd" not in run.all


# The fault, the command that it meets, the code, and a word of what is said.
FAILURES: list[tuple[Fault | None, str, int, str]] = [
    (Fault.status(500), f"get {UNKNOWN_ID}", 1, "500"),
    (Fault.status(400, "no"), f"get {UNKNOWN_ID}", 1, "no"),
    (Fault.status(429, retry_after=3600), "list", 1, "429"),
    (Fault.garbage(), "list", 1, "base URL"),
    (Fault.status(401), "list", 3, "--token-file"),
    (Fault.status(403), f"get {UNKNOWN_ID}", 3, "may manage"),
    (None, f"get {UNKNOWN_ID}", 4, UNKNOWN_ID),
    (Fault.silence(), "list --timeout 0.3", 5, "--timeout"),
    (Fault.drop(), "list", 5, "reset"),
    (Fault.drop(committed=True), "create --show", 6, "may have been created"),
    (Fault.status(400, "Maximum number of active keys reached"), "create --show", 1, "Deactivate keys"),
]


@pytest.mark.parametrize(("fault", "command", "code", "word"), FAILURES)
def test_a_failure_ends_with_its_code(engine: Sandbox, fault: Fault | None, command: str, code: int, word: str) -> None:
    if fault is not None:
        engine.queue(fault, times=3)
    run = within(engine, *command.split(), "--json")
    check_refused(run, code, word)
    check_silent(run, engine.token)


def test_a_reader_that_leaves_early_is_no_accident(engine: Sandbox) -> None:
    made(engine, "job")
    assert run_without_a_reader(engine, "list") == Ran(1, "", "")


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("create --show >&-", 2, "api-keys: stdout is closed"),
        ("list 2>&-", 0, ""),
        ("deactivate --yes - <&-", 2, "api-keys: stdin is closed"),
    ],
)
def test_a_closed_stream_is_no_accident(engine: Sandbox, command: str, code: int, words: str) -> None:
    shell = ["sh", "-c", f"exec {PROGRAM} {command}"]
    finished = subprocess.run(shell, env=environment(engine), capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (code, "")
    assert finished.stderr.startswith(words)
    assert "Traceback" not in finished.stderr
    assert active(engine) == []


def test_debug_shows_where_and_still_no_secret(engine: Sandbox, tmp_path: Path) -> None:
    token = private(tmp_path / "token", "a-wr0ng-token\n")
    run = within(engine, "list", "--debug", "--token-file", token)
    assert (run.code, run.out) == (3, "")
    assert run.err.startswith("Traceback (most recent call last):\n")
    assert "AuthenticationError" in run.err
    assert run.err.splitlines()[-2].startswith("api-keys: list: the server answered 401")
    assert "a-wr0ng-token" not in run.err

    command = ("sh", "-c", "cat >&2; exit 3")
    run = within(engine, "rotate", made(engine), "--debug", "--to-command", *command)
    assert run.err.startswith("Traceback")
    assert LONG.findall(run.err.replace("^", "").replace("~", "")) == []
    assert "[secret]" in run.err


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_where_the_token_comes_from(engine: Sandbox, tmp_path: Path) -> None:
    check_refused(within(engine, "list", API_KEYS_TOKEN=None), 2, "--token-file", "API_KEYS_TOKEN")
    assert within(engine, "list", API_KEYS_TOKEN=None, BEARER_TOKEN=engine.token).code == 0
    file = private(tmp_path / "token", f"{engine.token}\n")
    assert within(engine, "list", "--token-file", file, API_KEYS_TOKEN="wr0ng").code == 0

    reading, writing = os.pipe()
    os.write(writing, engine.token.encode())
    os.close(writing)
    # As a shell's <(command) names it.
    assert within(engine, "list", "--token-file", f"/dev/fd/{reading}", API_KEYS_TOKEN=None).code == 0
    os.close(reading)


def test_a_token_file_that_others_can_read_is_remarked_on_and_a_bad_one_refused(
    engine: Sandbox, tmp_path: Path
) -> None:
    file = private(tmp_path / "token", engine.token)
    file.chmod(0o440)
    run = within(engine, "list", "--token-file", file)
    assert (run.code, run.err) == (0, "others on this machine can read the FILE of --token-file.\n")
    saw = len(engine.requests)
    for mode in (0o620, 0o602):
        file.chmod(mode)
        check_refused(within(engine, "list", "--token-file", file), 2, "others can write", "chmod go-w")
    for text, words in (("", "empty"), ("two words", "--token-file holds a space")):
        check_refused(within(engine, "list", "--token-file", private(file, text)), 2, words)
    check_refused(within(engine, "list", "--token-file", tmp_path), 2, "it is a folder")
    assert len(engine.requests) == saw


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
@pytest.mark.parametrize("command", ["--help", "version", "sandbox"])
def test_an_answer_that_cannot_be_written_is_said_to_be_lost(engine: Sandbox, command: str) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [PROGRAM, *command.split()], env=environment(engine), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert ended.returncode == 1
    assert b"could not be written: No space left on device" in ended.stderr
    assert ended.stderr.count(b"\n") == 1


@pytest.mark.parametrize("command", [[PROGRAM, "sandbox"], [sys.executable, "-m", "api_keys_client.sandbox"]])
def test_a_sandbox_without_a_stdout_says_so(command: list[str]) -> None:
    ended = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], capture_output=True, check=False)
    assert ended.returncode == 2
    assert b"stdout is closed" in ended.stderr
