"""`api-keys create`: a new key, which is kept only if its secret is."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

import api_keys_client
from api_keys_client.cli.common import CommonOptions, command
from api_keys_client.cli.errors import CliError, ExitCode, cli_message, code_of
from api_keys_client.cli.handover import Handover, handover_options
from api_keys_client.cli.lifetimes import End, end
from api_keys_client.cli.output import answer, document_of, fields_of

if TYPE_CHECKING:
    from api_keys_client import ApiKeysClient, CreatedKey

ROLES = ("DEFAULT-RULE-ADMIN", "TASK-ADMIN", "VALIDATION-USER", "ORG-AUDITOR", "ORG-ADMIN")
"""Spelled out, because the enum would make completion load pydantic."""


@command("create")
@click.option("--description", metavar="TEXT", help="What the key is for.")
@click.option(
    "--role",
    multiple=True,
    metavar="ROLE",
    type=click.Choice(ROLES),
    help=f"A role of the key; may be repeated. One of {', '.join(ROLES)}; without any: VALIDATION-USER.",
)
@click.option("--expires", metavar="END", help="When the key is to end: 90d, 12h, or a day such as 2027-01-31.")
@handover_options
@click.option("--show", is_flag=True, help="Show the secret.")
def create(
    common: CommonOptions,
    description: str | None,
    role: tuple[str, ...],
    expires: str | None,
    handover: Handover,
    show: bool,
) -> ExitCode:
    """Create a key, and hand its secret over or show it.

    One of --to-file, --to-env-file, --to-command and --show is needed: the secret cannot be had later. CMD is the
    command of --to-command. A key whose secret could not be handed over is deactivated.
    """
    place = handover.place(overwrite=False)
    if place is None and not show:
        raise CliError(
            "a key's secret can be had only once, so say where it goes. Nothing was sent.",
            "Add --to-file FILE, --to-env-file FILE NAME, --show, or, at the end, --to-command CMD...",
        )
    ends = end(expires)
    with common.client() as client:
        created = _created(client, description, role, ends)
        document = {**document_of(created), "output": place.name if place else None}
        fields = fields_of(created)
        if place:
            fields.append(("output", place.name))
        if show:
            document["key"] = created.key.get_secret_value()
            fields.append(("key", created.key.get_secret_value()))
        kept = False
        try:
            if place:
                place.store(created)
                kept = True
            answer(document, fields, as_json=common.as_json)
        except BaseException as failure:
            if not (place and kept):
                _undo(client, created, handover.to_file, failure)
            raise CliError(
                f"key {created.id} was created, and its secret is in {place.name}, "
                f"but the answer could not be written: {_reason(failure)}.",
                code=_code(failure),
            ) from failure
    return ExitCode.DONE


def _created(client: ApiKeysClient, description: str | None, role: tuple[str, ...], ends: End) -> CreatedKey:
    """Gives the new key.

    Raises:
        CliError: it is not known whether there is one; it says what to look for.
    """
    unset = api_keys_client.UNSET
    try:
        return client.create(unset if description is None else description, role or unset, **ends)
    except (KeyboardInterrupt, api_keys_client.OutcomeUnknownError) as error:
        if isinstance(error, KeyboardInterrupt):
            why, code = "interrupted: a key may have been created, whose secret is lost.", ExitCode.INTERRUPTED
        else:
            why, code = cli_message(error)[0], code_of(error)
        next_step = (
            "Without a description it looks like others: compare `api-keys list` with the keys that you know of."
        )
        if description:
            next_step = f"If this names it, deactivate it: api-keys list --description {shlex.quote(description)}"
        raise CliError(why, next_step, code) from error


def _undo(client: ApiKeysClient, created: CreatedKey, file: str | None, failure: BaseException) -> NoReturn:
    """Ends a key whose secret could not be kept, and says so."""
    why, code = f"the secret of key {created.id} could not be kept ({_reason(failure)})", _code(failure)
    try:
        client.deactivate(created.id)
    except api_keys_client.ApiKeysError as error:
        raise CliError(
            f"{why}, and the key could not be deactivated: {cli_message(error)[0]}",
            f"Deactivate it: api-keys deactivate {created.id}",
            max(code, code_of(error)),
        ) from None
    # The failure may have come after the secret was written.
    with suppress(OSError):
        if file is not None and Path(file).read_text("utf-8", "replace") == created.key.get_secret_value():
            Path(file).unlink()
    raise CliError(f"{why}, so the key was deactivated.", "Correct that, and create another.", code) from failure


def _reason(failure: BaseException) -> str:
    # Late, as all that --help does not need.
    from api_keys_client import stores

    if isinstance(failure, KeyboardInterrupt):
        return "interrupted"
    if isinstance(failure, (OSError, api_keys_client.NotStored, stores.CommandFailed)):
        return getattr(failure, "strerror", None) or str(failure)
    return type(failure).__name__


def _code(failure: BaseException) -> ExitCode:
    return ExitCode.INTERRUPTED if isinstance(failure, KeyboardInterrupt) else ExitCode.FAILED
