"""`api-keys deactivate`: it asks, ends what was named and nothing else, and says what became of every id."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from api_keys_client import Role
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.cli_runs import (
    PROGRAM,
    UNKNOWN_ID,
    Held,
    active,
    begun,
    check_refused,
    check_silent,
    ended,
    made,
    secret_of_new,
    terminal,
    within,
)
from tests.support.clients import requests


def test_in_a_pipe_every_id_has_its_line_and_the_count_goes_to_stderr(engine: Sandbox) -> None:
    first, kept, last = (made(engine, "job") for _ in range(3))
    run = within(engine, "deactivate", "--yes", first, UNKNOWN_ID, last.upper(), first)
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


def test_a_dry_run_shows_what_would_be_ended_and_ends_nothing(engine: Sandbox) -> None:
    key_id, secret = secret_of_new(engine, "job")
    run = within(engine, "deactivate", "--dry-run", UNKNOWN_ID, key_id, key_id.upper())
    assert (run.code, run.out) == (0, f"{key_id}\tVALIDATION-USER\tjob\n")
    assert run.err == f"{UNKNOWN_ID}  is not among the active keys\n"
    document = within(engine, "deactivate", "-", "--dry-run", "--json", given=f"{UNKNOWN_ID}\n{key_id}").document
    assert ([record["id"] for record in document["keys"]], document["not_active"]) == ([key_id], [UNKNOWN_ID])
    assert within(engine, "deactivate", "--leaked", "--dry-run", "--yes", given=secret).out.startswith(key_id)
    assert within(engine, "deactivate", "-", "--dry-run", "--json").document == {"keys": [], "not_active": []}
    assert "deactivate" not in requests(engine)


def test_the_document_has_every_id_and_of_several_failures_the_highest_code_counts(engine: Sandbox) -> None:
    ids = [made(engine, "job") for _ in range(3)]
    engine.queue(Fault.status(403), operation="get")
    run = within(engine, "deactivate", "--yes", "--json", ids[0], UNKNOWN_ID)
    # 3 for the one, 4 for the other.
    assert (run.code, run.document["counts"]) == (4, {"unconfirmed": 1, "failed": 1})
    engine.queue(Fault.drop(), operation="deactivate", times=3)
    # One at a time, so that all three drops are met by the same key.
    run = within(engine, "deactivate", "--yes", "--json", ids[1])
    (result,) = run.document["results"]
    assert (run.code, result["state"], result["record"]) == (6, "unknown", None)
    assert "may be deactivated" in result["error"]
    assert result["next_step"]

    run = within(engine, "deactivate", "--yes", "--json", ids[1], ids[2])
    assert (run.code, run.document["counts"]) == (0, {"deactivated": 2})
    assert [result["id"] for result in run.document["results"]] == ids[1:]
    assert [result["record"]["is_active"] for result in run.document["results"]] == [False, False]


def test_no_ids_on_stdin_are_nothing_to_do(engine: Sandbox) -> None:
    assert within(engine, "deactivate", "--yes", "-") == (0, "", "There are no ids on stdin; nothing to do.\n")
    assert within(engine, "deactivate", "--yes", "-", "--json").document == {"results": [], "counts": {}}
    assert engine.requests == []


@pytest.mark.parametrize(
    ("arguments", "given", "words"),
    [
        (["--yes"], "", "--leaked"),
        (["--yes", "-"], f"{UNKNOWN_ID}\n\nc2VjcmV0\n", "line 3 of stdin"),
        (["--yes", UNKNOWN_ID, "c2VjcmV0"], "", "argument 2"),
        (["--yes", "--leaked"], "c2VjcmV0", "no id can be read off that"),
        ([UNKNOWN_ID], "", "no terminal"),
        (["-"], UNKNOWN_ID, "stdin holds the ids"),
    ],
)
def test_what_names_no_key_or_cannot_be_asked_about_is_refused(
    engine: Sandbox, arguments: list[str], given: str, words: str
) -> None:
    run = within(engine, "deactivate", *arguments, given=given)
    check_refused(run, 2, words, "othing was sent")
    check_silent(run, "c2VjcmV0")
    assert "--yes" in arguments or "--yes" in run.err
    assert engine.requests == []


def test_it_shows_what_it_is_about_to_end_and_asks(engine: Sandbox) -> None:
    key_id, other = made(engine, "nightly \x1b[31mevaluation", Role.TASK_ADMIN), made(engine, "another")
    with terminal(engine, "deactivate", key_id, other, UNKNOWN_ID) as run:
        shown = run.until("Deactivate these 3? [y/N] ")
        assert all(text in shown for text in (key_id, r"nightly \x1b[31m", other, "another"))
        assert f"{UNKNOWN_ID}\x1b[0m  is not among the active keys" in shown
        assert "deactivate" not in requests(engine)
        run.type("y\n")
        assert run.end().code == 4
    assert active(engine) == []


@pytest.mark.parametrize("answer", ["n\n", "\x04", "\x03"])
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


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\x03", 130)])
def test_ids_that_are_piped_in_are_asked_about_on_the_terminal(engine: Sandbox, answer: str, code: int) -> None:
    key_id, kept = made(engine, "load test"), made(engine, "production")
    listed = f"{PROGRAM} list --description 'load test'"
    command = f"trap : INT; {listed} | {PROGRAM} deactivate -"
    with terminal(engine, "-c", command, program="/bin/sh") as run:
        assert "load test" in run.until("Deactivate it? [y/N] ")
        run.type(answer)
        assert run.end().code == code
    assert active(engine) == ([kept] if code == 0 else [key_id, kept])


def test_a_terminal_gets_a_bar_on_stderr_and_a_pipe_the_document(engine: Sandbox, tmp_path: Path) -> None:
    ids = [made(engine) for _ in range(5)]
    in_flight = Held(engine, "deactivate", times=2)
    with (tmp_path / "out").open("w") as out:
        with terminal(engine, "deactivate", "--yes", "--json", *ids, UNKNOWN_ID, stdout=out.fileno()) as run:
            in_flight.wait()
            assert "━" in run.until("4/6")
            in_flight.let_go()
            ended = run.end()
    assert ended.code == 4
    assert "6/6" in ended.out
    assert "1 failed" in ended.out
    assert "5 deactivated, 1 failed." in ended.plain
    document = json.loads((tmp_path / "out").read_text())
    assert [result["id"] for result in document["results"]] == [*ids, UNKNOWN_ID]


class TestLeaked:
    def test_the_secret_is_asked_for_without_echo_and_its_key_shown_first(self, engine: Sandbox) -> None:
        key_id, secret = secret_of_new(engine, "the one that leaked")
        made(engine, "another")
        with terminal(engine, "deactivate", "--leaked") as run:
            run.until("(it is not shown): ")
            run.type(f"{secret}\n")
            shown = run.until("Deactivate it? [y/N] ")
            assert key_id in shown
            assert "the one that leaked" in shown
            assert "Anyone can write a secret that names any key: check that this is yours." in shown
            assert requests(engine)[-1] == "get"
            run.type("y\n")
            ended = run.end()
        assert ended.code == 0
        assert key_id not in active(engine)
        check_silent(ended, secret)

    def test_it_can_be_piped_in(self, engine: Sandbox) -> None:
        key_id, secret = secret_of_new(engine, "leaked")
        run = within(engine, "deactivate", "--leaked", "--yes", "--json", given=f"  {secret}\n")
        assert run.code == 0
        assert run.document["results"][0]["record"]["id"] == key_id
        assert "description  leaked" in run.err
        assert active(engine) == []
        check_silent(run, secret)

        saw = len(engine.requests)
        again = within(engine, "deactivate", "--leaked", "--yes", "--json", given=secret)
        assert (again.code, again.document["results"][0]["state"]) == (0, "deactivated")
        assert "It is inactive already" in again.err
        assert requests(engine)[saw:] == ["get"]

    def test_ctrl_c_at_the_question_sends_nothing(self, engine: Sandbox) -> None:
        with terminal(engine, "deactivate", "--leaked") as run:
            run.until("(it is not shown): ")
            run.type("\x03")
            ended = run.end()
        assert ended.code == 130
        assert ended.plain.splitlines()[-1] == "api-keys: interrupted; nothing was deactivated."
        assert engine.requests == []


class TestInterrupted:
    """Every id is accounted for."""

    def test_the_second_one_gives_up_those_under_way(self, engine: Sandbox) -> None:
        ids = [made(engine) for _ in range(20)]
        in_flight = Held(engine, "deactivate", times=8)
        with terminal(engine, "deactivate", "--yes", "--json", *ids) as run:
            in_flight.wait()
            run.type("\x03")
            run.until("Stopping: waiting for those under way; Ctrl-C again gives them up.")
            run.type("\x03")
            ended = run.end()
        in_flight.let_go()
        assert ended.code == 130
        document = json.loads(ended.plain[ended.plain.index("{") : ended.plain.rindex("}") + 1])
        assert [result["state"] for result in document["results"]] == ["unknown"] * 8 + ["not_begun"] * 12
        assert document["counts"] == {"unknown": 8, "not_begun": 12}
        assert "api-keys get ID" in ended.plain

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_the_first_one_says_which_were_done_and_which_not_begun(
        self, engine: Sandbox, number: signal.Signals, code: int
    ) -> None:
        ids = [made(engine) for _ in range(40)]
        in_flight = Held(engine, "deactivate", times=8)
        with begun(engine, "deactivate", "--yes", *ids) as child:
            in_flight.wait()
            child.send_signal(number)
            assert child.stderr is not None
            assert child.stderr.readline().startswith("Stopping: waiting for those under way")
            in_flight.let_go()
            run = ended(child)
        assert run.code == code
        left = active(engine)
        assert [line.split("\t")[:2] for line in run.out.splitlines()] == [
            [key_id, "not_begun" if key_id in left else "deactivated"] for key_id in ids
        ]
        # A few more may have begun before the signal was met.
        assert 0 < len(left) <= 32
        assert f"{40 - len(left)} deactivated, {len(left)} not begun." in run.err
