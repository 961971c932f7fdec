"""Make the pictures of docs/guides/cli.md: what the real program writes to a terminal, against a sandbox.

The browser chooses light or dark. A picture of several commands is a recording: they come one after the other and stay,
or all at once for a reader who wants less motion. The diagrams of the other pages are made by scripts/drawings.py.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME, TerminalTheme
from rich.text import Text

from api_keys_client import ApiKeysClient, Role
from api_keys_client.sandbox import Fault, Sandbox

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tests.support.cli_runs import UNKNOWN_ID, Held, active, in_terminal, terminal  # noqa: E402  # found by the line above

FOLDER = PROJECT / "docs" / "guides" / "images"
KEYS = {
    "billing import": (Role.TASK_ADMIN,),
    "nightly evaluation": (Role.VALIDATION_USER,),
    "rules of the support bot": (Role.DEFAULT_RULE_ADMIN, Role.TASK_ADMIN),
    "yearly audit": (Role.ORG_AUDITOR,),
}
COLUMNS, RECORDED_COLUMNS = 80, 68
"""The second is narrow enough to be read on a phone."""
ANSWER_SECONDS, COMMAND_SECONDS = 0.4, 1.6
"""How long a recording waits for an answer, then for the next command: it ends before it could distract a reader."""


class Run(NamedTuple):
    """A command as a person would have typed it, and what was written to the terminal."""

    typed: str
    written: str


def colours(console: Console, theme: TerminalTheme) -> str:
    """Give the style sheet of what was printed, on such a terminal."""
    styles = console.export_svg(theme=theme, clear=False, code_format="{styles}", unique_id="text")
    return f".screen {{ fill: {theme.background_color.hex} }}\n{styles}"


def motion(steps: Sequence[tuple[float, range]]) -> str:
    """Give the style sheet that hides lines until some second."""
    rules = [
        f"{', '.join(f'.line-{line}' for line in lines)} {{ animation: hidden 0s {seconds:g}s backwards }}"
        for seconds, lines in steps[1:]
    ]
    hidden = "@keyframes hidden { from { opacity: 0 } }"
    return "\n".join(["@media (prefers-reduced-motion: no-preference) {", *rules, "}", hidden])


def drawn(*runs: Run, columns: int = COLUMNS) -> str:
    """Give the picture of a screen with these runs on it."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, highlight=False)
    seconds, count = 0.0, 0
    steps: list[tuple[float, range]] = []
    for run in runs:
        # A bar is drawn anew in its line, and hides the cursor meanwhile.
        seen = re.sub(r"\x1b\[\?25[lh]", "", run.written.replace("\r\n", "\n")).rstrip("\n")
        answer = AnsiDecoder().decode("\n".join(line.rpartition("\r\x1b[2K")[2] for line in seen.split("\n")))
        command = Text.assemble("\n" if steps else "", ("$ ", "dim"), run.typed)
        for texts, pause in (([command], ANSWER_SECONDS), (answer, COMMAND_SECONDS)):
            lines = [line for text in texts for line in text.wrap(console, columns)]
            console.print(*lines, sep="\n")
            steps.append((seconds, range(count, count + len(lines))))
            seconds, count = seconds + pause, count + len(lines)
    light, dark = colours(console, DEFAULT_TERMINAL_THEME), colours(console, SVG_EXPORT_THEME)
    content = console.export_svg(code_format="{backgrounds}{matrix}", unique_id="text")
    # Its lines as classes, instead of a path around each that cuts off nothing.
    content = re.sub(r'class="(\S+)"(.*?) clip-path="url\(#text-(line-\d+)\)"', r'class="\1 \3"\2', content)
    content = re.sub(r"<text [^>]*>\n</text>", "\n", content)
    width, height = 12.2 * columns + 24, 24.4 * count + 24
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">',
            "<style>",
            # Without a font from elsewhere, which a page that shows the picture may not load.
            'text { font: 20px "DejaVu Sans Mono", Menlo, Consolas, monospace }',
            light,
            f"@media (prefers-color-scheme: dark) {{\n{dark}\n}}",
            *([motion(steps)] if len(runs) > 1 else []),
            "</style>",
            f'<rect class="screen" stroke="#8c959f" x="1" y="1" width="{width - 2:g}" height="{height - 2:g}" rx="8"/>',
            f'<g transform="translate(12, 10)">\n{content}</g>',
            "</svg>",
        ]
    )


def finished(sandbox: Sandbox, command: str) -> str:
    return drawn(Run(f"api-keys {command}", in_terminal(sandbox, command).out))


def deactivating(sandbox: Sandbox, client: ApiKeysClient) -> str:
    """At the moment when most of the keys are gone, and two are being waited for."""
    ids = [client.create(f"load test {number}", roles=[Role.VALIDATION_USER]).id for number in range(6)]
    held = Held(sandbox, "deactivate", times=2)
    with terminal(sandbox, "deactivate", *ids, UNKNOWN_ID) as running:
        running.until("[y/N] ")
        running.type("y\n")
        seen = running.until("5/7")
        held.let_go()
        running.end()
    return drawn(Run("api-keys deactivate $(cat ids.txt)", seen))


def recording(sandbox: Sandbox) -> str:
    """A key is made and replaced, and the answer to a second creation is lost on the way."""

    def run(typed: str) -> Run:
        arguments = typed.replace("$ID", "".join(active(sandbox))).split()
        return Run(f"api-keys {typed}", in_terminal(sandbox, *arguments, columns=RECORDED_COLUMNS).out)

    with TemporaryDirectory() as folder, chdir(folder):
        made = run("create --description nightly --output engine-key")
        replaced = run("rotate $ID --to-file engine-key")
        sandbox.queue(Fault.drop(committed=True), operation="create")
        lost = run("create --description weekly --output other-key")
    return drawn(made, replaced, lost, columns=RECORDED_COLUMNS)


def main() -> None:
    folder = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with Sandbox() as sandbox:
        pictures = {"recording": recording(sandbox)}
    with Sandbox() as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
        for description, roles in KEYS.items():
            client.create(description, roles=roles)
        pictures |= {"list": finished(sandbox, "list"), "doctor": finished(sandbox, "doctor")}
        pictures["deactivate"] = deactivating(sandbox, client)
    for name, picture in pictures.items():
        path = folder / f"cli-{name}.svg"
        path.write_text("".join(f"{line.rstrip()}\n" for line in picture.splitlines()), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
