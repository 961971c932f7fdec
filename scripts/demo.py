"""One key's life, from its creation to its end, with the real client against a sandbox on this machine."""

from __future__ import annotations

import argparse
import ast
import sys

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api_keys_client import ApiKeyResponse, ApiKeysClient, ApiKeysError, Role, key_id_from_secret
from api_keys_client.sandbox import Sandbox

# Wide enough for an id beside its label, so that none is ever cut.
NARROWEST, WIDEST = 60, 80

# What is shown is what is run.
STEPS = {
    "Create a key: the one answer that has its secret": """\
key = client.create("nightly evaluation", roles=[Role.VALIDATION_USER])
key""",
    "List the active keys": "client.list()",
    "Get one by its id": "client.get(key.id)",
    "Find out whose a leaked secret is": "leaked = key.key\nleaked\nkey_id_from_secret(leaked)",
    "Deactivate it, and read back that it is over": "client.deactivate(key.id)",
    "An error says what became of the key": 'client.deactivate("00000000-0000-4000-8000-000000000000")',
    "A key for the time of a block": """\
with client.temporary_key("migration", roles=[Role.ORG_AUDITOR]) as temporary:
    temporary""",
    "... which ends with it": "client.get(temporary.id)",
}


def described(value: object) -> dict[str, object]:
    """Give what a person wants to know of a result, by its name."""
    if isinstance(value, SecretStr):
        # The first characters, which in an engine's secret are those of the id, and give nothing away.
        secret = value.get_secret_value()
        return {"secret": f"{secret[:4]}...... ({len(secret)} characters)"}
    if isinstance(value, ApiKeysError):
        return {"error": Text(type(value).__name__, style="bold red"), "says": value, "outcome": value.outcome}
    if isinstance(value, ApiKeyResponse):
        ended = f"inactive since {value.deactivated_at:%Y-%m-%d %H:%M:%S}" if value.deactivated_at else ""
        return {
            "id": Text(value.id, style="bold cyan"),
            "description": value.description,
            "roles": ", ".join(value.roles or []),
            "state": Text(ended, style="red") if ended else Text("active", style="green"),
            **(described(value.key) if value.key else {"secret": "not in this answer"}),
        }
    return {"": value}


def main() -> None:
    argparse.ArgumentParser(prog="scripts/demo", description=__doc__).parse_args()
    console = Console(highlight=False)
    console.width = min(max(console.width, NARROWEST), WIDEST)

    def show(result: object) -> None:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", min_width=11)
        grid.add_column(overflow="fold")
        for value in result if isinstance(result, list) else [result]:
            for name, text in described(value).items():
                grid.add_row(name, text if isinstance(text, Text) else Text(str(text)))
        console.print(grid)

    # Called with the value of each line of a step that is an expression, as at Python's own prompt.
    sys.displayhook = lambda result: None if result is None else show(result)
    with Sandbox() as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
        names = {"client": client, "Role": Role, "key_id_from_secret": key_id_from_secret}
        console.print(f"[bold]The life of an API key[/bold], against a sandbox at {sandbox.url}")
        for number, (title, code) in enumerate(STEPS.items(), 1):
            seen = len(sandbox.requests)
            console.print()
            console.rule(f"[bold]{number}  {title}[/bold]", align="left", style="blue")
            console.print(Text(code, style="bold"))
            console.print()
            try:
                for statement in ast.parse(code).body:
                    exec(compile(ast.Interactive([statement]), "step", "single"), names)  # noqa: S102  # from above
            except ApiKeysError as error:
                show(error)
            wire = ", ".join(f"{request.method} {request.status}" for request in sandbox.requests[seen:])
            console.print(Text(f"requests     {wire or 'nothing was sent'}", style="dim"))
    console.print("\nThe sandbox is gone, and its keys with it. No engine was touched.")


if __name__ == "__main__":
    main()
