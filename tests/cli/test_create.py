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
    begun,
    check_record,
    check_refused,
    check_silent,
    ended,
    environment,
    mode_of,
    piped,
    run_without_a_reader,
    within,
)
from tests.support.interrupts import press


def test_create_writes_the_secret_to_a_file_that_only_its_owner_can_read(engine: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    run = piped(
        engine, "create", "--description", "ci", "--role", "TASK-ADMIN", "--role", "ORG-ADMIN", "--output", file
    )
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


def test_create_leaves_to_the_server_what_is_not_given(engine: Sandbox, tmp_path: Path) -> None:
    document = piped(engine, "create", "--output", tmp_path / "secret", "--json").document
    assert document.pop("output") == str(tmp_path / "secret")
    check_record(document, description=None, roles=["VALIDATION-USER"])


def test_create_shows_the_secret_where_that_is_asked_for(engine: Sandbox) -> None:
    run = piped(engine, "create", "--show")
    (secret,) = LONG.findall(run.out)
    assert f"\nkey\t{secret}\n" in run.out
    assert engine.accepts(secret)
    document = piped(engine, "create", "--show", "--json").document
    assert engine.accepts(document.pop("key"))
    assert document.pop("output") is None
    check_record(document, is_active=True)


def test_create_without_a_place_for_the_secret_is_refused_before_anything_is_sent(engine: Sandbox) -> None:
    check_refused(piped(engine, "create", "--description", "ci"), 2, "--output FILE", "--show", "Nothing was sent")
    assert engine.requests == []


def bad_places(folder: Path) -> dict[str, Path]:
    (folder / "target").write_text("")
    (folder / "link").symlink_to(folder / "target")
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    (folder / "full").write_text("another secret")
    return {
        "a symlink": folder / "link",
        "a folder": folder / "open",
        "open to others": folder / "open" / "secret",
        "there already": folder / "full",
        "in no folder": folder / "none" / "secret",
    }


@pytest.mark.parametrize("place", ["a symlink", "a folder", "open to others", "there already", "in no folder"])
def test_a_bad_place_is_refused_before_anything_is_sent(engine: Sandbox, tmp_path: Path, place: str) -> None:
    path = bad_places(tmp_path)[place]
    check_refused(within(engine, "create", "--output", path), 2, "the FILE of --output", "Nothing was sent")
    assert engine.requests == []
    assert (tmp_path / "full").read_text() == "another secret"


def test_an_empty_file_of_one_s_own_is_taken_and_closed_to_others(engine: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "made by mktemp"
    file.touch(0o644)
    assert piped(engine, "create", "--output", file).code == 0
    assert engine.accepts(file.read_text())
    assert mode_of(file) == 0o600


@pytest.mark.parametrize("made_by_mktemp", [False, True])
def test_of_two_creations_for_one_file_one_fails_and_ends_its_key(
    engine: Sandbox, tmp_path: Path, made_by_mktemp: bool
) -> None:
    file = tmp_path / "secret"
    if made_by_mktemp:
        file.touch()
    creations = Held(engine, "create", times=2)
    with begun(engine, "create", "--output", file) as first, begun(engine, "create", "--output", file) as second:
        creations.wait()
        creations.let_go()
        runs = sorted([ended(first), ended(second)])
    assert [run.code for run in runs] == [0, 1]
    check_refused(runs[1], 1, "it is there already", "key was deactivated")
    assert len(active(engine)) == 1
    assert engine.accepts(file.read_text())
    assert [*tmp_path.iterdir()] == [file]


def test_a_file_that_comes_there_meanwhile_is_kept(engine: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    creation = Held(engine, "create")
    with begun(engine, "create", "--output", file) as child:
        creation.wait()
        file.write_text("another secret")
        creation.let_go()
        run = ended(child)
    check_refused(run, 1, "it is there already", "key was deactivated")
    assert file.read_text() == "another secret"
    assert active(engine) == []


def run_with_folder_opened_meanwhile(engine: Sandbox, folder: Path) -> Ran:
    """A creation that finds, once the key is made, that others can write to the folder."""
    folder.mkdir()
    creation = Held(engine, "create")
    with begun(engine, "create", "--output", folder / "secret") as child:
        creation.wait()
        folder.chmod(0o777)
        creation.let_go()
        return ended(child)


def test_a_secret_that_cannot_be_written_ends_its_key(engine: Sandbox, tmp_path: Path) -> None:
    run = run_with_folder_opened_meanwhile(engine, tmp_path / "folder")
    (key,) = engine.keys()
    check_refused(run, 1, f"the secret of key {key.id} could not be kept", "others can write", "key was deactivated")
    assert not key.is_active
    assert [*(tmp_path / "folder").iterdir()] == []


def test_a_key_that_cannot_be_ended_either_is_named(engine: Sandbox, tmp_path: Path) -> None:
    engine.queue(Fault.status(403), operation="deactivate")
    run = run_with_folder_opened_meanwhile(engine, tmp_path / "folder")
    (key,) = engine.keys()
    check_refused(run, 3, "could not be deactivated", f"api-keys deactivate {key.id}")
    assert key.is_active


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
    creation = Held(engine, "create")
    with begun(engine, "create", "--output", tmp_path / "secret") as child:
        creation.wait()
        press(child)
        run = ended(child)
    creation.let_go()
    check_refused(run, 130, "a key may have been created, whose secret is lost", "compare `api-keys list`")


def test_a_creation_that_is_cut_off_says_how_to_find_its_key(engine: Sandbox) -> None:
    engine.queue(Fault.drop(committed=True), operation="create")
    run = piped(engine, "create", "--description", "Ann's job", "--show")
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
    assert [*tmp_path.iterdir()] == []
