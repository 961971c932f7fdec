"""What each command of `api-keys` answers in a pipe, and where it puts a secret."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest
from cli_runs import (
    LONG,
    PROGRAM,
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
    within,
)

from api_keys_client import ApiKeysClient, Role
from api_keys_client.sandbox import Fault, Operation, Sandbox

HOSTILE = "x\x1b]0;title\x07\x1b[31m[bold]red[/bold]\tnext\nline\x9b2J\u202eend"
HARMLESS = r"x\x1b]0;title\x07\x1b[31m[bold]red[/bold]\tnext\nline\x9b2J\u202eend"
RECORD = {"id", "description", "roles", "is_active", "created_at", "deactivated_at"}


def check_record(document: dict[str, object], **wanted: object) -> None:
    """Fail unless this is a record's document, with these values."""
    assert {*document} == RECORD
    assert {name: document[name] for name in wanted} == wanted
    for name in ("created_at", "deactivated_at"):
        assert document[name] is None or datetime.fromisoformat(str(document[name]))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_list_is_one_line_for_each_key_its_columns_split_by_tabs(engine: Sandbox) -> None:
    second = made(engine, "the second", Role.TASK_ADMIN, Role.ORG_ADMIN)
    first, without = made(engine, "a first", Role.ORG_AUDITOR), made(engine)
    run = piped(engine, "list", FORCE_COLOR="1")
    assert (run.code, run.err) == (0, "")
    assert [line.split("\t") for line in run.out.splitlines()] == [
        [without, "", ""],
        [first, "ORG-AUDITOR", "a first"],
        [second, "TASK-ADMIN,ORG-ADMIN", "the second"],
    ]


def test_an_empty_list_is_nothing(engine: Sandbox) -> None:
    assert piped(engine, "list") == Ran(0, "", "")
    assert within(engine, "list", "--json").document == {"keys": []}


def test_a_list_can_be_limited(engine: Sandbox) -> None:
    admin, other = made(engine, "job", Role.ORG_ADMIN), made(engine, "job", Role.TASK_ADMIN)
    made(engine, "another job", Role.ORG_ADMIN)
    assert {line[:36] for line in piped(engine, "list", "--description", "job").out.splitlines()} == {admin, other}
    assert piped(engine, "list", "--description", "job", "--role", "ORG-ADMIN").out[:36] == admin


def test_a_role_that_is_none_is_pointed_out(engine: Sandbox) -> None:
    run = within(engine, "list", "--role", "ORG_ADMIN", "--json")
    assert (run.code, run.document) == (0, {"keys": []})
    assert run.err.startswith("ORG_ADMIN is none of the engine's roles: DEFAULT-RULE-ADMIN")


def test_a_list_as_json(engine: Sandbox) -> None:
    key_id = made(engine, HOSTILE, Role.TASK_ADMIN)
    run = piped(engine, "list", "--json")
    (record,) = run.document["keys"]
    check_record(record, id=key_id, description=HOSTILE, roles=["TASK-ADMIN"], is_active=True, deactivated_at=None)
    assert run.out.isascii()
    assert run.err == ""


def test_what_a_terminal_would_obey_is_spelled_out(engine: Sandbox) -> None:
    key_id = made(engine, HOSTILE, Role.TASK_ADMIN)
    assert piped(engine, "list").out == f"{key_id}\tTASK-ADMIN\t{HARMLESS}\n"
    assert f"description\t{HARMLESS}\n" in piped(engine, "get", key_id).out
    engine.queue(Fault.status(400, HOSTILE))
    refused = piped(engine, "get", key_id, "--debug")
    assert refused.code == 1
    assert [character for character in refused.err if not character.isprintable() and character != "\n"] == []


def test_a_description_that_the_terminal_s_encoding_lacks_is_shown_all_the_same(engine: Sandbox) -> None:
    made(engine, "größer ☃")
    assert "größer ☃" in piped(engine, "list").out
    assert r"gr\xf6\xdfer \u2603" in piped(engine, "list", PYTHONIOENCODING="ascii").out


def test_get_shows_a_key_active_or_not(engine: Sandbox) -> None:
    key_id = made(engine, "nightly evaluation", Role.VALIDATION_USER)
    shown = ["id\t" + key_id, "roles\tVALIDATION-USER", "description\tnightly evaluation"]
    assert piped(engine, "get", key_id.upper()).out.splitlines() == [*shown, "state\tactive"]
    check_record(piped(engine, "get", key_id, "--json").document, id=key_id, is_active=True, deactivated_at=None)
    assert piped(engine, "deactivate", key_id, "--yes").code == 0
    *lines, state = piped(engine, "get", key_id).out.splitlines()
    assert lines == shown
    assert re.fullmatch(r"state\tinactive since 20\d\d-\d\d-\d\dT[\d:.]+", state)
    assert piped(engine, "get", key_id, "--json").document["is_active"] is False


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
    check_refused(within(engine, "create", "--output", path), 2, str(path), "Nothing was sent")
    assert engine.requests == []
    assert (tmp_path / "full").read_text() == "another secret"


