"""Keys that end, on the command line: `create --expires`, `rotate --expires`, `list`, `sweep` and `doctor`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from api_keys_client import ApiKeysClient, lifetime
from api_keys_client.sandbox import Sandbox
from tests.support.cli_runs import active, check_refused, in_terminal, made, terminal, within
from tests.support.clients import requests
from tests.support.rotations import made_by_hand

PAST = "made 2020-01-01T00:00:00Z, ends 2020-01-02T00:00:00Z #0123456789ab"


def of(engine: Sandbox, key_id: str) -> timedelta | None:
    with ApiKeysClient(engine.url, token=engine.token) as client:
        made, ends, *_ = lifetime(client.get(key_id))
    return ends - made if made and ends else None


def test_a_key_is_created_with_an_end_and_rotated_to_as_long_a_life(engine: Sandbox, tmp_path: Path) -> None:
    place = tmp_path / "key"
    run = within(engine, "create", "--json", "--description", "ci", "--expires", "90d", "--output", place)
    assert run.code == 0
    assert of(engine, run.document["id"]) == timedelta(days=90)
    assert run.document["ends"] > run.document["made"]
    run = within(engine, "rotate", run.document["id"], "--json", "--to-file", place)
    assert of(engine, run.document["new"]["id"]) == timedelta(days=90)
    run = within(engine, "rotate", run.document["new"]["id"], "--json", "--to-file", place, "--expires", "1h")
    assert of(engine, run.document["new"]["id"]) == timedelta(hours=1)


def test_a_day_is_an_end_too(engine: Sandbox) -> None:
    run = within(engine, "create", "--json", "--show", "--expires", "2100-01-31")
    assert run.document["ends"] == "2100-01-31T00:00:00+00:00"


@pytest.mark.parametrize("typed", ["90", "-1d", "0d", "1.5h", "900000d", "2020-01-31", "2100-02-30", "\uff19\uff10d"])
def test_what_is_no_end_is_refused(engine: Sandbox, tmp_path: Path, typed: str) -> None:
    check_refused(within(engine, "create", "--show", "--expires", typed), 2, "--expires", "Nothing was sent")
    if not typed.startswith("2"):
        check_refused(within(engine, "list", "--older-than", typed), 2, "--older-than takes days or hours")
    assert requests(engine) == []


def test_a_list_shows_ends_where_there_are_any_and_can_be_of_what_has_expired(engine: Sandbox) -> None:
    gone, plain = made_by_hand(engine, f"gone ({PAST})"), made(engine, "plain")
    run = within(engine, "list", "--expired")
    assert [line.split("\t")[0] for line in run.out.splitlines()] == [gone]
    assert [key["id"] for key in within(engine, "list", "--expired", "--json").document["keys"]] == [gone]
    shown = in_terminal(engine, "list").plain
    assert "ends" in shown
    assert "2020-01-02" in shown
    assert plain in shown


def test_keys_whose_age_is_not_known_are_shown_apart(engine: Sandbox) -> None:
    old, plain = made_by_hand(engine, f"old ({PAST})"), made(engine, "plain")
    with ApiKeysClient(engine.url, token=engine.token) as client:
        client.create("young", expires_in=timedelta(days=1))
    run = within(engine, "list", "--older-than", "30d")
    assert [line.split("\t")[0] for line in run.out.splitlines()] == [old]
    assert run.err == f"age not known: {plain}  plain\n"
    document = within(engine, "list", "--older-than", "30d", "--json").document
    assert [[key["id"] for key in document[name]] for name in ("keys", "age_unknown")] == [[old], [plain]]


class TestASweep:
    def test_ends_what_has_expired(self, engine: Sandbox) -> None:
        gone, plain = made_by_hand(engine, f"gone ({PAST})"), made(engine, "plain")
        run = within(engine, "sweep", "--dry-run")
        assert (run.code, run.out.split("\t")[0]) == (0, gone)
        assert set(active(engine)) == {gone, plain}
        run = within(engine, "sweep", "--yes", "--json")
        assert (run.code, [result["id"] for result in run.document["results"]]) == (0, [gone])
        assert active(engine) == [plain]
        run = within(engine, "sweep", "--yes")
        assert (run.code, run.out, run.err) == (0, "", "No key has expired.\n")

    def test_asks_first(self, engine: Sandbox) -> None:
        gone = made_by_hand(engine, f"gone ({PAST})")
        check_refused(within(engine, "sweep"), 2, "no terminal to ask on", "--yes")
        for answer, left in (("n", [gone]), ("y", [])):
            with terminal(engine, "sweep") as asking:
                assert gone in asking.until("[y/N]")
                asking.type(f"{answer}\r")
                asking.end()
            assert active(engine) == left


def test_a_doctor_counts_what_has_expired_and_what_has_no_end(engine: Sandbox) -> None:
    made(engine, "plain")
    assert "none expired, 1 without an end" in within(engine, "doctor").out
    made_by_hand(engine, f"gone ({PAST})")
    run = within(engine, "doctor")
    assert "1 expired, 1 without an end" in run.out
    assert "api-keys sweep" in run.out
