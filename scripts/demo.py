"""One key's life, from its creation to its end, with the real client against a sandbox on this machine."""

from __future__ import annotations

import sys

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api_keys_client import ApiKeyResponse, ApiKeysClient, ApiKeysError, Role, key_id_from_secret
from api_keys_client.sandbox import Sandbox

# Wide enough for an id beside its label, so that none is ever cut.
NARROWEST, WIDEST = 60, 80
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def masked(secret: str) -> str:
    """A secret's first characters, which in an engine's secret are those of the id, and give nothing away."""
    return f"{secret[:4]}...... ({len(secret)} characters)"


def fields(**values: object) -> Table:
    """One line per value, its name in front."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", min_width=11)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(name, value if isinstance(value, Text) else Text(str(value)))
    return grid


def state(record: ApiKeyResponse) -> Text:
    if record.is_active:
        return Text("active", style="green")
    return Text(f"inactive since {record.deactivated_at:%Y-%m-%d %H:%M:%S}", style="red")


def listing(records: list[ApiKeyResponse]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("id", no_wrap=True, style="bold cyan")
    for name in ("description", "roles"):
        table.add_column(name)
    for record in records:
        table.add_row(record.id, record.description, ", ".join(record.roles or []))
    return table


def shown(record: ApiKeyResponse) -> Table:
    secret = masked(record.key.get_secret_value()) if record.key else "not in this answer"
    return fields(
        id=Text(record.id, style="bold cyan"),
        description=record.description,
        roles=", ".join(record.roles or []),
        state=state(record),
        secret=secret,
    )


class Story:
    """The steps, numbered as they come, each with its code, what came of it, and what the server saw."""

    def __init__(self, console: Console, sandbox: Sandbox) -> None:
        self._console = console
        self._sandbox = sandbox
        self._step = 0
        self._seen = 0

    def tell(self, title: str, code: str, *outcome: RenderableType) -> None:
        self._step += 1
        requests = self._sandbox.requests[self._seen :]
        self._seen += len(requests)
        wire = ", ".join(f"{request.method} {request.status}" for request in requests)
        body = Group(
            Text(f">>> {code}", style="bold"),
            "",
            *outcome,
            fields(requests=Text(wire or "nothing was sent", style="dim")),
        )
        title = f"[bold]{self._step}  {title}[/bold]"
        self._console.print(Panel(body, title=title, title_align="left", border_style="blue", padding=(0, 1)))


def walk(story: Story, client: ApiKeysClient) -> None:
    key = client.create("nightly evaluation", roles=[Role.VALIDATION_USER])
    code = 'key = client.create("nightly evaluation", roles=[Role.VALIDATION_USER])'
    story.tell("Create a key: the one answer that has its secret", code, shown(key))

    story.tell("List the active keys", "client.list()", listing(client.list()))

    story.tell("Get one by its id", "client.get(key.id)", shown(client.get(key.id)))

    owner = key_id_from_secret(key.key)
    leak = fields(secret=masked(key.key.get_secret_value()), id=Text(str(owner), style="bold cyan"))
    story.tell("Find out whose a leaked secret is", "key_id_from_secret(leaked)", leak)

    ended = client.deactivate(key.id)
    story.tell("Deactivate it, and read back that it is over", "client.deactivate(key.id)", shown(ended))

    try:
        client.deactivate(UNKNOWN_ID)
    except ApiKeysError as error:
        told = fields(error=Text(type(error).__name__, style="bold red"), says=error, outcome=error.outcome)
        story.tell("An error says what became of the key", f'client.deactivate("{UNKNOWN_ID}")', told)

    with client.temporary_key("migration", roles=[Role.ORG_AUDITOR]) as temporary:
        code = 'with client.temporary_key("migration", roles=[Role.ORG_AUDITOR]) as key:'
        story.tell("A key for the time of a block", code, shown(temporary))
    story.tell("... which ends with it", "client.get(key.id)", shown(client.get(temporary.id)))


def main(arguments: list[str]) -> None:
    if arguments:
        # All that there is to say of a program without options.
        asked = arguments in (["-h"], ["--help"])
        print("Usage: scripts/demo (without arguments)", file=sys.stdout if asked else sys.stderr)
        sys.exit(0 if asked else 2)
    console = Console(highlight=False)
    console.width = min(max(console.width, NARROWEST), WIDEST)
    with Sandbox() as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
        console.print(f"[bold]The life of an API key[/bold], against a sandbox at {sandbox.url}\n")
        walk(Story(console, sandbox), client)
    console.print("\nThe sandbox is gone, and its keys with it. No engine was touched.")


if __name__ == "__main__":
    main(sys.argv[1:])
