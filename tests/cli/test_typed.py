"""What is typed where a name should be: no message prints it whole, because it may be the token or a secret."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from api_keys_client.sandbox import Sandbox
from tests.support.cli_runs import UNKNOWN_ID, Held, Ran, begun, check_refused, ended, made, within

# As tokens are: base64, base64 with a slash, a JSON web token, hexadecimal, with a prefix, one that somebody made up.
TOKENS = [
    "dGhlIHRva2Vu" * 8 + "YQ==",
    "dG/lIHRva2Vu/AAb+" * 4,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl",
    "0123456789abcdef0123456789abcdef",
    "sk-live_0a1b2c3d",
    "p4ssw0rd",
]

PLACES = [
    "TOKEN",
    "TOKEN list",
    "--TOKEN",
    "--TOKEN=x",
    "-TOKEN",
    "list TOKEN",
    "list --TOKEN",
    "list -TOKEN",
    "list --json=TOKEN",
    "list --base-url TOKEN",
    "list --timeout TOKEN",
    "list --token TOKEN",
    "list --token-file TOKEN",
    "list --token-file /TOKEN/file",
    "list --token-fil TOKEN",
    "list --token-file=TOKEN --debug",
    "doctor --token-file TOKEN",
    "doctor TOKEN",
    "version TOKEN",
    "get TOKEN",
    f"get {UNKNOWN_ID} TOKEN",
    "create --role TOKEN --show",
    "create --output nowhere/TOKEN",
    "create --output TOKEN/TOKEN",
    "create --output=TOKEN/TOKEN --debug",
    "create --show=TOKEN",
    "create --show TOKEN",
    "deactivate --yes TOKEN",
    "deactivate --yes=TOKEN",
    "rotate TOKEN --to-file new",
    f"rotate {UNKNOWN_ID} TOKEN --to-file new",
    f"rotate {UNKNOWN_ID} --leftovers TOKEN --to-file new",
    f"rotate {UNKNOWN_ID} --to-file nowhere/TOKEN",
    f"rotate {UNKNOWN_ID} --to-file nowhere/TOKEN --overwrite --debug",
    f"rotate {UNKNOWN_ID} --to-env-file nowhere/TOKEN KEY",
    f"rotate {UNKNOWN_ID} --to-env-file .env -TOKEN",
    f"rotate {UNKNOWN_ID} --to-command TOKEN",
    f"rotate {UNKNOWN_ID} --to-command /TOKEN a b",
]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_typed_for_a_name_is_not_printed(
    engine: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for token in TOKENS:
        run = within(engine, *(word.replace("TOKEN", token) for word in shlex.split(place)))
        # A doctor whose token file is none looks at the rest.
        assert run.code == 2
        assert token not in run.all
        # Nor in the form that Python and a terminal would give it, nor the most of it.
        assert token[: len(token) // 2 + 1] not in run.all
        assert run.err == "" or "--debug" in place or len(run.err.splitlines()) <= 2
    assert [request for request in engine.requests if not place.startswith("doctor")] == []
    assert [*tmp_path.iterdir()] == []


def test_the_role_that_is_listed_by_is_not_printed(engine: Sandbox) -> None:
    run = within(engine, "list", "--role", "p4ssw0rd")
    assert run.code == 0
    assert "none of the engine's roles" in run.err
    assert "p4ssw0rd" not in run.all


def run_with_folder_opened_meanwhile(engine: Sandbox, folder: Path, *arguments: str) -> Ran:
    """A run that finds, once the key is made, that others can write to the folder."""
    folder.mkdir(exist_ok=True)
    creation = Held(engine, "create")
    with begun(engine, *arguments) as child:
        creation.wait()
        folder.chmod(0o777)
        creation.let_go()
        run = ended(child)
    folder.chmod(0o700)
    return run


@pytest.mark.parametrize("options", [[], ["--debug"]])
def test_nor_is_a_file_that_could_not_be_written(engine: Sandbox, tmp_path: Path, options: list[str]) -> None:
    folder = tmp_path / "folder"
    token = "p4ssw0rd"
    path = str(folder / token)
    for arguments in (
        ["create", "--output", path],
        ["rotate", made(engine), "--to-file", path],
        ["rotate", made(engine), "--to-env-file", path, "KEY"],
    ):
        run = run_with_folder_opened_meanwhile(engine, folder, *arguments, *options)
        assert run.code == 1
        assert "others can write to" in run.err
        assert token not in run.all


def test_nor_is_a_file_whose_lock_cannot_be_had(engine: Sandbox, tmp_path: Path) -> None:
    token = "p4ssw0rd"
    path = str(tmp_path / token)
    (tmp_path / f".{token}.api-keys-lock").mkdir()
    for arguments in (["create", "--output", path], ["rotate", made(engine), "--to-env-file", path, "KEY"]):
        run = within(engine, *arguments)
        check_refused(run, 1, "lock", "Is a directory")
        assert token not in run.all


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lst"], ["none of the commands: list, get, create, deactivate, rotate, doctor, sandbox, version", "--help"]),
        (["list", "--roll", "x"], ["no such option", "Did you mean --role?", "api-keys list --help"]),
        (["list", "--zzz"], ["no such option", "api-keys list --help"]),
        (["list", "--timeout", "soon"], ["--timeout takes a number"]),
        (["rotate", "x", "--leftovers", "burn"], ["--leftovers takes one of refuse, deactivate, keep"]),
        (["list", "--json=yes"], ["--json", "value"]),
        (["list", "--role"], ["--role", "requires an argument"]),
        (["rotate", "x", "--to-env-file", "y"], ["--to-env-file", "requires 2 arguments"]),
        (["get"], ["ID", "api-keys get --help"]),
        (["get", "x", "y"], ["more arguments than", "api-keys get --help"]),
        (["--"], ["none of the commands"]),
    ],
)
def test_a_mistake_is_still_told(engine: Sandbox, arguments: list[str], words: list[str]) -> None:
    check_refused(within(engine, *arguments), 2, *words)
