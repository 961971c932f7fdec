"""How long keys are to live: what a caller asks for, and what the markers in descriptions say. Pure.

The server has no expiry, and its `created_at` is when one of its processes started: the markers hold both dates.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from api_keys_client._core.generated import ApiKeyResponse
from api_keys_client._core.markers import parse_marker
from api_keys_client._core.validation import invalid_argument
from api_keys_client.errors import ClockError, Outcome

CLOCK_GRACE: timedelta = timedelta(minutes=5)
"""How far the server's clock may be from this machine's."""

_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class Lifetime(NamedTuple):
    """What the marker in a key's description says of its life; None is what it doesn't say.

    Whoever can write descriptions can write these dates.

    Attributes:
        made: when the key was created, by the clock of the machine that asked for it (aware datetime, UTC).
        ends: when the key is to end (aware datetime, UTC). It works until a `sweep` deactivates it.
        replaces: the id (str) of the key that it took the place of.
        temporary: whether it is that of a `temporary_key` block (bool).
    """

    made: datetime | None = None
    ends: datetime | None = None
    replaces: str | None = None
    temporary: bool = False

    def expired(self, now: datetime) -> bool:
        """Tells whether the end has come; False where none is known.

        Args:
            now: an aware datetime.

        Raises:
            InvalidRequestError: it has no offset from UTC.
        """
        return self.ends is not None and self.ends <= _aware(now, "now")


def lifetime(record: ApiKeyResponse) -> Lifetime:
    """Gives what the marker in the description of a key says of its life.

    Example:
        `[key for key in client.list() if lifetime(key).ends is None]`
    """
    marker = parse_marker(record.description)
    return Lifetime(marker.made, marker.ends, marker.replaces, marker.temporary)


def length_of_life(record: ApiKeyResponse) -> timedelta | None:
    """Gives the time from `made` to `ends`; None where one of them isn't known, or they contradict each other."""
    made, ends, *_ = lifetime(record)
    return ends - made if made and ends and ends > made else None


def checked_life(expires_in: object) -> timedelta | None:
    """Gives the time that a key is to live, if it is one.

    Raises:
        InvalidRequestError: it is no timedelta of at least a second.
    """
    if expires_in is None or (isinstance(expires_in, timedelta) and expires_in >= timedelta(seconds=1)):
        return expires_in
    raise invalid_argument("expires_in= is a timedelta of at least a second.")


def end_of_life(made: datetime, expires_in: timedelta | None, expires_at: datetime | None = None) -> datetime | None:
    """Gives when a key that is made now is to end; None where neither is given. The year 9999 is the last.

    Raises:
        InvalidRequestError: both are given, or one is not of its type, or the end would not be in the future.
    """
    if expires_in is not None and expires_at is not None:
        raise invalid_argument("A key ends after expires_in= or at expires_at=: give one of them.")
    if life := checked_life(expires_in):
        return made + min(life, _LAST - made)
    if expires_at is None:
        return None
    if _aware(expires_at, "expires_at") < made + timedelta(seconds=1):
        raise invalid_argument("expires_at= is in the future.")
    return min(expires_at, _LAST)


def check_grace(grace: object) -> None:
    """Refuses what is no timedelta from 0 on."""
    if not isinstance(grace, timedelta) or grace < timedelta():
        raise invalid_argument("grace= is a timedelta from 0 on.")


def clock_problem(date: datetime | None, now: datetime, grace: timedelta) -> str | None:
    """Says why the server's clock cannot be relied on; None if it can.

    Args:
        date: what the server's answer said; None where it said nothing that can be read.
        now: this machine's time.
        grace: how far they may be apart.
    """
    if date is None:
        return "the server did not say what time it is"
    if abs(date - now) > grace:
        return f"the server's clock says {date:%Y-%m-%d %H:%M:%S} UTC, this machine's {now:%Y-%m-%d %H:%M:%S} UTC"
    return None


def expired_keys(
    records: Iterable[ApiKeyResponse], date: datetime | None, now: datetime, grace: timedelta
) -> list[ApiKeyResponse]:
    """Gives the active keys whose end has come by the server's clock.

    Raises:
        ClockError: what time it is there isn't known.
    """
    problem = clock_problem(date, now, grace)
    if date is None or problem:
        raise ClockError(
            f"Which keys have expired isn't known: {problem}. No key was deactivated.", outcome=Outcome.NOT_SENT
        )
    return [record for record in records if record.is_active and lifetime(record).expired(date)]


def _aware(date: datetime, name: str) -> datetime:
    if not isinstance(date, datetime) or date.utcoffset() is None:
        raise invalid_argument(f"{name}= is a datetime with an offset from UTC, such as datetime.now(UTC).")
    return date
