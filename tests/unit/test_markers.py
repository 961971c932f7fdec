"""The markers in descriptions, and what an undo says: all of it pure."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given, strategies

from api_keys_client import ApiKeyResponse, InvalidRequestError
from api_keys_client._core.creations import CleanupReport, Creation
from api_keys_client._core.markers import (
    Marker,
    leftovers_of,
    own_description,
    parse_marker,
    refuse_marker,
    strip_marker,
)
from tests.support.rotations import properties

NONCE = "0123456789ab"
IDS = [f"00000000-0000-4000-8000-00000000000{digit}" for digit in "abcdef"]
FIRST, SECOND, THIRD, *_ = IDS
MADE, ENDS = datetime(2026, 11, 25, 9, tzinfo=UTC), datetime(2027, 2, 23, 9, tzinfo=UTC)
LOOK_ALIKES = (
    "(temporary)",
    "a (temporary #xyz)",
    f"(temporary #{NONCE}) b",
    f"a(temporary #{NONCE})",
    f"a (temporary #{NONCE}0)",
    f"a (temporary #{NONCE.upper()})",
    f"a (replaces #{NONCE})",
    f"a (replaces x #{NONCE})",
    f"a (replaces {FIRST}0 #{NONCE})",
    f"a (replaces {FIRST} #{NONCE}) ",
    f"a (replaces {FIRST} #{NONCE})\n",
    f"(replaces {FIRST} #{NONCE}",
    f"a (made #{NONCE})",
    f"a (, made 2026-11-25T09:00:00Z #{NONCE})",
    f"a (temporary made 2026-11-25T09:00:00Z #{NONCE})",
    f"a (temporary, ends 2026-11-25T09:00:00Z #{NONCE})",
    f"a (made 2026-11-25T09:00:00+01:00 #{NONCE})",
    f"a (made 2026-11-25T09:00:00.5Z #{NONCE})",
    f"a (made 2026-11-25 09:00:00Z #{NONCE})",
    f"a (made \uff12026-11-25T09:00:00Z #{NONCE})",
    f"a (ends 2027-02-23T09:00:00Z, made 2026-11-25T09:00:00Z #{NONCE})",
)
MARKS = (
    f"a (made 2026-02-30T09:00:00Z, ends 9999-99-99T99:99:99Z #{NONCE})",
    f"(temporary #{NONCE})",
    f"a (temporary #{NONCE})",
    f"(replaces {FIRST} #{NONCE})",
)

nonces = strategies.text("0123456789abcdef", min_size=12, max_size=12)
ids = strategies.uuids().map(str)
moments = strategies.datetimes(timezones=strategies.just(UTC)).map(lambda moment: moment.replace(microsecond=0))
descriptions = (
    strategies.none()
    | strategies.text()
    | strategies.text(" ()#🔑[]\n")
    | strategies.sampled_from(LOOK_ALIKES + MARKS)
    | strategies.tuples(strategies.text(), strategies.sampled_from(MARKS)).map(" ".join)
)


markers = strategies.builds(
    Marker,
    nonces,
    temporary=strategies.just(False),
    replaces=ids,
    made=strategies.none() | moments,
    ends=strategies.none(),
) | strategies.builds(
    lambda nonce, temporary, dates: Marker(nonce, temporary, None, *sorted(dates)),
    nonces,
    strategies.booleans(),
    strategies.tuples(moments, moments),
)


@properties
@given(descriptions, markers)
def test_a_marker_is_written_and_read_back(description: str | None, marker: Marker) -> None:
    marked = marker.on(description)
    assert parse_marker(marked) == marker
    assert parse_marker(f"{marked}.").nonce == ""
    # Of nothing and of nothing at all the markers look the same.
    assert strip_marker(marked) == (description or None)


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        (Marker(NONCE, temporary=True), f"(temporary #{NONCE})"),
        (Marker(NONCE, temporary=True, made=MADE), f"(temporary, made 2026-11-25T09:00:00Z #{NONCE})"),
        (Marker(NONCE, made=MADE, ends=ENDS), f"(made 2026-11-25T09:00:00Z, ends 2027-02-23T09:00:00Z #{NONCE})"),
        (
            Marker(NONCE, replaces=FIRST, made=MADE, ends=ENDS),
            f"(replaces {FIRST}, made 2026-11-25T09:00:00Z, ends 2027-02-23T09:00:00Z #{NONCE})",
        ),
    ],
)
def test_a_marker_is_read_by_people_too(marker: Marker, text: str) -> None:
    assert marker.on("ci") == f"ci {text}"
    assert marker.on(None) == text
    assert parse_marker(text) == marker


@properties
@given(descriptions)
@example("x" * 100_000 + " (temporary #")
@example(" (" * 50_000)
def test_what_bears_no_marker_is_left_alone(description: str | None) -> None:
    assume(not parse_marker(description).nonce)
    assert strip_marker(description) == description


@pytest.mark.parametrize("description", [None, "", "ci", "ci (old)", *LOOK_ALIKES])
def test_what_only_looks_like_a_marker_is_none(description: str | None) -> None:
    assert parse_marker(description) == Marker("")
    assert strip_marker(description) == description
    refuse_marker(description)
    assert own_description(description) == description


def test_dates_are_written_in_utc_wherever_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        written = Marker(NONCE, made=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)).on(None)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert written == f"(made 2026-01-02T03:04:05Z #{NONCE})"


@pytest.mark.parametrize("description", MARKS)
def test_what_a_caller_writes_like_a_marker_is_one_and_is_refused(description: str) -> None:
    assert parse_marker(description).nonce
    assert strip_marker(description) in ("a", None)
    for refuse in (own_description, refuse_marker):
        with pytest.raises(InvalidRequestError, match="leave the marker out"):
            refuse(description)


def test_what_is_no_description_is_refused_as_such() -> None:
    refuse_marker(7)
    with pytest.raises(InvalidRequestError, match="not int"):
        own_description(7)


def record(key_id: str, description: str | None = None) -> ApiKeyResponse:
    return ApiKeyResponse(id=key_id, is_active=True, created_at=datetime(2026, 1, 2), description=description)


def replacing(key_id: str, replaced: str) -> ApiKeyResponse:
    return record(key_id, f"ci (replaces {replaced} #{NONCE})")


@pytest.mark.parametrize(
    ("old", "others", "left"),
    [
        (record(FIRST), [], []),
        (record(FIRST), [record(SECOND), record(THIRD, "ci")], []),
        (record(FIRST), [replacing(SECOND, FIRST)], [SECOND]),
        (record(FIRST), [replacing(SECOND, THIRD), record(THIRD)], []),
        (record(FIRST), [record(SECOND, f"ci (temporary #{NONCE})")], []),
        # What it replaced itself, and what else was to replace that.
        (replacing(SECOND, FIRST), [record(FIRST, "ci")], [FIRST]),
        (replacing(SECOND, FIRST), [replacing(THIRD, FIRST)], [THIRD]),
        (replacing(SECOND, FIRST), [replacing(THIRD, SECOND), record(FIRST, "ci")], [THIRD, FIRST]),
        # What the one before replaced, that was the last rotation's to name.
        (replacing(THIRD, SECOND), [record(FIRST)], []),
        # Only the old one's own marker, not one that it bore once.
        (record(SECOND, f"ci (replaces {FIRST} #{NONCE}) (temporary #{NONCE})"), [record(FIRST)], []),
        (record(FIRST.upper()), [replacing(SECOND, FIRST)], [SECOND]),
        (replacing(SECOND, FIRST), [record(FIRST.upper(), "ci")], [FIRST.upper()]),
    ],
)
def test_what_earlier_rotations_left(old: ApiKeyResponse, others: list[ApiKeyResponse], left: list[str]) -> None:
    found = leftovers_of(old, [old, *others])
    assert [record.id for record in found.certain] == left
    assert found.doubtful == []


UNLIKE = {
    "description": record(FIRST, "ours"),
    "roles": record(FIRST, "ci").model_copy(update={"roles": ["TASK-ADMIN"]}),
}


@pytest.mark.parametrize("unlike", UNLIKE.values(), ids=UNLIKE)
def test_what_only_its_own_marker_names_is_doubted_unless_it_is_alike(unlike: ApiKeyResponse) -> None:
    """Anyone can write a description that names another's key."""
    forged = replacing(SECOND, FIRST)
    successor = unlike.model_copy(
        update={"id": THIRD, "description": f"{unlike.description} (replaces {FIRST} #{NONCE})"}
    )
    own = record(IDS[3], f"other words (replaces {SECOND} #{NONCE})")
    found = leftovers_of(forged, [unlike, successor, own])
    assert [left.id for left in found.doubtful] == [FIRST, THIRD]
    assert [left.id for left in found.certain] == [own.id]
    assert found.all() == [own, unlike, successor]


def test_an_undo_says_only_what_it_saw() -> None:
    report = CleanupReport(NONCE, "Nobody looked")
    assert str(report) == "Nobody looked; one may still appear, with #0123456789ab in its description."
    assert NONCE in report.next_step
    report.deactivated += ["one", "two"]
    assert str(report) == "Key one, two was made and has been deactivated."
    assert report.next_step == "Nothing of it was seen to be left; try again."
    report.still_active += ["three", "four"]
    assert str(report) == "Key three, four was made and could not be deactivated for certain."
    assert report.next_step == "Deactivate three, four."


def test_a_key_is_that_of_a_creation_if_it_bears_the_nonce_and_is_not_the_old_one() -> None:
    creation = Creation(Marker(NONCE, replaces=FIRST), 1)
    assert creation.is_of(replacing(SECOND, FIRST))
    assert not creation.is_of(replacing(FIRST.upper(), FIRST))
    assert not creation.is_of(record(SECOND, f"ci (replaces {FIRST} #ba9876543210)"))
    assert not creation.is_of(record(SECOND, "ci"))
    assert not creation.is_of(record(SECOND))
    assert Creation(Marker(NONCE), 1).is_of(replacing(FIRST, SECOND))
