"""What `api-keys list` and `get` answer: lines in a pipe; tables, colours and whole ids in a terminal."""

from __future__ import annotations

import re

from api_keys_client import Role
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.cli_runs import HARMLESS, HOSTILE, Held, Ran, check_record, in_terminal, made, terminal, within


def test_a_list_is_one_line_for_each_key_its_columns_split_by_tabs(engine: Sandbox) -> None:
    second = made(engine, HOSTILE, Role.TASK_ADMIN, Role.ORG_ADMIN)
    first, without = made(engine, "a first", Role.ORG_AUDITOR), made(engine)
    run = within(engine, "list", FORCE_COLOR="1")
    assert (run.code, run.err) == (0, "")
    assert [line.split("\t") for line in run.out.splitlines()] == [
        [without, "", ""],
        [first, "ORG-AUDITOR", "a first"],
        [second, "TASK-ADMIN,ORG-ADMIN", HARMLESS],
    ]


def test_a_list_can_be_limited(engine: Sandbox) -> None:
    admin, other = made(engine, "job", Role.ORG_ADMIN), made(engine, "job", Role.TASK_ADMIN)
    made(engine, "another job", Role.ORG_ADMIN)
    assert {line[:36] for line in within(engine, "list", "--description", "job").out.splitlines()} == {admin, other}
    assert within(engine, "list", "--description", "job", "--role", "ORG-ADMIN").out[:36] == admin
    assert within(engine, "list", "--description", "no job") == (0, "", "")
    made(engine)
    made(engine, "Straße")
    assert within(engine, "list", "--search", "OTHER j").out.split("\t")[2] == "another job\n"
    assert within(engine, "list", "--search", "STRASSE").out.endswith("\tStraße\n")
    assert within(engine, "list", "--search", "", "--json").document == within(engine, "list", "--json").document


def test_a_role_that_is_none_is_pointed_out_and_not_printed(engine: Sandbox) -> None:
    run = within(engine, "list", "--role", "p4ssw0rd", "--json")
    assert (run.code, run.document) == (0, {"keys": []})
    assert run.err.startswith("That is none of the engine's roles: DEFAULT-RULE-ADMIN")
    assert "p4ssw0rd" not in run.err


def test_what_a_server_says_cannot_move_the_cursor(engine: Sandbox) -> None:
    engine.queue(Fault.status(400, HOSTILE))
    refused = within(engine, "list", "--debug")
    assert refused.code == 1
    assert [character for character in refused.err if not character.isprintable() and character != "\n"] == []


def test_a_description_that_the_terminal_s_encoding_lacks_is_shown_all_the_same(engine: Sandbox) -> None:
    made(engine, "größer ☃")
    assert "größer ☃" in within(engine, "list").out
    assert r"gr\xf6\xdfer \u2603" in within(engine, "list", charset="ascii").out


def test_get_shows_a_key_active_or_not(engine: Sandbox) -> None:
    key_id = made(engine, HOSTILE, Role.VALIDATION_USER)
    shown = ["id\t" + key_id, "roles\tVALIDATION-USER", f"description\t{HARMLESS}"]
    assert within(engine, "get", key_id.upper()).out.splitlines() == [*shown, "state\tactive"]
    check_record(within(engine, "get", key_id, "--json").document, id=key_id, is_active=True, deactivated_at=None)
    assert within(engine, "deactivate", key_id, "--yes").code == 0
    *lines, state = within(engine, "get", key_id).out.splitlines()
    assert lines == shown
    assert re.fullmatch(r"state\tinactive since 20\d\d-\d\d-\d\dT[\d:.]+", state)
    assert within(engine, "get", key_id, "--json").document["is_active"] is False


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


def test_no_keys_are_no_table_and_where_keys_end_a_table_needs_more_room(engine: Sandbox) -> None:
    assert in_terminal(engine, "list").plain == "0 active\n"
    assert within(engine, "create", "--show", "--expires", "2100-01-31").code == 0
    assert in_terminal(engine, "list", columns=104).plain.split()[:4] == ["id", "roles", "ends", "description"]
    assert "2100-01-31T00:00:00Z" in in_terminal(engine, "list", columns=103).plain.splitlines()[1]


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


def test_ctrl_c_ends_a_command_with_130(engine: Sandbox) -> None:
    request = Held(engine, "list")
    with terminal(engine, "list") as run:
        request.wait()
        run.type("\x03")
        ended = run.end()
    request.let_go()
    assert (ended.code, ended.plain) == (130, "^Capi-keys: interrupted.\n")


def test_without_any_columns_what_is_asked_for_is_still_shown(engine: Sandbox) -> None:
    made(engine, "ci")
    assert "1 active" in in_terminal(engine, "list", COLUMNS="0").plain