def test_an_empty_file_of_one_s_own_is_taken_and_closed_to_others(engine: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "made by mktemp"
    file.touch(0o644)
    assert piped(engine, "create", "--output", file).code == 0
    assert engine.accepts(file.read_text())
    assert mode_of(file) == 0o600


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
        child.send_signal(signal.SIGINT)
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


def run_without_a_reader(engine: Sandbox, *arguments: str | Path) -> Ran:
    """A run whose stdout is a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    finished = subprocess.run(
        [PROGRAM, *arguments], env=environment(engine), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    return Ran(finished.returncode, "", finished.stderr)


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


def test_rotate_puts_a_new_key_into_a_file(engine: Sandbox, tmp_path: Path) -> None:
    old, file = made(engine, "job", Role.TASK_ADMIN), tmp_path / "secret"
    run = piped(engine, "rotate", old, "--to-file", file)
    (new,) = active(engine)
    assert run.out.splitlines() == [f"old id\t{old}", "old state\tinactive", f"new id\t{new}", f"stored\t{file}"]
    assert engine.accepts(file.read_text())
    assert mode_of(file) == 0o600


def secret_of(engine: Sandbox) -> tuple[str, str]:
    """The id and the secret of a new key."""
    with ApiKeysClient(engine.url, token=engine.token) as client:
        key = client.create("job")
        return key.id, key.key.get_secret_value()


def test_rotate_spares_a_file_that_holds_something_else(engine: Sandbox, tmp_path: Path) -> None:
    old, file = made(engine, "job"), tmp_path / "notes"
    another, its_secret = secret_of(engine)
    for content, words in (("buy milk\n", "holds something else"), (its_secret, f"another key, {another}")):
        file.write_text(content)
        check_refused(within(engine, "rotate", old, "--to-file", file), 2, words, "Nothing was sent", "--overwrite")
        assert file.read_text() == content
    assert [request.operation for request in engine.requests] == ["create", "create"]
    assert within(engine, "rotate", old, "--to-file", file, "--overwrite").code == 0
    assert engine.accepts(file.read_text())


def test_rotate_replaces_the_secret_of_the_key_and_an_empty_file(engine: Sandbox, tmp_path: Path) -> None:
    old, secret = secret_of(engine)
    file, empty = tmp_path / "secret", tmp_path / "empty"
    file.write_text(f"{secret}\n")
    empty.touch()
    assert within(engine, "rotate", old.upper(), "--to-file", file, "--keep-old").code == 0
    assert file.read_text() != f"{secret}\n"
    assert within(engine, "rotate", made(engine), "--to-file", empty).code == 0
    assert engine.accepts(empty.read_text())


def test_rotate_puts_a_new_key_into_a_dotenv_file(engine: Sandbox, tmp_path: Path) -> None:
    old, file = made(engine, "job", Role.TASK_ADMIN), tmp_path / ".env"
    file.write_text("A=1\nENGINE_KEY=old\nB=2\n")
    run = piped(engine, "rotate", old, "--to-env-file", file, "ENGINE_KEY", "--keep-old", "--json")
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


# Writes down all that a child of ours can see.
SPY = """
import json, os, pathlib, sys
seen = {"secret": sys.stdin.read(), "words": sys.argv[2:], "environment": dict(os.environ)}
pathlib.Path(sys.argv[1]).write_text(json.dumps(seen))
"""


def test_rotate_gives_a_new_key_to_a_command_on_its_input_alone(engine: Sandbox, tmp_path: Path) -> None:
    old, file = made(engine, "job"), tmp_path / "seen"
    words = ["--to-file", "-x", "--json", "--token", "--", "--help"]
    run = piped(engine, "rotate", old, "--to-command", sys.executable, "-c", SPY, file, *words)
    assert (run.code, run.err) == (0, "")
    seen = json.loads(file.read_text())
    assert seen["words"] == words
    assert engine.accepts(seen["secret"])
    assert [name for name, value in seen["environment"].items() if seen["secret"] in value] == []
    assert [name for name, value in seen["environment"].items() if engine.token in value] == []
    assert active(engine) == [run.out.splitlines()[2].removeprefix("new id\t")]


@pytest.mark.parametrize(
    "target",
    [
        [],
        ["--to-file", "a", "--to-env-file", "b", "C"],
        ["--to-file", "a", "--to-command", "cat"],
        ["--to-command"],
        ["another-id", "--to-file", "a"],
        ["--to-env-file", "no-folder/b", "C"],
        ["--to-env-file", "b", "NO NAME"],
        ["--to-file", "a", "--leftovers", "burn"],
    ],
)
def test_rotate_wants_exactly_one_good_target(
    engine: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    check_refused(within(engine, "rotate", made(engine), *target), 2)
    assert [request.operation for request in engine.requests] == ["create"]
    assert [*tmp_path.iterdir()] == []


def test_a_rotation_whose_command_fails_names_both_keys_and_why(engine: Sandbox) -> None:
    old = made(engine, "job")
    run = piped(engine, "rotate", old, "--to-command", "sh", "-c", "cat >&2; echo the vault is sealed >&2; exit 3")
    (_, new) = active(engine)
    check_refused(run, 1, f"{old} and the new key {new} are both active", "storing failed (sh ended with 3: ")
    assert "the vault is sealed)" in run.err
    assert "raised" not in run.err
    check_refused(run, 1, "See which is stored: deactivate the other one.\n")

    again = piped(engine, "rotate", old, "--to-command", "sh", "-c", "cat >/dev/null")
    check_refused(again, 1, new, "with --leftovers deactivate or keep")
    assert (
        piped(engine, "rotate", old, "--leftovers", "deactivate", "--to-command", "sh", "-c", "cat >/dev/null").code
        == 0
    )
    assert len(active(engine)) == 1
    assert not {old, new} & {*active(engine)}


def test_a_rotation_whose_command_cannot_start_is_undone(engine: Sandbox, tmp_path: Path) -> None:
    old, program = made(engine, "job"), tmp_path / "program"
    program.write_text("#!/there/is/no/such/interpreter\n")
    program.chmod(0o755)
    run = piped(engine, "rotate", old, "--to-command", program)
    check_refused(run, 1, "storing failed", "nothing was stored", f"{program} could not be started")
    assert active(engine) == [old]


def test_a_rotation_without_its_program_is_refused_before_anything_is_sent(engine: Sandbox) -> None:
    old, saw = made(engine, "job"), len(engine.requests)
    run = within(engine, "rotate", old, "--to-command", "no-such-program")
    check_refused(run, 2, "no program no-such-program", "Nothing was sent")
    assert len(engine.requests) == saw


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


def test_a_rotation_that_is_interrupted_after_storing_says_that_it_is_stored(engine: Sandbox, tmp_path: Path) -> None:
    old, deactivation, file = made(engine, "job"), Held(engine, "deactivate"), tmp_path / "secret"
    with begun(engine, "rotate", old, "--to-file", file) as child:
        deactivation.wait()
        child.send_signal(signal.SIGINT)
        run = ended(child)
    new = active(engine)[-1]
    deactivation.let_go()
    check_refused(run, 130, f"The new key {new} is stored ({file})", f"api-keys deactivate {old}")
    assert engine.accepts(file.read_text())


def test_an_interrupted_rotation_says_what_to_look_for(engine: Sandbox, tmp_path: Path) -> None:
    old, listed = made(engine, "job"), Held(engine, "list")
    with begun(engine, "rotate", old, "--to-file", tmp_path / "secret") as child:
        listed.wait()
        child.send_signal(signal.SIGINT)
        run = ended(child)
    listed.let_go()
    check_refused(run, 130, "interrupted", f"(replaces {old}")


def test_sandbox_is_the_sandbox_with_its_own_options(tmp_path: Path) -> None:
    with begun(None, "sandbox", "--db", tmp_path / "keys", "--profile", "spec", API_KEYS_TOKEN="a-token") as child:
        assert child.stdout is not None
        while not (line := child.stdout.readline()).startswith("Ready: "):
            assert line
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{line.split()[1]}/auth/api_keys/", timeout=10)
        child.send_signal(signal.SIGINT)
        assert ended(child).code == 0
    assert (tmp_path / "keys").exists()
    help_text = piped(None, "sandbox", "--help").out
    assert help_text.startswith("usage: api-keys sandbox ")
    assert "--profile" in help_text


def test_sandbox_without_its_extra_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['werkzeug'] = None; from api_keys_client.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "sandbox"]
    finished = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    check_refused(Ran(finished.returncode, finished.stdout, finished.stderr), 2, "api-keys-client[sandbox]")


def test_version_names_what_it_is_made_for() -> None:
    document = piped(None, "version", "--json").document
    assert {*document} == {"version", "python", "engine"}
    assert piped(None, "version").out.splitlines() == [f"{name}\t{value}" for name, value in document.items()]
    assert document["python"] == ".".join(map(str, sys.version_info[:3]))


def test_a_reader_that_leaves_early_is_no_accident(engine: Sandbox) -> None:
    made(engine, "job")
    assert run_without_a_reader(engine, "list") == Ran(1, "", "")


def test_a_rotation_that_is_interrupted_while_storing_names_both_keys(engine: Sandbox) -> None:
    old = made(engine, "job")
    run = piped(
        engine, "rotate", old, "--to-command", "sh", "-c", 'cat >/dev/null; kill -INT "$PPID"; exec tail -f /dev/null'
    )
    _, new = active(engine)
    check_refused(run, 130, "interrupted", f"Keys {old} and {new} are both active", "deactivate the other one")
