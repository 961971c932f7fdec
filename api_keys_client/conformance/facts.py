"""The tables of docs/guides/server.md that say what may differ from one deployment to another."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple


class Fact(NamedTuple):
    """What the engine does, and what a server would do that takes the contract literally."""

    name: str
    engine: str
    spec: str


def fits(seen: object, cell: str) -> bool:
    """Tells whether a cell of the tables has what was seen, such as ``400 or 401 (with the user interface)``."""
    return str(seen) in (cell, *(option.partition(" (")[0] for option in cell.split(" or ")))


def _read() -> dict[str, Fact]:
    # In a wheel the guide lies in this folder, in a checkout among the others.
    places = [Path(__file__).with_name("server.md"), Path(__file__).parents[2] / "docs" / "guides" / "server.md"]
    lines = next(place for place in places if place.exists()).read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    facts = [Fact(*row) for row in rows if len(row) == 3 and row[0] != "Fact" and not re.fullmatch("-+", row[0])]
    return {fact.name: fact for fact in facts}


FACTS = _read()
