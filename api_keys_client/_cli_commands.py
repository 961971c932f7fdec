"""The commands, but for `deactivate` and `doctor`, which have modules of their own."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

import api_keys_client
from api_keys_client._cli_doctor import ENGINE_VERSION
from api_keys_client._cli_screen import Screen, document_of, fields_of, give_up_stdout, in_colour, listing
from api_keys_client._cli_session import ExitCode, Session, Stop, code_of, explained

if TYPE_CHECKING:
    from api_keys_client import ApiKeysClient, CreatedKey

ROLES = ("DEFAULT-RULE-ADMIN", "TASK-ADMIN", "VALIDATION-USER", "ORG-AUDITOR", "ORG-ADMIN")
"""Spelled out, because completion does not wait for pydantic to load."""


def _complete_role(incomplete: str) -> list[str]:
    return [role for role in ROLES if role.startswith(incomplete)]


KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id.", show_default=False)]


def list_keys(
    session: Session,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only keys with exactly this description.", show_default=False)
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE", help="Only keys with this role.", autocompletion=_complete_role, show_default=False
        ),
    ] = None,
) -> ExitCode:
    """List the active keys."""
    with session.client() as client:
        records = client.list(description, role)
    records.sort(key=lambda record: (record.description or "", record.id))
    session.screen.answer(
        lambda: {"keys": [document_of(record) for record in records]},
        [(record.id, ",".join(record.roles or []), record.description or "") for record in records],
        lambda screen: [*listing(records, screen), in_colour((f"{len(records)} active", "dim"))],
    )
    if role is not None and role not in ROLES and not records:
        session.screen.remark(f"{role} is none of the engine's roles: {', '.join(ROLES)}.")
    return ExitCode.DONE


def get(session: Session, key_id: KeyId) -> ExitCode:
    """Show one key, active or not."""
    with session.client() as client:
        record = client.get(key_id)
    session.screen.answer(document_of(record), fields_of(record))
    return ExitCode.DONE


def create(
    session: Session,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the key is for.", show_default=False)
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE",
            help=f"A role of the key; may be repeated. One of {', '.join(ROLES)}; without any: VALIDATION-USER.",
            autocompletion=_complete_role,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the secret to a new file that only you can read.", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the secret.")] = False,
) -> ExitCode:
    """Create a key, and write its secret to a file or show it.

    The secret cannot be had later.
    """
    if output is None and not show:
        raise Stop(
            "a key's secret can be had only once, so say where it goes. Nothing was sent.",
            "Add --output FILE, or --show to have it on the screen.",
        )
    store = None if output is None else _new_file(output)
    unset = api_keys_client.UNSET
    with session.client() as client:
        try:
            created = client.create(unset if description is None else description, role or unset)
        except KeyboardInterrupt:
            raise Stop(
                "interrupted: a key may have been created, whose secret is lost.",
                "Look for it in `api-keys list`, and deactivate it.",
                ExitCode.INTERRUPTED,
            ) from None
        try:
            if store is not None:
                store(created)
            document = {**document_of(created), "output": output}
            fields = fields_of(created)
            if output is not None:
                fields.append(("output", output))
            if show:
                document["key"] = created.key.get_secret_value()
                fields.append(("key", created.key.get_secret_value()))
            session.screen.answer(document, fields)
        except BaseException as failure:
            _undo(client, created.id, failure)
    return ExitCode.DONE


def _new_file(output: str) -> Callable[[CreatedKey], None]:
    # Late, as all that --help does not need.
    from api_keys_client import stores

    store = stores.file(output)
    if Path(output).exists() and Path(output).stat().st_size:
        raise Stop(
            f"{output} is there already, and its content would be lost. Nothing was sent.",
            "Name a new file, or use `rotate ID --to-file FILE` to replace a key and its file.",
        )
    return store


def _undo(client: ApiKeysClient, key_id: str, failure: BaseException) -> NoReturn:
    """Ends a key whose secret could not be kept, and says so."""
    interrupted = isinstance(failure, KeyboardInterrupt)
    code = ExitCode.INTERRUPTED if interrupted else ExitCode.FAILED
    why = f"the secret of key {key_id} could not be kept"
    if interrupted:
        why = f"interrupted before the secret of key {key_id} was kept"
    elif isinstance(failure, (OSError, api_keys_client.NotStored)):
        why += f" ({getattr(failure, 'strerror', None) or failure})"
    try:
        client.deactivate(key_id)
    except api_keys_client.ApiKeysError as error:
        message, _ = explained(error)
        raise Stop(
            f"{why}, and the key could not be deactivated: {message}",
            f"Deactivate it: api-keys deactivate {key_id}",
            max(code, code_of(error)),
        ) from None
    if isinstance(failure, OSError):
        # What is left in the buffer would be tried again when Python ends.
        give_up_stdout()
    raise Stop(f"{why}, so the key was deactivated.", "Correct that, and create another.", code) from failure


def run_sandbox(context: typer.Context) -> int:
    """Run a local server that answers as the engine does.

    For development and tests only; its options: `api-keys sandbox --help`.
    """
    try:
        # Late, and only here: it comes with an extra of its own.
        from api_keys_client.sandbox import main
    except ImportError as error:
        raise Stop(str(error)) from None
    return main(context.args)


def show_version(
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
) -> int:
    """Show the versions of this program, Python and the engine.

    The engine's is the one that this program was written for.
    """
    versions = {
        "version": api_keys_client.__version__,
        "python": platform.python_version(),
        "engine": ENGINE_VERSION,
    }
    Screen(as_json=as_json).answer(versions, list(versions.items()))
    return ExitCode.DONE
