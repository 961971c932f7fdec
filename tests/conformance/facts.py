"""The tables of docs/guides/server.md that say what may differ from one deployment to another."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "server.md"


class Fact(NamedTuple):
    """What the engine does, and what a server would do that takes the contract literally."""

    name: str
    engine: str
    spec: str


def _read() -> dict[str, Fact]:
    found = {}
    for line in GUIDE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(Fact._fields) and cells[0] != "Fact" and not re.fullmatch("-+", cells[0]):
            assert cells[0] not in found, f"twice in {GUIDE.name}: {cells[0]}"
            found[cells[0]] = Fact(*cells)
    return found


FACTS = _read()
