"""Runs mutmut, and fails unless a test kills each mutant or docs/guides/development.md explains it.

Arguments are those of `mutmut run`; pyproject.toml has the modules and the tests. The mutants stay in mutants/, where
`.venv/bin/mutmut show NAME` and `.venv/bin/mutmut browse` find them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

GUIDE = Path("docs/guides/development.md")
# A mutant is known by what it changes, which numbers and lines do not move: its place, and its text before and after.
EXPLAINED = re.compile(r"^(\| `[\w.]+` \| .*` \|) \S.* \|$", re.MULTILINE)
RESULT = re.compile(r"^ +(?P<name>\S+): (?P<status>.+)$", re.MULTILINE)
NAME = re.compile(r"\w+?\.(?P<module>[\w.]+)\.x[_ǁ](?P<function>\w+)__mutmut_\d+")
LITERAL = re.compile(r'"[^"]*"')


def mutmut(*arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    finished = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if finished.returncode != 0:
        # The run draws its progress over and over in one line.
        sys.exit(re.sub(r"[^\n]*\r", "", finished.stdout + finished.stderr))
    return finished.stdout


def row(name: str) -> str | None:
    """The guide's row for a mutant; None if it changes only words."""
    # Below the status, the two headings of a diff, and the place.
    lines = mutmut("show", name).splitlines()[4:]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    if only_words(before, after):
        return None
    named = NAME.fullmatch(name)
    place = f"{named['module']}.{named['function'].replace('ǁ', '.')}" if named else name
    return f"| `{place}` | {code(before)} → {code(after)} |"


def only_words(before: str, after: str) -> bool:
    """Whether all that changed is a message or a repr, in its case or by an XX at both ends."""
    pairs = zip(LITERAL.findall(before), LITERAL.findall(after), strict=False)
    changed = [(old, new) for old, new in pairs if old != new]
    if LITERAL.sub("", before) != LITERAL.sub("", after) or len(changed) != 1:
        return False
    ((old, new),) = changed
    return bool(re.search(r"\w \w|^.<", old)) and new.strip('"X').lower() == old.strip('"').lower()


def code(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"`{escaped}`" if text else "nothing"


def main() -> None:
    shutil.rmtree("mutants", ignore_errors=True)
    mutmut("run", *sys.argv[1:])
    statuses = dict(RESULT.findall(mutmut("results", "--all", "true")))
    # One that never ends was noticed, too.
    rows = [row(name) for name, status in statuses.items() if status not in ("killed", "timeout")]
    found = {each for each in rows if each}
    explained = set(EXPLAINED.findall(GUIDE.read_text(encoding="utf-8")))
    print(
        f"{len(statuses)} mutants: {len(statuses) - len(rows)} killed; survivors: "
        f"{rows.count(None)} only in the words of a message or a repr, {len(rows) - rows.count(None)} others"
    )
    for title, mutants in (("not explained", found - explained), ("explained, but killed or gone", explained - found)):
        for mutant in sorted(mutants):
            print(f"{title}: {mutant}", file=sys.stderr)
    sys.exit(found != explained)


if __name__ == "__main__":
    main()
