"""What `api-keys list`, `get`, `sandbox` and `version` answer in a pipe."""

from __future__ import annotations

import re
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from api_keys_client import Role
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.cli_runs import HARMLESS, HOSTILE, begun, check_record, ended, made, within


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


def test_a_list_as_json(engine: Sandbox) -> None:
    key_id = made(engine, HOSTILE, Role.TASK_ADMIN)
    run = within(engine, "list", "--json")
    (record,) = run.document["keys"]
    check_record(record, id=key_id, description=HOSTILE, roles=["TASK-ADMIN"], is_active=True, deactivated_at=None)
    assert run.out.isascii()
    assert run.err == ""


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
    help_text = within(None, "sandbox", "--help").out
    assert help_text.startswith("usage: api-keys sandbox ")
    assert "--profile" in help_text


def test_version_names_what_it_is_made_for() -> None:
    document = within(None, "version", "--json").document
    assert {*document} == {"version", "python", "engine"}
    assert within(None, "version").out.splitlines() == [f"{name}\t{value}" for name, value in document.items()]
    assert document["python"] == ".".join(map(str, sys.version_info[:3]))
