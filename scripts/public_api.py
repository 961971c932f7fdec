"""Record the public API as stubs in `docs/public_api`, and refuse a change that breaks it silently.

What is removed, renamed or made stricter since the last record is a breaking change: it is recorded only when
CHANGELOG.md says "breaking" below "Changed" or "Removed" of its unreleased section. With --check nothing is
written: what would change is shown as a diff, and the exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import griffe
from api_stubs import Record, render

PROJECT = Path(__file__).resolve().parent.parent
RECORD = Path("docs", "public_api")


def read(root: Path) -> Record:
    """What was recorded."""
    found = sorted((root / RECORD).rglob("*.pyi"))
    return {path.relative_to(root / RECORD).as_posix(): path.read_text(encoding="utf-8") for path in found}


def write(record: Record, folder: Path) -> None:
    for file, text in record.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8", newline="\n")


def breakages(recorded: Record, current: Record) -> list[str]:
    """What no longer works of what was recorded, one line each."""
    with TemporaryDirectory() as folder:
        write(recorded, Path(folder, "recorded"))
        write(current, Path(folder, "current"))
        return [
            line
            for package in sorted({file.partition("/")[0] for file in recorded})
            for line in compare(*(load(package, Path(folder, name)) for name in ("recorded", "current")))
        ]


def load(package: str, folder: Path) -> griffe.Module:
    return cast("griffe.Module", griffe.load(package, search_paths=[folder], try_relative_path=False))


def compare(old: griffe.Module, new: griffe.Module) -> Iterator[str]:
    for found in griffe.find_breaking_changes(old, new):
        was, now = found.old_value, found.new_value
        yield f"{found.obj.path}: {found.kind.value}" + ("" if was is None and now is None else f": {was} -> {now}")
    # griffe takes any other result for a compatible one.
    results = given(new)
    for path, was in given(old).items():
        if results.get(path, was) != was:
            yield f"{path}: {was} -> {results[path]}"


def given(found: griffe.Module | griffe.Class) -> dict[str, str]:
    """By path, what callers get: the results of functions, the types of attributes, the values of enums."""
    results: dict[str, str] = {}
    for member in found.members.values():
        if isinstance(member, griffe.Function):
            results[member.path] = str(member.returns)
        elif isinstance(member, griffe.Attribute):
            results[member.path] = f"{member.annotation or ''} {member.value or ''}".strip()
        elif isinstance(member, (griffe.Module, griffe.Class)):
            results |= given(member)
    return results


def is_announced(changelog: str) -> bool:
    """Whether the unreleased section says that something changed or removed is breaking."""
    unreleased = changelog.partition("## [Unreleased]")[2].partition("\n## ")[0]
    parts = re.split(r"^### +(\w+) *$", unreleased, flags=re.MULTILINE)
    said = [text for title, text in zip(parts[1::2], parts[2::2], strict=True) if title in ("Changed", "Removed")]
    return re.search(r"\bbreaking\b", " ".join(said), re.IGNORECASE) is not None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Record the public API as stubs in docs/public_api.")
    parser.add_argument("--check", action="store_true", help="write nothing, show what would change")
    parser.add_argument("--root", type=Path, default=PROJECT, help="the folder to work on (default: the project)")
    options = parser.parse_args(arguments)
    root: Path = options.root
    recorded, current = read(root), render(root)
    for file in sorted(recorded.keys() | current.keys()):
        before, after = (record.get(file, "").splitlines(keepends=True) for record in (recorded, current))
        sys.stdout.writelines(difflib.unified_diff(before, after, file, file))
    broken = breakages(recorded, current)
    if broken and not is_announced((root / "CHANGELOG.md").read_text(encoding="utf-8")):
        print(*broken, sep="\n", file=sys.stderr)
        print(
            "public_api: this breaks the public API; undo it, or say so in CHANGELOG.md, with the word "
            '"breaking" below Changed or Removed of the unreleased section',
            file=sys.stderr,
        )
        return 1
    if options.check and recorded != current:
        print("public_api: the record is not what the code has; run scripts/public_api", file=sys.stderr)
        return 1
    if not options.check and recorded != current:
        shutil.rmtree(root / RECORD, ignore_errors=True)
        write(current, root / RECORD)
    return 0


if __name__ == "__main__":
    sys.exit(main())
