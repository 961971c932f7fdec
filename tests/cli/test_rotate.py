"""`api-keys rotate`: where the new secret goes, and what is left of a rotation that stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_keys_client import Role
from api_keys_client.sandbox import Fault, Operation, Sandbox
from tests.support.cli_runs import (
    Held,
    active,
    check_record,
    check_refused,
    made,
    mode_of,
    secret_of_new,
    within,
    within_while,
)
from tests.support.interrupts import press_here
from tests.support.rotations import made_by_hand


def test_rotate_puts_a_new_key_into_a_file(engine: Sandbox, tmp_path: Path) -> None:
    old, file = made(engine, "job", Role.TASK_ADMIN), tmp_path / "secret"
    run = within(engine, "rotate", old, "--to-file", file)
    (new,) = active(engine)
    assert run.out.splitlines() == [f"old id\t{old}", "old state\tinactive", f"new id\t{new}", f"stored\t{file}"]
    assert engine.accepts(file.read_text())
    assert mode_of(file) == 0o600


def test_rotate_spares_a_file_that_holds_something_else(engine: Sandbox, tmp_path: Path) -> None:
    old, file = made(engine, "job"), tmp_path / "notes"
    another, its_secret = secret_of_new(engine, "job")
    for content, words in (("buy milk\n", "holds something else"), (its_secret, f"another key, {another}")):
        file.write_text(content)
        check_refused(within(engine, "rotate", old, "--to-file", file), 2, words, "Nothing was sent", "--overwrite")
        assert file.read_text() == content
    assert [request.operation for request in engine.requests] == ["create", "create"]
    assert within(engine, "rotate", old, "--to-file", file, "--overwrite").code == 0
    assert engine.accepts(file.read_text())


def test_rotate_replaces_the_secret_of_the_key_and_an_empty_file(engine: Sandbox, tmp_path: Path) -> None:
    (old, secret), file = secret_of_new(engine, "job"), tmp_path / "secret"
    for content in (f"{secret}\n", ""):
        file.write_text(content)
        assert within(engine, "rotate", old.upper(), "--to-file", file, "--keep-old", "--leftovers", "keep").code == 0
        assert file.read_text().strip() != secret
        assert engine.accepts(file.read_text())


def test_rotate_puts_a_new_key_into_a_dotenv_file(engine: Sandbox, tmp_path: Path) -> None:
    old, file = made(engine, "job", Role.TASK_ADMIN), tmp_path / ".env"
    file.write_text("A=1\nENGINE_KEY=old\nB=2\n")
    run = within(engine, "rotate", old, "--to-env-file", file, "ENGINE_KEY", "--keep-old", "--json")
    document = run.document
    assert active(engine) == [old, document["new"]["id"]]
    assert {name: document[name] for name in ("old_id", "old_is_active", "stored")} == {
        "old_id": old,
        "old_is_active": True,
        "stored": f"ENGINE_KEY in {file}",
    }
    check_record(document["new"], roles=["TASK-ADMIN"], is_active=True)
    assert run.err == f"When nothing uses the old key any more: api-keys deactivate {old}\n"
    first, second, third = file.read_text().splitlines()
    assert (first, third) == ("A=1", "B=2")
    assert engine.accepts(second.removeprefix("ENGINE_KEY="))


def test_rotate_gives_a_new_key_to_a_command_on_its_input_alone(engine: Sandbox, tmp_path: Path) -> None:
    old, seen = made(engine, "job"), tmp_path / "seen"
    words = ["--to-file", "-x", "--json", "--token", "--", "--help"]
    shell = ("sh", "-c", 'cat >"$0"; printf "\n%s" "$@" >>"$0"', seen)
    run = within(engine, "rotate", old, "--to-command", *shell, *words)
    assert (run.code, run.err) == (0, "")
    secret, *given = seen.read_text().splitlines()
    assert engine.accepts(secret)
    assert given == words
    assert active(engine) == [run.out.splitlines()[2].removeprefix("new id\t")]


def test_a_rotation_whose_command_fails_names_both_keys_and_why(engine: Sandbox) -> None:
    old = made(engine, "job")
    run = within(engine, "rotate", old, "--to-command", "sh", "-c", "cat >&2; echo the vault is sealed >&2; exit 3")
    (_, new) = active(engine)
    check_refused(run, 1, f"{old} and the new key {new} are both active", "storing failed (sh ended with 3: ")
    assert "the vault is sealed)" in run.err
    assert "raised" not in run.err
    assert "See which is stored: deactivate the other one.\n" in run.err

    keep = ("--to-command", "sh", "-c", "cat >/dev/null")
    check_refused(within(engine, "rotate", old, *keep), 1, new, "with --leftovers deactivate or keep")
    assert within(engine, "rotate", old, "--leftovers", "deactivate", *keep).code == 0
    assert len(active(engine)) == 1
    assert not {old, new} & {*active(engine)}


def test_a_rotation_names_what_it_leaves_although_leftovers_are_to_end(engine: Sandbox, tmp_path: Path) -> None:
    victim = made(engine, "victim")
    mine = made_by_hand(engine, f"mine (replaces {victim} #0123456789ab)")
    rotate = ("rotate", mine, "--to-file", tmp_path / "secret")
    check_refused(within(engine, *rotate), 1, victim, "--leftovers keep, then deactivate others by their ids")
    run = within(engine, *rotate, "--leftovers", "deactivate")
    assert run.code == 0
    assert f"Left active, because their descriptions or roles are others: {victim}" in run.err
    assert victim in active(engine)


@pytest.mark.parametrize(
    ("operation", "fault", "code", "words"),
    [
        ("list", Fault.status(403), 3, "403"),
        ("create", Fault.drop(), 6, "may still appear"),
        ("deactivate", Fault.status(403), 1, "is in place"),
    ],
)
def test_a_rotation_that_stops_ends_with_the_code_of_its_table(
    engine: Sandbox, tmp_path: Path, operation: Operation, fault: Fault, code: int, words: str
) -> None:
    old = made(engine, "job")
    engine.queue(fault, operation=operation)
    check_refused(within(engine, "rotate", old, "--to-file", tmp_path / "secret"), code, words)
    assert old in active(engine)


def test_an_interrupted_rotation_says_how_far_it_came(engine: Sandbox, tmp_path: Path) -> None:
    old, file = made(engine, "job"), tmp_path / "secret"
    rotate = ("rotate", old, "--to-file", file)
    run = within_while(Held(engine, "list"), press_here, engine, *rotate)
    check_refused(run, 130, "interrupted", f"(replaces {old}")
    assert active(engine) == [old]

    run = within_while(Held(engine, "deactivate"), press_here, engine, *rotate)
    new = active(engine)[-1]
    check_refused(run, 130, f"The new key {new} is in place; {old} may still be active")
    assert engine.accepts(file.read_text())


def test_a_rotation_that_is_interrupted_while_storing_names_both_keys(engine: Sandbox) -> None:
    old = made(engine, "job")
    interrupting = 'cat >/dev/null; kill -INT "$PPID"; exec tail -f /dev/null'
    run = within(engine, "rotate", old, "--to-command", "sh", "-c", interrupting)
    _, new = active(engine)
    check_refused(run, 130, "interrupted", f"Keys {old} and {new} are both active", "deactivate the other one")
