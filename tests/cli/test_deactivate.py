"""`api-keys deactivate`: it asks, ends what was named and nothing else, and says what became of every id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api_keys_client import Role
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.cli_runs import (
    PROGRAM,
    UNKNOWN_ID,
    Held,
    active,
    check_refused,
    check_silent,
    made,
    piped,
    secret_of_new,
    terminal,
    within,
)
from tests.support.clients import requests


def test_in_a_pipe_every_id_has_its_line_and_the_count_goes_to_stderr(engine: Sandbox) -> None:
    first, kept, last = (made(engine, "job") for _ in range(3))
    run = piped(engine, "deactivate", "--yes", first, UNKNOWN_ID, last.upper(), first)
    assert run.code == 4
    assert [line.split("\t")[:2] for line in run.out.splitlines()] == [
        [first, "deactivated"],
        [UNKNOWN_ID, "failed"],
        [last, "deactivated"],
    ]
    assert "404 Not Found" in run.out
    assert run.err.splitlines() == [
        "2 deactivated, 1 failed.",
        "Check the id and the base URL; a deactivated key would still be found.",
    ]
    assert active(engine) == [kept]
    assert requests(engine).count("deactivate") == 3


def test_the_document_has_every_id_and_of_several_failures_the_highest_code_counts(engine: Sandbox) -> None:
    ids = [made(engine, "job") for _ in range(3)]
    engine.queue(Fault.status(403), operation="get")
    run = piped(engine, "deactivate", "--yes", "--json", ids[0], UNKNOWN_ID)
    # 3 and 4
    assert run.code == 4
    assert run.document["counts"] == {"unconfirmed": 1, "failed": 1}
    engine.queue(Fault.drop(), operation="deactivate", times=3)
    # One at a time, so that all three drops are met by the same key.
    run = piped(engine, "deactivate", "--yes", "--json", ids[1])
    (result,) = run.document["results"]
    assert (run.code, result["state"]) == (6, "unknown")
    assert result["record"] is None
    assert "may be deactivated" in result["error"]
    assert result["next_step"]
    assert run.document["counts"] == {"unknown": 1}

    run = piped(engine, "deactivate", "--yes", "--json", ids[1], ids[2])
    assert run.code == 0
    assert [result["id"] for result in run.document["results"]] == ids[1:]
    assert [result["record"]["is_active"] for result in run.document["results"]] == [False, False]
    assert run.document["counts"] == {"deactivated": 2}


def test_one_that_was_done_but_not_read_back_is_unconfirmed(engine: Sandbox) -> None:
    key_id = made(engine, "job")
    engine.queue(Fault.status(403), operation="get")
    run = piped(engine, "deactivate", "--yes", key_id)
    assert (run.code, run.out.split("\t")[1]) == (3, "unconfirmed")
    assert active(engine) == []


def test_the_lines_of_list_can_be_piped_in(engine: Sandbox) -> None:
    for number in range(3):
        made(engine, f"ci {number}", Role.TASK_ADMIN)
    kept, more = made(engine, "production"), made(engine, "ci 3")
    listed = "".join(line for line in piped(engine, "list").out.splitlines(keepends=True) if "\tci " in line)
    run = piped(engine, "deactivate", "--yes", more, "-", given=f"\n{listed}\r\n")
    assert (run.code, run.err) == (0, "4 deactivated.\n")
    assert active(engine) == [kept]


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        ([], "", "--leaked"),
        (["--leaked", UNKNOWN_ID], "", "--leaked"),
        (["-"], f"{UNKNOWN_ID}\n\nc2VjcmV0\n", "line 3 of stdin"),
        ([UNKNOWN_ID, "c2VjcmV0"], "", "argument 2"),
        (["--leaked"], "c2VjcmV0", "no id can be read off that"),
    ],
)
def test_what_names_no_key_is_refused(engine: Sandbox, arguments: list[str], given: str, words: str) -> None:
    run = within(engine, "deactivate", "--yes", *arguments, given=given)
    check_refused(run, 2, words, "Nothing was sent")
    check_silent(run, "c2VjcmV0")
    assert engine.requests == []


def test_without_a_terminal_to_ask_on_it_is_refused(engine: Sandbox) -> None:
    key_id, secret = secret_of_new(engine, "leaked")
    engine_saw = requests(engine)
    check_refused(piped(engine, "deactivate", key_id), 2, "no terminal", "--yes")
    check_refused(within(engine, "deactivate", "-", given=key_id), 2, "stdin holds the ids", "--yes")
    check_refused(within(engine, "deactivate", "--leaked", given=secret), 2, "no terminal", "--yes")
    assert requests(engine) == engine_saw


def test_it_shows_what_it_is_about_to_end_and_asks(engine: Sandbox) -> None:
    key_id, other = made(engine, "nightly \x1b[31mevaluation", Role.TASK_ADMIN), made(engine, "another")
    with terminal(engine, "deactivate", key_id, other, UNKNOWN_ID) as run:
        shown = run.until("Deactivate these 3? [y/N] ")
        assert all(text in shown for text in (key_id, r"nightly \x1b[31m", other, "another"))
        assert f"{UNKNOWN_ID}\x1b[0m  is not among the active keys" in shown
        assert "deactivate" not in requests(engine)
        run.type("y\n")
        ended = run.end()
    assert ended.code == 4
    assert active(engine) == []


@pytest.mark.parametrize("answer", ["\n", "n\n", "\x04", "\x03"])
def test_anything_but_yes_leaves_everything_as_it_is(engine: Sandbox, answer: str) -> None:
    key_id = made(engine)
    with terminal(engine, "deactivate", key_id) as run:
        run.until("Deactivate it? [y/N] ")
        run.type(answer)
        ended = run.end()
    assert ended.code == 130
    assert "deactivate" not in requests(engine)
    words = "interrupted; nothing was deactivated." if answer == "\x03" else "nothing was deactivated."
    assert ended.plain.splitlines()[-1] == f"api-keys: {words}"


def test_no_ids_on_stdin_are_nothing_to_do(engine: Sandbox) -> None:
    assert within(engine, "deactivate", "--yes", "-") == (0, "", "There are no ids on stdin; nothing to do.\n")
    assert within(engine, "deactivate", "--yes", "-", "--json").document == {"results": [], "counts": {}}
    assert engine.requests == []


def test_a_byte_order_mark_before_the_ids_is_passed_over(engine: Sandbox) -> None:
    key_id = made(engine)
    assert piped(engine, "deactivate", "--yes", "-", given=f"\ufeff{key_id}\n").code == 0
    assert active(engine) == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 130), ("\x03", 130)])
def test_ids_that_are_piped_in_are_asked_about_on_the_terminal(engine: Sandbox, answer: str, code: int) -> None:
    key_id, kept = made(engine, "load test"), made(engine, "production")
    listed = f"printf '%s\\tVALIDATION-USER\\tload test\\n' {key_id}"
    command = f"trap : INT; {listed} | {PROGRAM} deactivate -"
    with terminal(engine, "-c", command, program="/bin/sh") as run:
        assert "load test" in run.until("Deactivate it? [y/N] ")
        run.type(answer)
        ended = run.end()
    assert ended.code == code
    assert active(engine) == ([kept] if code == 0 else [key_id, kept])


def test_a_terminal_gets_a_bar_on_stderr_and_a_pipe_the_document(engine: Sandbox, tmp_path: Path) -> None:
    ids = [made(engine) for _ in range(5)]
    in_flight = Held(engine, "deactivate", times=2)
    with (tmp_path / "out").open("w") as out:
        with terminal(engine, "deactivate", "--yes", "--json", *ids, UNKNOWN_ID, stdout=out.fileno()) as run:
            in_flight.wait()
            on_the_way = run.until("4/6")
            assert "━" in on_the_way
            in_flight.let_go()
            ended = run.end()
    assert ended.code == 4
    assert "6/6" in ended.out
    assert "1 failed" in ended.out
    assert "5 deactivated, 1 failed." in ended.plain
    document = json.loads((tmp_path / "out").read_text())
    assert [result["id"] for result in document["results"]] == [*ids, UNKNOWN_ID]
