"""How long a key is to live, as it is typed and shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

import api_keys_client
from api_keys_client.cli.errors import CliError

if TYPE_CHECKING:
    from api_keys_client import ApiKeyResponse

_LENGTH = re.compile(r"([1-9][0-9]{0,4})([dh])", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class End(TypedDict, total=False):
    """The arguments that say when a key is to end."""

    expires_in: timedelta
    expires_at: datetime


def length(option: str, text: str) -> timedelta:
    """Gives the time that was typed: `90d` or `12h`.

    Raises:
        CliError: it is none.
    """
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise CliError(f"{option} takes days or hours, such as 90d or 12h. Nothing was sent.")
    number = int(found[1])
    return timedelta(days=number) if found[2] == "d" else timedelta(hours=number)


def end(text: str | None) -> End:
    """Gives the end that was typed: `90d`, `12h`, or the day at whose beginning (UTC) it is, `2027-01-31`.

    Raises:
        CliError: it is none, or past.
    """
    if text is None:
        return {}
    if not _DAY.fullmatch(text):
        return {"expires_in": length("--expires", text)}
    try:
        day = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise CliError("--expires names a day that no calendar has. Nothing was sent.") from None
    if day <= datetime.now(UTC):
        raise CliError("--expires names a day that has begun already. Nothing was sent.")
    return {"expires_at": day}


def by_age(records: list[ApiKeyResponse], age: timedelta) -> tuple[list[ApiKeyResponse], list[ApiKeyResponse]]:
    """Gives the keys that are at least so old by this machine's clock, and those whose age isn't known."""
    before = datetime.now(UTC) - age
    made = [(record, api_keys_client.lifetime(record).made) for record in records]
    return [record for record, date in made if date and date <= before], [record for record, date in made if not date]
