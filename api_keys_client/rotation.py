"""The marks that the client leaves in descriptions, written and read back. Pure.

A key's description ends in a mark with a nonce, so that a key whose creation was cut off, or that a rotation left
behind, can be found in the server's own list: no journal of the client's own is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from api_keys_client._arguments import UUID_PATTERN, checked_description, refused
from api_keys_client._contract import ApiKeyResponse

_NONCE = r"#(?P<nonce>[0-9a-f]{12})"
_MARK = re.compile(rf"(?:\A| )\((?:temporary|replaces (?P<replaces>{UUID_PATTERN})) {_NONCE}\)\Z")

UNDO_WAITS = (0.0, 0.5, 1.5)
"""Seconds before each look for a key that may have been made: a commit can come late."""


class Mark(NamedTuple):
    """What the end of a description says: the nonce, and the id of the key that this one replaces."""

    nonce: str
    replaces: str | None


_NO_MARK = Mark("", None)


def temporary_mark(description: str | None, nonce: str) -> str:
    """The description of a temporary key: the caller's own words, then the mark."""
    return _marked(description, f"(temporary #{nonce})")


def replacement_mark(description: str | None, replaced_id: str, nonce: str) -> str:
    """The description of a replacement: the words of the key that it replaces, whose own mark is not kept."""
    return _marked(unmarked(description), f"(replaces {replaced_id.lower()} #{nonce})")


def mark_of(description: str | None) -> Mark | None:
    """The mark at the end of a description, if there is one."""
    found = _MARK.search(description) if description else None
    return None if found is None else Mark(found["nonce"], found["replaces"])


def own_description(description: object) -> str | None:
    """A description of the caller's own, if it does not end in a mark.

    Raises:
        InvalidRequestError: it does, and would be taken for one that the client wrote: a rotation ends what a mark
            names. Or it is no description.
    """
    refuse_mark(description)
    return checked_description(description)


def refuse_mark(description: object) -> None:
    """Refuses a description that ends in a mark; whether it is a description is not looked at.

    Raises:
        InvalidRequestError: it does.
    """
    if isinstance(description, str) and description.endswith(")") and mark_of(description):
        raise refused(
            "A description of your own cannot end in a mark of this client, such as (temporary #...) or "
            "(replaces ... #...): leave the mark out."
        )


def unmarked(description: str | None) -> str | None:
    """A description without the mark at its end; None if it is nothing else."""
    return description and (_MARK.sub("", description) or None)


def has_nonce(description: str | None, nonce: str) -> bool:
    """Whether a description ends in the mark with this nonce."""
    mark = mark_of(description)
    return mark is not None and mark.nonce == nonce


class FoundLeftovers(NamedTuple):
    """The active keys that earlier rotations may have left beside one."""

    certain: list[ApiKeyResponse]
    """Those that say themselves that they replace it, and those like it that its own mark names."""
    doubtful: list[ApiKeyResponse]
    """Those that only its own mark names, whose description or roles are others: anyone can write a mark."""

    def all(self) -> list[ApiKeyResponse]:
        """Both."""
        return [*self.certain, *self.doubtful]


def leftovers_of(old: ApiKeyResponse, records: Iterable[ApiKeyResponse]) -> FoundLeftovers:
    """The keys that earlier rotations left: the one that this key replaced, and others that replace it or that one."""
    mark = mark_of(old.description)
    predecessor = mark.replaces if mark else None
    found = FoundLeftovers([], [])
    for record in records:
        replaces = (mark_of(record.description) or _NO_MARK).replaces
        if record.id.lower() == old.id.lower():
            continue
        if replaces == old.id.lower():
            found.certain.append(record)
        elif predecessor and predecessor in (record.id.lower(), replaces):
            (found.certain if _alike(record, old) else found.doubtful).append(record)
    return found


def _alike(one: ApiKeyResponse, other: ApiKeyResponse) -> bool:
    """Whether description and roles are the same, the marks and the roles' order aside."""
    return unmarked(one.description) == unmarked(other.description) and {*(one.roles or ())} == {*(other.roles or ())}


def _marked(description: str | None, mark: str) -> str:
    return f"{description} {mark}" if description else mark


class Creation(NamedTuple):
    """A creation that can be undone: only a key whose record bears its nonce is ever ended for it."""

    nonce: str
    process: int
    """The id of the process that asks for the key: one that is forked meanwhile ends nothing."""
    old_id: str | None = None
    """The id of the key that the new one is to replace."""

    def is_of(self, record: ApiKeyResponse) -> bool:
        """Whether this is the record of the key that was created."""
        return has_nonce(record.description, self.nonce) and record.id.lower() != self.old_id


class CleanupReport:
    """What the undoing of a creation saw and did: only what is known for sure is said."""

    def __init__(self, nonce: str, seen: str) -> None:
        self.nonce = nonce
        self.seen = seen
        """What came of looking for the key, where none was found."""
        self.deactivated: list[str] = []
        self.still_active: list[str] = []

    def __str__(self) -> str:
        if self.still_active:
            return f"Key {', '.join(self.still_active)} was made and could not be deactivated for certain."
        if self.deactivated:
            return f"Key {', '.join(self.deactivated)} was made and has been deactivated."
        return f"{self.seen}; one may still appear, with #{self.nonce} in its description."

    @property
    def next_step(self) -> str:
        if self.deactivated and not self.still_active:
            return "Nothing of it was seen to be left; call again."
        return f"Look in the list for #{self.nonce}, and deactivate the key that bears it."
