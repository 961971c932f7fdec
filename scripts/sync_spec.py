"""Make `openapi.json` from the document of a server, and say what changed.

Only the operations tagged "API Keys" are kept, with the components that they refer to; `openapi.overlay.json`
corrects them, and the result is validated and compared with what is checked in. With --check nothing is written.
The exit code is 0 without changes, 3 with changes, 4 if one of them breaks a client, and 1 for a failure, which
leaves everything as it was and says why in one line.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from compare_schemas import Change, one_line
from compare_spec import compare
from failure import Failure
from openapi_spec_validator import OpenAPIV31SpecValidator
from regenerate import PROJECT
from spec_document import arranged, keep_tagged, name_enums, written
from spec_overlay import apply_actions, read_overlay
from spec_source import read_source

TAG = "API Keys"
EXIT_CODES = {"none": 0, "changes": 3, "breaking": 4, "failed": 1}


class Outcome(NamedTuple):
    """What came of it."""

    result: str
    changes: list[Change]
    error: str | None = None
    unmatched: Sequence[str] = ()


def sync(root: Path, source: dict[str, Any], tag: str | None, *, check: bool) -> Outcome:
    """Bring the document that is checked in up to date with a source."""
    path = root / "openapi.json"
    old = read_checked_in(path)
    actions = read_overlay(root / "openapi.overlay.json")
    new = keep_tagged(source, tag)
    unmatched = apply_actions(actions, new)
    name_enums(new)
    validate(new)
    changes = compare(old, new)
    if unmatched:
        # With the changes, which tell where the server has moved to.
        error = f"the overlay's target matches nothing, the server has moved: {'; '.join(unmatched)}"
        return Outcome("failed", changes, error, unmatched)
    if changes and not check:
        replace(path, written(arranged(new, old)))
    breaking = any(change.breaking for change in changes)
    return Outcome("breaking" if breaking else "changes" if changes else "none", changes)


def read_checked_in(path: Path) -> dict[str, Any]:
    """Read what a source is compared with."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Failure(f"{path.name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Failure(f"{path.name} is not an OpenAPI document")
    return document


def validate(document: dict[str, Any]) -> None:
    """Refuse what is not OpenAPI 3.1."""
    try:
        error = next(OpenAPIV31SpecValidator(with_plain_schemes(document)).iter_errors(), None)
    except Exception as stumble:
        # What is far from valid is more than the validator itself can take.
        raise Failure(f"the result is not OpenAPI 3.1: {type(stumble).__name__}: {stumble!s:.300}") from stumble
    if error is not None:
        place = "/".join(map(str, error.absolute_path)) or "the document"
        # Some validators go on with the whole document.
        raise Failure(f"the result is not OpenAPI 3.1: {place}: {error.message.splitlines()[0]:.300}")


def with_plain_schemes(document: dict[str, Any]) -> dict[str, Any]:
    """Name security schemes without spaces: the server's name has one, which the standard doesn't allow."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    text = json.dumps(document)
    for name in schemes:
        text = text.replace(f"{json.dumps(name)}: ", f"{json.dumps(re.sub('[^a-zA-Z0-9._-]', '_', name))}: ")
    renamed: dict[str, Any] = json.loads(text)
    return renamed


def replace(path: Path, content: bytes) -> None:
    """Replace a file in one step."""
    with TemporaryDirectory(prefix=".regenerate-", dir=path.parent) as folder:
        new = Path(folder, path.name)
        new.write_bytes(content)
        new.replace(path)


def as_json(outcome: Outcome) -> str:
    """Give the report for programs."""
    changes = [{**change._asdict(), "touches": change.touches} for change in outcome.changes]
    return json.dumps({"result": outcome.result, "error": outcome.error, "changes": changes}, indent=2) + "\n"


def as_text(outcome: Outcome) -> str:
    """Give the report for people."""
    lines = []
    for title, breaking in (("Breaking for a client:", True), ("Not breaking:", False)):
        changes = [change for change in outcome.changes if change.breaking == breaking]
        lines += [title] if changes else []
        for change in changes:
            lines += [f"  {change}", *(f"    touches {code}" for code in change.touches)]
    if outcome.unmatched:
        lines += ["Targets of the overlay that match nothing:", *(f"  {one_line(each)}" for each in outcome.unmatched)]
    if not lines and outcome.error is None:
        lines = ["No changes."]
    return "".join(f"{line}\n" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Make openapi.json from a server's document, and say what changed.")
    parser.add_argument("source", metavar="SOURCE", help="a file, or the URL of a server's /openapi.json")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--json", action="store_true", help="report as JSON")
    parser.add_argument("--all-operations", action="store_true", help=f"not only those tagged {TAG!r}")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="for a download (%(default)s)")
    parser.add_argument("--root", type=Path, default=PROJECT, help="the folder to work on (default: the project)")
    options = parser.parse_args(arguments)
    try:
        source = read_source(options.source, options.timeout)
        outcome = sync(options.root, source, None if options.all_operations else TAG, check=options.check)
    except (Failure, OSError, ValueError, RecursionError, KeyboardInterrupt) as error:
        outcome = Outcome("failed", [], str(error) or "interrupted")
    sys.stdout.buffer.write((as_json(outcome) if options.json else as_text(outcome)).encode())
    if outcome.error is not None:
        print(f"sync_spec: {one_line(outcome.error)}", file=sys.stderr)
    elif outcome.changes and not options.check:
        print("sync_spec: openapi.json is written; look at it, then run scripts/regenerate", file=sys.stderr)
    return EXIT_CODES[outcome.result]


if __name__ == "__main__":
    sys.exit(main())
