"""The markers that the client leaves in descriptions, written and read back. Pure.

A key's description ends in a marker with a nonce, so that a key whose creation was cut off, or that a rotation left
behind, can be found in the server's own list: no journal of the client's own is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from api_keys_client._core.generated import ApiKeyResponse
from api_keys_client._core.validation import UUID_PATTERN, checked_description, invalid_argument

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_MARKER = re.compile(
    rf"""
    (?:\A|[ ])\(
        (?: (?P<temporary>temporary) | replaces[ ](?P<replaces>{UUID_PATTERN}) | (?=made) )
        (?: (?:,[ ]|(?<=\()) made[ ](?P<made>{_DATE}) (?:,[ ]ends[ ](?P<ends>{_DATE}))? )?
        [ ]\#(?P<nonce>[0-9a-f]{{12}})
    \)\Z
    """,
    re.VERBOSE,
)


class Marker(NamedTuple):
    """What the end of a description says of its key."""

    nonce: str
    """Empty where the description ends in no marker."""
    temporary: bool = False
    replaces: str | None = None
    """The id of the key that this one replaces."""
    made: datetime | None = None
    ends: datetime | None = None

    def on(self, description: str | None) -> str:
        """Gives the description with this marker at its end."""
        words = ["temporary"] if self.temporary else [f"replaces {self.replaces}"] if self.replaces else []
        words += [f"{what} {_written(date)}" for what, date in (("made", self.made), ("ends", self.ends)) if date]
        marker = f"({', '.join(words)} #{self.nonce})"
        return f"{description} {marker}" if description else marker


MAX_MARKER = 140
"""Characters of the longest marker."""


def parse_marker(description: str | None) -> Marker:
    """Gives the marker at the end of a description. A date that no calendar has is None in it."""
    found = _MARKER.search(description) if description else None
    if found is None:
        return Marker("")
    return Marker(
        found["nonce"], bool(found["temporary"]), found["replaces"], _read(found["made"]), _read(found["ends"])
    )


def _written(date: datetime) -> str:
    return f"{date.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def _read(date: str | None) -> datetime | None:
    try:
        return None if date is None else datetime.fromisoformat(date)
    except ValueError:
        return None


def own_description(description: object) -> str | None:
    """Gives a description of the caller's own, if it does not end in a marker.

    Raises:
        InvalidRequestError: it does, and would be taken for one that the client wrote: a rotation ends what a marker
            names. Or it is no description.
    """
    refuse_marker(description)
    return checked_description(description)


def refuse_marker(description: object) -> None:
    """Refuses a description that ends in a marker; whether it is a description is not looked at.

    Raises:
        InvalidRequestError: it does.
    """
    if isinstance(description, str) and description.endswith(")") and parse_marker(description).nonce:
        raise invalid_argument(
            "A description of your own cannot end in a marker of this client, such as (temporary #...) or "
            "(replaces ... #...): leave the marker out."
        )


def strip_marker(description: str | None) -> str | None:
    """Gives a description without the marker at its end; None if it is nothing else."""
    return description and (_MARKER.sub("", description) or None)


class FoundLeftovers(NamedTuple):
    """The active keys that earlier rotations may have left beside one."""

    certain: list[ApiKeyResponse]
    """Those that say themselves that they replace it, and those like it that its own marker names."""
    doubtful: list[ApiKeyResponse]
    """Those that only its own marker names, whose description or roles are others: anyone can write a marker."""

    def all(self) -> list[ApiKeyResponse]:
        return [*self.certain, *self.doubtful]


def leftovers_of(old: ApiKeyResponse, records: Iterable[ApiKeyResponse]) -> FoundLeftovers:
    """Gives what earlier rotations left: the key's predecessor, and other replacements of that one or of this key."""
    predecessor = parse_marker(old.description).replaces
    found = FoundLeftovers([], [])
    for record in records:
        replaces = parse_marker(record.description).replaces
        if record.id.lower() == old.id.lower():
            continue
        if replaces == old.id.lower():
            found.certain.append(record)
        elif predecessor and predecessor in (record.id.lower(), replaces):
            (found.certain if _alike(record, old) else found.doubtful).append(record)
    return found


def _alike(one: ApiKeyResponse, other: ApiKeyResponse) -> bool:
    """Tells whether description and roles are the same, the markers and the roles' order aside."""
    return strip_marker(one.description) == strip_marker(other.description) and {*(one.roles or ())} == {
        *(other.roles or ())
    }
