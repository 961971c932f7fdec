"""The marks that the client leaves in descriptions, written and read back. Pure.

A key's description ends in a mark with a nonce, so that a key whose creation was cut off, or that a rotation left
behind, can be found in the server's own list: no journal of the client's own is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from api_keys_client._contract import ApiKeyResponse

_NONCE = r"#(?P<nonce>[0-9a-f]{12})"
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_MARK = re.compile(rf"(?:\A| )\((?:temporary|replaces (?P<replaces>{_ID})) {_NONCE}\)\Z")

UNDO_WAITS = (0.0, 0.5, 1.5)
"""Seconds before each look for a key that may have been made: a commit can come late."""


class Mark(NamedTuple):
    """What the end of a description says: the nonce, and the id of the key that this one replaces."""

    nonce: str
    replaces: str | None


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


def unmarked(description: str | None) -> str | None:
    """A description without the mark at its end; None if it is nothing else."""
    return description and (_MARK.sub("", description) or None)


def bears(description: str | None, nonce: str) -> bool:
    """Whether a description ends in the mark with this nonce."""
    mark = mark_of(description)
    return mark is not None and mark.nonce == nonce


def leftovers_of(old: ApiKeyResponse, records: Iterable[ApiKeyResponse]) -> list[ApiKeyResponse]:
    """The keys that earlier rotations left: the one that this key replaced, and others that replace it or that one."""
    mine = mark_of(old.description)
    replaced = {old.id.lower()} | ({mine.replaces} if mine and mine.replaces else set())
    return [
        record
        for record in records
        if record.id != old.id
        and (record.id.lower() in replaced or ((mark := mark_of(record.description)) and mark.replaces in replaced))
    ]


def _marked(description: str | None, mark: str) -> str:
    return f"{description} {mark}" if description else mark


class Undo:
    """What the undoing of a creation saw and did: only what is known for sure is said."""

    def __init__(self, nonce: str) -> None:
        self.nonce = nonce
        self.ended: list[str] = []
        self.alive: list[str] = []
        self.looked = False

    def __str__(self) -> str:
        if self.alive:
            return f"Key {', '.join(self.alive)} was made and could not be deactivated for certain."
        if self.ended:
            return f"Key {', '.join(self.ended)} was made and has been deactivated."
        seen = "No such key was seen" if self.looked else "The keys could not be listed"
        return f"{seen}; one may still appear, with #{self.nonce} in its description."

    @property
    def next_step(self) -> str:
        if self.ended and not self.alive:
            return "Nothing of it was seen to be left; call again."
        return f"Look in the list for #{self.nonce}, and deactivate the key that bears it."
