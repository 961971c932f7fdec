"""`api-keys create`: where its secret goes, and what becomes of a key whose secret goes nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api_keys_client.sandbox import Fault, Sandbox
from tests.support.cli_runs import (
    LONG,
    PROGRAM,
    Held,
    Ran,
    active,
    check_record,
    check_refused,
    check_silent,
    environment,
    mode_of,
    run_without_a_reader,
    within,
    within_while,
)
from tests.support.interrupts import press_here
from tests.support.storing import left_in


def test_create_writes_the_secret_to_a_file_that_only_its_owner_can_read(engine: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    roles = ("--role", "TASK-ADMIN", "--role", "ORG-ADMIN")
    run = within(engine, "create", "--description", "ci", *roles, "--output", file)
    (key,) = engine.keys()
    assert run.out.splitlines() == [
        f"id\t{key.id}",
        "roles\tTASK-ADMIN,ORG-ADMIN",
        "description\tci",
        "state\tactive",
        f"output\t{file}",
    ]
    assert engine.accepts(file.read_text())
    assert mode_of(file) == 0o600
    check_silent(Ran(0, run.out.replace(str(file), ""), run.err), file.read_text())


def test_create_shows_the_secret_where_that_is_asked_for(engine: Sandbox) -> None:
    run = within(engine, "create", "--show")
    (secret,) = LONG.findall(run.out)
    assert f"\nkey\t{secret}\n" in run.out
    assert engine.accepts(secret)
    document = within(engine, "create", "--show", "--json").document
    assert engine.accepts(document.pop("key"))
    assert document.pop("output") is None
    # The server says what is not given.
    check_record(document, description=None, roles=["VALIDATION-USER"], is_active=True)


def test_a_bad_place_is_refused_before_anything_is_sent(engine: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "full").write_text("another secret")
    for place in ("open/secret", "full", "none/secret"):
        run = within(engine, "create", "--output", tmp_path / place)
        check_refused(run, 2, "the FILE of --to-file", "Nothing was sent")
    check_refused(within(engine, "create", "--description", "ci"), 2, "--to-file FILE", "--show", "Nothing was sent")
    assert engine.requests == []
    assert (tmp_path / "full").read_text() == "another secret"


def test_a_secret_goes_where_that_of_a_rotation_can_go(engine: Sandbox, tmp_path: Path) -> None:
    env, piped = tmp_path / ".env", tmp_path / "piped"
    run = within(engine, "create", "--to-env-file", env, "ENGINE_KEY", "--json")
    assert run.document["output"] == f"ENGINE_KEY in {env}"
    name, _, secret = env.read_text().strip().partition("=")
    assert (name, engine.accepts(secret)) == ("ENGINE_KEY", True)
    run = within(engine, "create", "--to-command", "sh", "-c", f"umask 077; cat > {piped}")
    assert run.code == 0
    assert engine.accepts(piped.read_text())
    assert piped.read_text() not in run.all


def test_a_secret_that_a_command_did_not_take_ends_its_key(engine: Sandbox) -> None:
    run = within(engine, "create", "--to-command", "sh", "-c", "cat >&2; exit 3")
    check_refused(run, 1, "could not be kept (sh ended with 3", "key was deactivated")
    assert active(engine) == []


@pytest.mark.parametrize("can_be_ended", [True, False])
def test_a_secret_that_cannot_be_written_ends_its_key_or_names_it(
    engine: Sandbox, tmp_path: Path, can_be_ended: bool
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if not can_be_ended:
        engine.queue(Fault.status(403), operation="deactivate")
    run = within_while(
        Held(engine, "create"), lambda: folder.chmod(0o777), engine, "create", "--output", folder / "secret"
    )
    (key,) = engine.keys()
    if can_be_ended:
        words = f"the secret of key {key.id} could not be kept", "others can write", "key was deactivated"
        check_refused(run, 1, *words)
    else:
        check_refused(run, 3, "could not be deactivated", f"api-keys deactivate {key.id}")
    assert key.is_active is not can_be_ended
    assert left_in(folder) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to write to")
def test_a_secret_that_nobody_saw_ends_its_key(engine: Sandbox) -> None:
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [PROGRAM, "create", "--show"], env=environment(engine), stdout=full, stderr=subprocess.PIPE, check=False
        )
    (key,) = engine.keys()
    check_refused(Ran(finished.returncode, "", finished.stderr.decode()), 1, "No space left", "was deactivated")
    assert not key.is_active


def test_a_creation_that_is_interrupted_says_that_a_key_may_be_there(engine: Sandbox, tmp_path: Path) -> None:
    run = within_while(Held(engine, "create"), press_here, engine, "create", "--output", tmp_path / "secret")
    check_refused(run, 130, "a key may have been created, whose secret is lost", "compare `api-keys list`")


def test_a_creation_that_is_cut_off_says_how_to_find_its_key(engine: Sandbox) -> None:
    engine.queue(Fault.drop(committed=True), operation="create")
    run = within(engine, "create", "--description", "Ann's job", "--show")
    check_refused(run, 6, "may have been created", "deactivate it: api-keys list --description ")
    advised = ["sh", "-c", run.err.rpartition("deactivate it: ")[2]]
    path = os.pathsep.join((str(PROGRAM.parent), os.environ["PATH"]))
    found = subprocess.run(advised, env=environment(engine, PATH=path), capture_output=True, text=True, check=True)
    assert found.stdout[:36] == active(engine)[0]


def test_a_key_whose_secret_is_in_its_file_stays_although_nobody_reads_the_answer(
    engine: Sandbox, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    run = run_without_a_reader(engine, "create", "--output", file)
    (key,) = engine.keys()
    assert run.err == (
        f"api-keys: key {key.id} was created, and its secret is in {file}, "
        "but the answer could not be written: Broken pipe.\n"
    )
    assert (run.code, key.is_active) == (1, True)
    assert engine.accepts(file.read_text())


# Stops the store after its renaming, when it opens the folder to flush it.
FAILING = """
import sys
def hook(event, arguments):
    if event == "open" and arguments[0] == sys.argv[-1].rpartition("/")[0] and arguments[1] is None:
        raise OSError(5, "Input/output error")
sys.addaudithook(hook)
from api_keys_client.cli import main
sys.exit(main())
"""


def test_of_a_secret_that_may_be_written_nothing_is_left_with_its_key(engine: Sandbox, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FAILING, "create", "--output", str(tmp_path / "secret")]
    finished = subprocess.run(command, env=environment(engine), capture_output=True, text=True, check=False)
    run = Ran(finished.returncode, finished.stdout, finished.stderr)
    check_refused(run, 1, "could not be kept (Input/output error)", "key was deactivated")
    assert active(engine) == []
    assert left_in(tmp_path) == []
