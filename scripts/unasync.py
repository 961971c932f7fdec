"""Derive the sync client, all of `_sync/`, from the async one in `_async/`; the sync one is committed.

Only names are replaced, token by token, so that docstrings and comments stay the same in both, but for the `await` and
`async` of their examples; and a line `# sync: CODE` becomes CODE, which only the sync client has. With --check nothing
is written: what would change is shown as a diff, and the exit code is 1 if there is any. A substitution that is never
used is an error.
"""

from __future__ import annotations

import argparse
import difflib
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "api_keys_client"
SOURCE = PACKAGE / "_async"
TARGET = PACKAGE / "_sync"

SUBSTITUTIONS = {
    "async": "",
    "await": "",
    "AsyncApiKeysClient": "ApiKeysClient",
    "AsyncIterator": "Iterator",
    "AsyncRotation": "Rotation",
    "AsyncWork": "Work",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "_async": "_sync",
    "aio": "sync",
    "asynccontextmanager": "contextmanager",
    "call_user_function_async": "call_user_function",
    "check_user_function_async": "check_user_function",
    "fan_out_async": "fan_out",
    "shield_async": "shield",
}
EXAMPLE = re.compile(r"^( *(?:>>>|\.\.\.) .*?)\b(?:await|async) ", re.MULTILINE)
SYNC_LINE = re.compile(r"^( *)# sync: ?", re.MULTILINE)


def derive(source: str, used: set[str]) -> str:
    """The sync text; `used` collects the substitutions that it took."""
    lines = source.splitlines(keepends=True)
    names = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.string in SUBSTITUTIONS]
    # From the end, so that the places of what is still to come stay right.
    for token in reversed(names):
        used.add(token.string)
        row, start = token.start
        line, end = lines[row - 1], token.end[1]
        replacement = SUBSTITUTIONS[token.string]
        if not replacement:
            end += len(line[end:]) - len(line[end:].lstrip(" "))
        lines[row - 1] = line[:start] + replacement + line[end:]
    return SYNC_LINE.sub(r"\1", EXAMPLE.sub(r"\1", "".join(lines)))


def tidy(text: str, path: Path) -> str:
    """In the project's format: names of another length sort and wrap otherwise."""
    for command in (["check", "--quiet", "--fix", "--select", "I"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(path), "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description="Derive the sync client from the async one.")
    parser.add_argument("--check", action="store_true", help="write nothing, show what would change")
    check = parser.parse_args().check
    used: set[str] = set()
    different = False
    for source in sorted(SOURCE.glob("*.py")):
        path = TARGET / source.name
        head = f"# Derived from _async/{source.name} by scripts/unasync.py: edit that file, then run the script.\n"
        if source.name == "__init__.py":
            text = '"""The sync client, derived from `_async` by scripts/unasync.py."""\n'
        else:
            text = tidy(head + derive(source.read_text(encoding="utf-8"), used), path)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if check and text != before:
            different = True
            shown = f"_sync/{source.name}"
            sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), text.splitlines(True), shown, shown))
        elif text != before:
            path.write_text(text, encoding="utf-8", newline="\n")
    unused = SUBSTITUTIONS.keys() - used
    if unused:
        print(f"unasync: never used: {', '.join(sorted(unused))}", file=sys.stderr)
    if different:
        print("unasync: the sync client is not what the async one gives; run scripts/unasync.py", file=sys.stderr)
    return 1 if unused or different else 0


if __name__ == "__main__":
    sys.exit(main())
