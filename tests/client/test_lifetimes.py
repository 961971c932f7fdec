"""Keys that are to end: what their markers say, and a sweep that ends those whose end has come and no others."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from api_keys_client import (
    ApiKeysClient,
    ApiKeysError,
    ClockError,
    Deactivation,
    InvalidRequestError,
    Outcome,
    OutcomeUnknownError,
    lifetime,
)
from api_keys_client.sandbox import Fault, Operation, Sandbox
from api_keys_client.sandbox.faults import Dropped, Exchange
from tests.support.clients import requests
from tests.support.rotations import active, made_by_hand, store

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FAR = timedelta(days=400)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class Clock:
    """The server's, which a test sets forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(now=clock) as running:
        yield running


def lives(record: Any) -> timedelta | None:
    made, ends, *_ = lifetime(record)
    assert made
    return ends - made if ends else None


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_key_says_when_it_was_made_and_when_it_ends(sandbox: Sandbox, client: ApiKeysClient) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    created = client.create("ci", ["TASK-ADMIN"], expires_in=90 * DAY)
    assert re.fullmatch(r"ci \(made [0-9TZ:-]{20}, ends [0-9TZ:-]{20} #[0-9a-f]{12}\)", created.description or "")
    made, ends, replaces, temporary = lifetime(client.get(created.id))
    assert made
    assert before <= made <= datetime.now(UTC)
    assert (ends, replaces, temporary) == (made + 90 * DAY, None, False)
    assert requests(sandbox) == ["create", "get"]
    assert [key.id for key in client.list("ci")] == [created.id]


def test_an_end_is_said_in_utc_to_the_second(client: ApiKeysClient) -> None:
    there = datetime(2100, 1, 31, 1, 2, 3, 999_999, tzinfo=timezone(5 * HOUR))
    assert lifetime(client.create(expires_at=there)).ends == datetime(2100, 1, 30, 20, 2, 3, tzinfo=UTC)
    assert lifetime(client.create(expires_in=timedelta.max)).ends == LAST
    assert lifetime(client.create(expires_at=datetime.max.replace(tzinfo=timezone(-12 * HOUR)))).ends == LAST


