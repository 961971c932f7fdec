"""The marks that the client leaves in descriptions, written and read back. Pure.

A key's description ends in a mark with a nonce, so that a key whose creation was cut off
can be found in the server's own list: no journal of the client's own is needed.
"""

from __future__ import annotations

import re

_TEMPORARY = re.compile(r" ?\(temporary #(?P<nonce>[0-9a-f]{12})\)\Z")

UNDO_WAITS = (0.0, 0.5, 1.5)
"""Seconds before each look for a key that may have been made: a commit can come late."""


def temporary_mark(description: str | None, nonce: str) -> str:
    """The description of a temporary key: the caller's own words, then the mark."""
    mark = f"(temporary #{nonce})"
    return f"{description} {mark}" if description else mark


def unmarked(description: str | None) -> str | None:
    """A description without the mark that the client left in it; None stays None."""
    return description and _TEMPORARY.sub("", description)


def bears(description: str | None, nonce: str) -> bool:
    """Whether a description ends in the mark with this nonce."""
    found = _TEMPORARY.search(description or "")
    return found is not None and found["nonce"] == nonce


class Undo:
    """What the undoing of a creation saw and did: only what is known for sure is said."""

    def __init__(self, nonce: str) -> None:
        self.nonce = nonce
        self.ended: list[str] = []
        self.alive: list[str] = []
        self.looked = False

    def __str__(self) -> str:
        if self.alive:
            return f"Key {', '.join(self.alive)} was made and could not be deactivated."
        if self.ended:
            return f"Key {', '.join(self.ended)} was made and has been deactivated."
        seen = "No such key was seen" if self.looked else "The keys could not be listed"
        return f"{seen}; one may still appear, with #{self.nonce} in its description."

    @property
    def next_step(self) -> str:
        if self.ended and not self.alive:
            return "Nothing of it is left active that was seen; call again."
        return f"Look in the list for #{self.nonce}, and deactivate the key that bears it."
