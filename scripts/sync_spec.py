"""Make `openapi.json` from the document of a server, and say what changed.

Only the operations tagged "API Keys" are kept, with the components that they refer to; `openapi.overlay.json`
corrects them, and the result is validated and compared with what is checked in. With --check nothing is written.
The exit code is 0 without changes, 3 with changes, 4 if one of them breaks a client, and 1 for a failure, which
leaves everything as it was and says why in one line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import urllib3
from compare_spec import Change, compare, one_line
from failure import Failure
from regenerate import PROJECT
from spec_document import apply_overlay, arranged, keep_tagged, name_enums, parse, validate

TAG = "API Keys"
LIMIT = 32 * 1024 * 1024
OUR_OWN = "This is openapi.json, our own contract: there is nothing to compare. Give the document of a server."
EXIT_CODES = {"none": 0, "changes": 3, "breaking": 4, "failed": 1}


class Outcome(NamedTuple):
    """What came of it."""

    changes: Sequence[Change] = ()
    error: str | None = None
    without_changes: str = "No changes."

    @property
    def result(self) -> str:
        if self.error is not None:
            return "failed"
        return "breaking" if any(change.breaking for change in self.changes) else "changes" if self.changes else "none"


def read_source(source: str, seconds: float) -> dict[str, Any]:
    """Read an OpenAPI 3.1 document from a file, or from a URL within a time."""
    if source.lower().startswith(("http://", "https://")):
        content = download(source, seconds)
    else:
        with Path(source).open("rb") as file:
            content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise Failure(f"the source is larger than {LIMIT // 1024**2} MiB")
    if content.lstrip().startswith(b"<"):
        raise Failure("the source is a page, not JSON: a server gives its document at /openapi.json")
    document = parse("the source", content)
    if not str(document.get("openapi")).startswith("3.1."):
        raise Failure("the source is not an OpenAPI 3.1 document")
    return document


def download(url: str, seconds: float) -> bytes:
    """Download a URL, up to a little over the limit; a server that stops sending is waited for once more."""
    deadline = time.monotonic() + seconds
    retries = urllib3.Retry(connect=0, read=0, redirect=5)
    content = bytearray()
    try:
        with closing(urllib3.request("GET", url, preload_content=False, timeout=seconds, retries=retries)) as response:
            if response.status != 200:
                raise Failure(f"the source answered {response.status} {response.reason or ''}".rstrip())
            # Up to the empty read, which alone tells whether the end came too early.
            while len(content) <= LIMIT and (part := response.read1(1024 * 1024)):
                content += part
                if time.monotonic() > deadline:
                    raise Failure(f"the source gave no whole answer within {seconds:g} s")
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise Failure(f"the source cannot be fetched: {error}") from error
    return bytes(content)


def sync(root: Path, source: dict[str, Any], tag: str | None, *, check: bool) -> Outcome:
    """Bring the document that is checked in up to date with a source."""
    path = root / "openapi.json"
    old = parse(path.name, path.read_bytes())
    if source == old:
        return Outcome(without_changes=OUR_OWN)
    new = keep_tagged(source, tag)
    unmatched = apply_overlay(root / "openapi.overlay.json", new)
    name_enums(new)
    validate("the result", new)
    changes = compare(old, new)
    if unmatched:
        # With the changes, which tell where the server has moved to.
        return Outcome(changes, f"the overlay's target matches nothing, the server has moved: {'; '.join(unmatched)}")
    if changes and not check:
        path.write_bytes((json.dumps(arranged(new, old), ensure_ascii=False, indent=2) + "\n").encode())
    return Outcome(changes)


def as_json(outcome: Outcome) -> str:
    """Give the report for programs."""
    changes = [change._asdict() for change in outcome.changes]
    return json.dumps({"result": outcome.result, "error": outcome.error, "changes": changes}, indent=2) + "\n"


def as_text(outcome: Outcome) -> str:
    """Give the report for people."""
    lines = []
    for title, breaking in (("Breaking for a client:", True), ("Not breaking:", False)):
        changes = [change for change in outcome.changes if change.breaking == breaking]
        lines += [title] if changes else []
        lines += [f"  {change}" for change in changes]
    if not lines and outcome.error is None:
        lines = [outcome.without_changes]
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
    except (Failure, OSError, KeyError, ValueError, RecursionError, KeyboardInterrupt) as error:
        outcome = Outcome(error=str(error) or "interrupted")
    sys.stdout.buffer.write((as_json(outcome) if options.json else as_text(outcome)).encode())
    if outcome.error is not None:
        print(f"sync_spec: {one_line(outcome.error)}", file=sys.stderr)
    elif outcome.changes and not options.check:
        print("sync_spec: openapi.json is written; look at it, then run scripts/regenerate", file=sys.stderr)
    return EXIT_CODES[outcome.result]


if __name__ == "__main__":
    sys.exit(main())