@pytest.mark.parametrize(
    "arguments",
    [
        {"expires_in": HOUR, "expires_at": datetime.now(UTC) + HOUR},
        *({"expires_in": wrong} for wrong in (timedelta(), -HOUR, timedelta(milliseconds=999), 3600, "90d")),
        # One without an offset from UTC is none.
        *({"expires_at": wrong} for wrong in (datetime.now() + HOUR, datetime.now(UTC) - HOUR, "2100-01-01")),
        {"expires_at": datetime.min.replace(tzinfo=UTC)},
        {"expires_in": HOUR, "description": "ci (made 2026-11-25T09:00:00Z, ends 2027-11-25T09:00:00Z #0123456789ab)"},
        {"expires_in": HOUR, "description": 7},
        {"expires_in": HOUR, "roles": ["NONE"]},
    ],
)
def test_an_end_that_cannot_be_is_refused(sandbox: Sandbox, client: ApiKeysClient, arguments: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.create(**arguments)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert requests(sandbox) == []


def test_other_times_that_cannot_be_are_refused(sandbox: Sandbox, client: ApiKeysClient) -> None:
    wrong: Any
    for wrong in (timedelta(), 3600):
        with pytest.raises(InvalidRequestError, match="expires_in"), client.temporary_key(expires_in=wrong):
            pytest.fail("there is no key")
        with pytest.raises(InvalidRequestError, match="expires_in"):
            client.rotate("00000000-0000-4000-8000-000000000000", store=store, expires_in=wrong)
    for wrong in (-HOUR, 300):
        with pytest.raises(InvalidRequestError, match="grace"):
            client.sweep(grace=wrong)
    assert requests(sandbox) == []


def test_a_key_with_an_end_that_may_have_been_made_is_looked_for_and_ended(
    sandbox: Sandbox, client: ApiKeysClient
) -> None:
    sandbox.queue(Fault.drop(committed=True), operation="create")
    with pytest.raises(OutcomeUnknownError, match="was made and has been deactivated"):
        client.create("ci", expires_in=HOUR)
    assert [key.is_active for key in sandbox.keys()] == [False]


@pytest.mark.parametrize("driver", ["sync", "async"])
@pytest.mark.parametrize("hours", [-3, 3])
def test_a_key_whose_end_a_wrong_clock_would_say_is_ended(
    sandbox: Sandbox, client: ApiKeysClient, clock: Clock, hours: int
) -> None:
    clock.ahead = hours * HOUR
    with pytest.raises(ClockError, match=r"wrong time.*clock says.*has been deactivated") as caught:
        client.create("ci", expires_in=HOUR)
    assert caught.value.outcome is Outcome.APPLIED
    assert active(sandbox) == set()
    assert client.create("ci").is_active
    with client.temporary_key("ci") as key:
        assert key.is_active


def test_a_temporary_key_may_have_an_end(sandbox: Sandbox, client: ApiKeysClient) -> None:
    with client.temporary_key("ci", expires_in=HOUR) as key:
        assert lives(key) == HOUR
        assert lifetime(key).temporary
    with client.temporary_key() as other:
        assert (lifetime(other).made is None, lifetime(other).ends) == (False, None)
    assert active(sandbox) == set()


class TestARotation:
    @pytest.mark.parametrize(
        ("old", "asked", "length"),
        [(None, None, None), (90 * DAY, None, 90 * DAY), (90 * DAY, HOUR, HOUR), (None, HOUR, HOUR)],
    )
    def test_gives_the_new_key_its_life(
        self, client: ApiKeysClient, old: timedelta | None, asked: timedelta | None, length: timedelta | None
    ) -> None:
        first = client.create("ci", expires_in=old)
        new = client.rotate(first.id, store=store, expires_in=asked).new
        assert lifetime(new).replaces == first.id
        assert lives(new) == length

    @pytest.mark.parametrize(
        ("dates", "ends"),
        [
            ("made 2026-02-30T09:00:00Z, ends 2026-03-30T09:00:00Z", None),
            ("made 2026-03-30T09:00:00Z, ends 2026-13-30T09:00:00Z", None),
            ("made 2027-03-30T09:00:00Z, ends 2026-03-30T09:00:00Z", None),
            ("made 0000-00-00T00:00:00Z, ends 9999-12-31T24:60:60Z", None),
            ("made 0001-01-01T00:00:00Z, ends 9999-12-31T23:59:59Z", LAST),
        ],
    )
    def test_of_a_key_with_odd_dates_has_no_end_or_the_last(
        self, sandbox: Sandbox, client: ApiKeysClient, dates: str, ends: datetime | None
    ) -> None:
        old = made_by_hand(sandbox, f"ci ({dates} #0123456789ab)")
        assert lifetime(client.rotate(old, store=store).new).ends == ends


def keys_of_all_kinds(sandbox: Sandbox, client: ApiKeysClient) -> tuple[set[str], set[str]]:
    """Makes keys; gives those that have expired in an hour, and the others."""
    now = datetime.now(UTC).replace(microsecond=0)
    date = f"{now:%Y-%m-%dT%H:%M:%S}"
    gone = {
        client.create("short", expires_in=HOUR).id,
        client.create(expires_at=now + HOUR / 2).id,
        made_by_hand(sandbox, "(temporary, made 2026-01-01T00:00:00Z, ends 2026-01-02T00:00:00Z #0123456789ab)"),
        client.rotate(client.create("old").id, store=store, expires_in=HOUR / 2).new.id,
    }
    kept = {
        client.create("long", expires_in=2 * HOUR).id,
        client.create("plain").id,
        client.create("ends 2020-01-01T00:00:00Z").id,
        *(
            made_by_hand(sandbox, description)
            for description in (
                "(temporary #0123456789ab)",
                f"ci (made {date}Z #0123456789ab)",
                f"ci (made {date}Z, ends {date}Z #0123456789ab) by hand",
                f"ci (made {date}Z, ends {date}+00:00 #0123456789ab)",
                f"ci (made {date}Z, ends {date}.5Z #0123456789ab)",
                f"ci (made {date}Z, ends 2026-02-29T00:00:00Z #0123456789ab)",
                f"ci (made {date}Z, ends 9999-12-31T23:59:59Z #0123456789ab)",
                "ci (made 2020-01-01T00:00:00Z, ends 2020-01-02T00:00:00Z)",
            )
        ),
    }
    return gone, kept


class TestASweep:
    @pytest.mark.parametrize("driver", ["sync", "async"])
    def test_ends_what_has_expired_and_nothing_else(
        self, sandbox: Sandbox, client: ApiKeysClient, clock: Clock
    ) -> None:
        gone, kept = keys_of_all_kinds(sandbox, client)
        clock.ahead = HOUR
        told: list[Deactivation] = []
        planned = client.sweep(dry_run=True, grace=2 * HOUR, done=told.append)
        assert {ended.key_id for ended in planned} == gone
        assert all(ended.record and ended.record.is_active for ended in planned)
        assert (active(sandbox), told) == (gone | kept, [])
        swept = client.sweep(grace=2 * HOUR, done=told.append)
        assert {ended.key_id for ended in swept} == gone == {ended.key_id for ended in told}
        assert all(ended.record and not ended.record.is_active for ended in swept)
        assert active(sandbox) == kept
        assert client.sweep(grace=2 * HOUR) == []

    @pytest.mark.parametrize("hours", [-2, 2])
    def test_ends_nothing_when_the_clocks_are_apart(
        self, sandbox: Sandbox, client: ApiKeysClient, clock: Clock, hours: int
    ) -> None:
        made_by_hand(sandbox, "ci (made 2020-01-01T00:00:00Z, ends 2020-01-02T00:00:00Z #0123456789ab)")
        clock.ahead = hours * HOUR
        with pytest.raises(ClockError, match=r"clock says .* UTC, this machine's .* UTC\. No key was deac") as caught:
            client.sweep()
        assert caught.value.outcome is Outcome.NOT_SENT
        assert requests(sandbox) == ["create", "list"]
        assert len(client.sweep(grace=3 * HOUR)) == 1

    @pytest.mark.parametrize("date", ["", "yesterday", "Wed, 25 Nov 999999 09:00:00 GMT"])
    def test_ends_nothing_when_the_server_does_not_say_the_time(
        self, sandbox: Sandbox, client: ApiKeysClient, monkeypatch: pytest.MonkeyPatch, date: str
    ) -> None:
        monkeypatch.setattr("api_keys_client.sandbox.server.format_datetime", lambda *_, **__: date)
        with pytest.raises(ClockError, match="did not say what time it is"):
            client.sweep(grace=FAR)
        assert lifetime(client.create("ci", expires_in=HOUR)).ends

    @pytest.mark.parametrize("operation", ["list", "deactivate", "get"])
    @pytest.mark.parametrize("fault", [Fault.drop(), Fault.drop(committed=True), Fault.status(500)])
    def test_that_is_cut_ends_nothing_else_and_goes_on(
        self, sandbox: Sandbox, client: ApiKeysClient, clock: Clock, operation: Operation, fault: Fault
    ) -> None:
        _, kept = keys_of_all_kinds(sandbox, client)
        clock.ahead = HOUR
        sandbox.queue(fault, operation=operation)
        once = client.with_options(max_attempts=1)
        if operation == "list":
            with pytest.raises(ApiKeysError, match="list: "):
                once.sweep(grace=FAR)
        else:
            (failed,) = (ended.error for ended in once.sweep(grace=FAR) if ended.error)
            assert failed.outcome is not Outcome.NOT_SENT
        assert kept <= active(sandbox)
        client.sweep(grace=FAR)
        assert active(sandbox) == kept

    def test_whose_answers_were_lost_ended_what_it_may_have_ended(
        self, sandbox: Sandbox, client: ApiKeysClient, clock: Clock
    ) -> None:
        gone, kept = keys_of_all_kinds(sandbox, client)
        clock.ahead = HOUR
        release = threading.Event()
        late: list[threading.Thread] = []

        def act(exchange: Exchange) -> Any:
            late.append(threading.Thread(target=lambda: (release.wait(), exchange.answer())))
            late[-1].start()
            raise Dropped

        sandbox.queue(Fault("late", act), operation="deactivate", times=len(gone))
        swept = client.with_options(max_attempts=1).sweep(grace=FAR)
        assert [ended.error and ended.error.outcome for ended in swept] == [Outcome.UNKNOWN] * len(gone)
        release.set()
        for thread in late:
            thread.join()
        assert active(sandbox) == kept

    def test_that_is_killed_is_gone_on_with(self, sandbox: Sandbox, client: ApiKeysClient, clock: Clock) -> None:
        _, kept = keys_of_all_kinds(sandbox, client)
        clock.ahead = HOUR
        code = (
            "import sys; from datetime import timedelta; from api_keys_client import ApiKeysClient\n"
            "ApiKeysClient(sys.argv[1], token=sys.argv[2]).sweep(grace=timedelta(days=400))"
        )
        sweeping, release = threading.Event(), threading.Event()
        sandbox.queue(Fault.hold(sweeping, release), operation="deactivate")
        with subprocess.Popen([sys.executable, "-c", code, sandbox.url, sandbox.token]) as process:
            assert sweeping.wait(30)
            process.kill()
        release.set()
        assert kept <= active(sandbox)
        client.sweep(grace=FAR)
        assert active(sandbox) == kept


def test_whether_a_key_has_expired(client: ApiKeysClient) -> None:
    record = client.create(expires_at=datetime(2100, 1, 1, tzinfo=UTC))
    assert not lifetime(record).expired(datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert lifetime(record).expired(datetime(2100, 1, 1, 1, tzinfo=timezone(HOUR)))
    plain = client.create("x")
    assert lifetime(plain) == (None, None, None, False)
    assert not lifetime(plain).expired(datetime.max.replace(tzinfo=UTC))
    with pytest.raises(InvalidRequestError, match="offset"):
        lifetime(record).expired(datetime(2100, 1, 1))  # without an offset
