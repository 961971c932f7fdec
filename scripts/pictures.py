"""Make the pictures of docs/guides/cli.md: what the real program writes to a terminal, against a sandbox.

The diagrams of the other pages are made by scripts/drawings.py.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.text import Text

from api_keys_client import ApiKeysClient, Role
from api_keys_client.sandbox import Fault, Sandbox

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "guides" / "images"
COLUMNS, ROWS = 80, 24
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
KEYS = {
    "billing import": (Role.TASK_ADMIN,),
    "nightly evaluation": (Role.VALIDATION_USER,),
    "rules of the support bot": (Role.DEFAULT_RULE_ADMIN, Role.TASK_ADMIN),
    "yearly audit": (Role.ORG_AUDITOR,),
}
# Without a font from elsewhere, which a page that shows the picture may not load.
FRAME = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix, .{unique_id}-title {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
.{unique_id}-matrix {{ font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        program = Path(sys.executable).with_name("api-keys")
        self._child = subprocess.Popen(
            [program, *arguments], env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.written = ""

    def until(self, text: str) -> None:
        """Reads until this was written."""
        while text not in self.written and self._read():
            continue
        if text not in self.written:
            raise RuntimeError(f"{text!r} never came: {self.written!r}")

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def close(self) -> None:
        while self._read():
            continue
        os.close(self._ours)
        self._child.wait()

    def _read(self) -> bool:
        try:
            read = os.read(self._ours, 65536).decode()
        except OSError:
            # How Linux says that the other end is closed.
            read = ""
        self.written += read
        return bool(read)


@contextmanager
def running(sandbox: Sandbox, *arguments: str) -> Iterator[Terminal]:
    telling = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    kept = {name: value for name, value in os.environ.items() if name not in telling}
    address = {"API_KEYS_BASE_URL": sandbox.url, "API_KEYS_TOKEN": sandbox.token}
    terminal = Terminal(arguments, {**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **address})
    try:
        yield terminal
    finally:
        terminal.close()


def drawn(title: str, arguments: Sequence[str], written: str) -> str:
    """The picture of a screen on which this was written."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text.assemble(("$ ", "dim"), " ".join(("api-keys", *arguments))), soft_wrap=True)
    # A bar is drawn anew in its line, and hides the cursor meanwhile.
    seen = re.sub(r"\x1b\[\?25[lh]", "", written.replace("\r\n", "\n"))
    for line in AnsiDecoder().decode("\n".join(line.rpartition("\r\x1b[2K")[2] for line in seen.split("\n"))):
        console.print(line, soft_wrap=True)
    return console.export_svg(title=title, code_format=FRAME, unique_id=title)


def finished(sandbox: Sandbox, *arguments: str) -> str:
    with running(sandbox, *arguments) as terminal:
        pass
    return drawn(arguments[0], arguments, terminal.written)


def deactivating(sandbox: Sandbox, client: ApiKeysClient) -> str:
    """At the moment when some of the keys are gone, one has failed, and two are being waited for."""
    ids = [client.create(f"load test {number}", roles=[Role.VALIDATION_USER]).id for number in range(6)]
    release = threading.Event()
    for _ in range(2):
        sandbox.queue(Fault.hold(threading.Event(), release), operation="deactivate")
    with running(sandbox, "deactivate", *ids, UNKNOWN_ID) as terminal:
        terminal.until("[y/N] ")
        terminal.type("y\n")
        terminal.until("1 failed")
        terminal.until("5/7")
        seen = terminal.written
        release.set()
    # As a person would have typed them.
    return drawn("deactivate", ("deactivate", "$(cat ids.txt)"), seen)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with Sandbox() as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
        for description, roles in KEYS.items():
            client.create(description, roles=roles)
        pictures = {"list": finished(sandbox, "list"), "doctor": finished(sandbox, "doctor")}
        pictures["deactivate"] = deactivating(sandbox, client)
    for name, picture in pictures.items():
        path = folder / f"cli-{name}.svg"
        path.write_text("".join(f"{line.rstrip()}\n" for line in picture.splitlines()), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
