"""`api-keys` in a terminal: tables, colours and whole ids, at the widths that terminals have."""

from __future__ import annotations

import re

from api_keys_client import Role
from api_keys_client.sandbox import Sandbox
from tests.support.cli_runs import (
    HARMLESS,
    HOSTILE,
    UNKNOWN_ID,
    Held,
    Ran,
    in_terminal,
    made,
    terminal,
)

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d)(?:;\d+)*m")


def check_harmless(run: Ran) -> None:
    """Fail if there is anything in it that a terminal obeys, but for the program's own styles."""
    text = run.plain.replace("\r", "")
    assert [character for character in text if not character.isprintable() and character != "\n"] == []


def test_a_list_is_a_table_and_where_that_has_no_room_lines(engine: Sandbox) -> None:
    bare, key_id = made(engine), made(engine, HOSTILE, Role.DEFAULT_RULE_ADMIN, Role.TASK_ADMIN)
    for columns in (200, 80):
        run = in_terminal(engine, "list", columns=columns)
        assert run.code == 0
        assert COLOUR.search(run.out)
        check_harmless(run)
        lines = run.plain.splitlines()
        assert lines[0].split() == ["id", "roles", "description"]
        assert {line[:36] for line in lines} >= {bare, key_id}
        assert lines[-1] == "2 active"
        assert max(map(len, lines)) <= columns
        assert columns == 80 or HARMLESS in run.plain
    for columns in (79, 20):
        run = in_terminal(engine, "list", columns=columns)
        check_harmless(run)
        about = f"  DEFAULT-RULE-ADMIN, TASK-ADMIN  {HARMLESS}"
        assert run.plain.splitlines() == [bare, key_id, about, "2 active"]


def test_one_key_is_names_and_values_and_its_id_is_whole(engine: Sandbox) -> None:
    key_id = made(engine, HOSTILE, Role.TASK_ADMIN)
    run = in_terminal(engine, "get", key_id, columns=30)
    check_harmless(run)
    assert run.plain.splitlines() == [
        f"id           {key_id}",
        "roles        TASK-ADMIN",
        f"description  {HARMLESS}",
        "state        active",
    ]


def test_an_error_names_the_whole_id_and_is_two_lines(engine: Sandbox) -> None:
    run = in_terminal(engine, "get", UNKNOWN_ID, columns=40)
    assert run.code == 4
    first, second = run.plain.splitlines()
    assert first.startswith(f"api-keys: get {UNKNOWN_ID}: the server answered 404")
    assert second.startswith("Check the id")


def test_a_secret_is_on_the_screen_with_show_and_then_whole(engine: Sandbox) -> None:
    run = in_terminal(engine, "create", "--description", "ci", "--show")
    assert run.code == 0
    (secret,) = re.findall(r"^key          (\S+)$", run.plain, re.MULTILINE)
    assert engine.accepts(secret)


def test_ctrl_c_ends_a_command_with_130(engine: Sandbox) -> None:
    request = Held(engine, "list")
    with terminal(engine, "list") as run:
        request.wait()
        run.type("\x03")
        ended = run.end()
    request.let_go()
    assert (ended.code, ended.plain) == (130, "^Capi-keys: interrupted.\n")


def test_without_any_columns_what_is_asked_for_is_still_shown(engine: Sandbox) -> None:
    key_id = made(engine, "ci")
    for command in ("list", f"get {key_id}", "doctor"):
        assert in_terminal(engine, *command.split(), COLUMNS="0").out.strip(), command
    shown = in_terminal(engine, "create", "--show", COLUMNS="0").plain
    assert any(engine.accepts(word) for word in shown.split())
