"""Make the pictures of docs/guides/cli.md: what the real program writes to a terminal, against a sandbox.

The diagrams of the other pages are made by scripts/drawings.py.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.text import Text

from api_keys_client import ApiKeysClient, Role
from api_keys_client.sandbox import Sandbox

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tests.support.cli_runs import UNKNOWN_ID, Held, in_terminal, terminal  # noqa: E402  # found by the line above

FOLDER = PROJECT / "docs" / "guides" / "images"
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


def drawn(title: str, arguments: Sequence[str], written: str) -> str:
    """The picture of a screen on which this was written."""
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text.assemble(("$ ", "dim"), " ".join(("api-keys", *arguments))), soft_wrap=True)
    # A bar is drawn anew in its line, and hides the cursor meanwhile.
    seen = re.sub(r"\x1b\[\?25[lh]", "", written.replace("\r\n", "\n"))
    for line in AnsiDecoder().decode("\n".join(line.rpartition("\r\x1b[2K")[2] for line in seen.split("\n"))):
        console.print(line, soft_wrap=True)
    return console.export_svg(title=title, code_format=FRAME, unique_id=title)


def finished(sandbox: Sandbox, command: str) -> str:
    return drawn(command, [command], in_terminal(sandbox, command).out)


def deactivating(sandbox: Sandbox, client: ApiKeysClient) -> str:
    """At the moment when some of the keys are gone, one has failed, and two are being waited for."""
    ids = [client.create(f"load test {number}", roles=[Role.VALIDATION_USER]).id for number in range(6)]
    held = Held(sandbox, "deactivate", times=2)
    with terminal(sandbox, "deactivate", *ids, UNKNOWN_ID) as running:
        running.until("[y/N] ")
        running.type("y\n")
        running.until("1 failed")
        seen = running.until("5/7")
        held.let_go()
        running.end()
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
