"""Runs mutmut, and fails unless a test kills each mutant or docs/guides/development.md explains it.

Arguments are those of `mutmut run`; pyproject.toml has the modules and the tests. The mutants stay in mutants/, where
`.venv/bin/mutmut show NAME` and `.venv/bin/mutmut browse` find them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

GUIDE = Path("docs/guides/development.md")
EXPLAINED = re.compile(r"^\| `(?P<place>[\w.]+)` \| (?P<change>.*`) \| \S.* \|$", re.MULTILINE)
RESULT = re.compile(r"^ +(?P<name>\S+): (?P<status>.+)$", re.MULTILINE)
NAME = re.compile(r"\w+?\.(?P<module>[\w.]+)\.x[_ǁ](?P<function>\w+)__mutmut_\d+")
LITERAL = re.compile(r'"[^"]*"')


class Mutant(NamedTuple):
    """A mutant by what it changes, which numbers and lines do not move: as a row of the guide has it."""

    place: str
    change: str

    def __str__(self) -> str:
        return f"| `{self.place}` | {self.change} |"


def mutmut(*arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    finished = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if finished.returncode != 0:
        # The run draws its progress over and over in one line.
        sys.exit(re.sub(r"[^\n]*\r", "", finished.stdout + finished.stderr))
    return finished.stdout


def change(name: str) -> tuple[str, str]:
    # Below the status, the two headings of a diff, and the place.
    lines = mutmut("show", name).splitlines()[4:]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return before, after


def only_words(before: str, after: str) -> bool:
    """Whether all that changed is a message or a repr, in its case or by an XX at both ends."""
    pairs = zip(LITERAL.findall(before), LITERAL.findall(after), strict=False)
    changed = [(old, new) for old, new in pairs if old != new]
    return (
        LITERAL.sub("", before) == LITERAL.sub("", after)
        and len(changed) == 1
        and all(
            re.search(r"\w \w|^.<", old) and new.strip('"X').lower() == old.strip('"').lower() for old, new in changed
        )
    )


def code(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"`{escaped}`" if text else "nothing"


def main() -> None:
    shutil.rmtree("mutants", ignore_errors=True)
    mutmut("run", *sys.argv[1:])
    statuses = dict(RESULT.findall(mutmut("results", "--all", "true")))
    # One that never ends was noticed, too.
    survivors = [name for name, status in statuses.items() if status not in ("killed", "timeout")]
    found: Counter[Mutant] = Counter()
    worded = 0
    for name in survivors:
        before, after = change(name)
        if only_words(before, after):
            worded += 1
            continue
        named = NAME.fullmatch(name)
        place = f"{named['module']}.{named['function'].replace('ǁ', '.')}" if named else name
        found[Mutant(place, f"{code(before)} → {code(after)}")] += 1

    explained = {Mutant(*row) for row in EXPLAINED.findall(GUIDE.read_text(encoding="utf-8"))}
    print(
        f"{len(statuses)} mutants: {len(statuses) - len(survivors)} killed; "
        f"survivors: {worded} only in the words of a message or a repr, {found.total()} others"
    )
    for mutant in sorted(found.keys() - explained):
        print(f"not explained: {mutant}", file=sys.stderr)
    for mutant in sorted(explained - found.keys()):
        print(f"explained, but killed or gone: {mutant}", file=sys.stderr)
    if found.keys() != explained:
        sys.exit(1)


if __name__ == "__main__":
    main()
