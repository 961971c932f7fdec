"""What is known of a creation that may have to be undone, and what its undoing saw. Pure."""

from __future__ import annotations

from typing import NamedTuple

from api_keys_client._core.generated import ApiKeyResponse
from api_keys_client._core.markers import Marker, parse_marker

UNDO_WAITS = (0.0, 0.5, 1.5)
"""Seconds before each look for a key that may have been made: a commit can come late."""


class Creation(NamedTuple):
    """A creation that can be undone: only a key whose record bears its nonce is ever ended for it."""

    marker: Marker
    process: int
    """The id of the process that asks for the key: one that is forked meanwhile ends nothing."""

    def is_of(self, record: ApiKeyResponse) -> bool:
        """Tells whether this is the record of the key that was created."""
        bears_nonce = parse_marker(record.description).nonce == self.marker.nonce
        return bears_nonce and record.id.lower() != self.marker.replaces


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
            return "Nothing of it was seen to be left; try again."
        if self.still_active:
            return f"Deactivate {', '.join(self.still_active)}."
        return f"Look in the list for #{self.nonce}, and deactivate the key that bears it."
