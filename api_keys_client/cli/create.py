"""`api-keys create`: a new key, which is kept only if its secret is."""

from __future__ import annotations

import shlex
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import api_keys_client
from api_keys_client.cli.common import CommonOptions, command
from api_keys_client.cli.errors import CliError, ExitCode, cli_message, code_of
from api_keys_client.cli.handover import chosen_place, handover_options
from api_keys_client.cli.lifetimes import End, end
from api_keys_client.cli.output import document_of, fields_of, give_up_stdout

if TYPE_CHECKING:
    from api_keys_client import ApiKeysClient, CreatedKey

ROLES = ("DEFAULT-RULE-ADMIN", "TASK-ADMIN", "VALIDATION-USER", "ORG-AUDITOR", "ORG-ADMIN")
"""Spelled out, because completion does not wait for pydantic to load."""


def complete_role(context: Any, parameter: Any, incomplete: str) -> list[str]:
    """Gives the roles that begin like this, for the shell."""
    return [role for role in ROLES if role.startswith(incomplete)]


@command("create")
@click.option("--description", metavar="TEXT", help="What the key is for.")
@click.option(
    "--role",
    multiple=True,
    metavar="ROLE",
    shell_complete=complete_role,
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
    words: tuple[str, ...],
    to_file: str | None,
    to_env_file: tuple[str, str] | None,
    to_command: bool,
    show: bool,
) -> ExitCode:
    """Create a key, and hand its secret over or show it.

    One of --to-file, --to-env-file, --to-command and --show is needed: the secret cannot be had later. CMD is the
    command of --to-command. A key whose secret could not be handed over is deactivated.
    """
    place = chosen_place(words, to_file, to_env_file, to_command=to_command, overwrite=False)
    if place is None and not show:
        raise CliError(
            "a key's secret can be had only once, so say where it goes. Nothing was sent.",
            "Add --to-file FILE, --to-env-file FILE NAME, --show, or, at the end, --to-command CMD...",
        )
    for name in role:
        _check_role(name)
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
            common.output.answer(document, fields)
        except BaseException as failure:
            if place and kept:
                raise _untold(f"key {created.id} was created, and its secret is in {place.name}", failure) from failure
            _undo(client, created, to_file, failure)
    return ExitCode.DONE


def _created(client: ApiKeysClient, description: str | None, role: tuple[str, ...], ends: End) -> CreatedKey:
    """Gives the new key; if it is not known whether there is one, what to look for."""
    unset = api_keys_client.UNSET
    try:
        return client.create(unset if description is None else description, role or unset, **ends)
    except KeyboardInterrupt:
        why, code = "interrupted: a key may have been created, whose secret is lost.", ExitCode.INTERRUPTED
    except api_keys_client.OutcomeUnknownError as error:
        why, code = cli_message(error)[0], code_of(error)
    if description:
        raise CliError(
            why, f"If this names it, deactivate it: api-keys list --description {shlex.quote(description)}", code
        )
    raise CliError(
        why,
        "Without a description it looks like others: compare `api-keys list` with the keys that you know of.",
        code,
    )


def _untold(what: str, failure: BaseException) -> BaseException:
    """Gives the end of a run whose key is kept, although its answer was not read."""
    if isinstance(failure, KeyboardInterrupt):
        return CliError(f"interrupted, but {what}.", code=ExitCode.INTERRUPTED)
    if not isinstance(failure, OSError):
        return failure
    give_up_stdout()
    return CliError(f"{what}, but the answer could not be written: {failure.strerror}.", code=ExitCode.FAILED)


def _check_role(name: str) -> None:
    close = get_close_matches(name.upper().replace("_", "-"), ROLES, 1)
    # Whatever is like none of them may be a secret, and the client refuses it without a word of it.
    if name not in ROLES and close:
        raise CliError(
            f"{close[0]} is a role, but not as it was typed. Nothing was sent.", f"Did you mean --role {close[0]}?"
        )


def _undo(client: ApiKeysClient, created: CreatedKey, output: str | None, failure: BaseException) -> NoReturn:
    """Ends a key whose secret could not be kept, and says so."""
    # Late, as all that --help does not need.
    from api_keys_client import stores

    key_id = created.id
    interrupted = isinstance(failure, KeyboardInterrupt)
    code = ExitCode.INTERRUPTED if interrupted else ExitCode.FAILED
    why = f"the secret of key {key_id} could not be kept"
    if interrupted:
        why = f"interrupted before the secret of key {key_id} was kept"
    elif isinstance(failure, (OSError, api_keys_client.NotStored, stores.CommandFailed)):
        why += f" ({getattr(failure, 'strerror', None) or failure})"
    try:
        client.deactivate(key_id)
    except api_keys_client.ApiKeysError as error:
        message, _ = cli_message(error)
        raise CliError(
            f"{why}, and the key could not be deactivated: {message}",
            f"Deactivate it: api-keys deactivate {key_id}",
            max(code, code_of(error)),
        ) from None
    if output is not None:
        _remove(output, created)
    if isinstance(failure, OSError):
        # What is left in the buffer would be tried again when Python ends.
        give_up_stdout()
    raise CliError(f"{why}, so the key was deactivated.", "Correct that, and create another.", code) from failure


def _remove(output: str, created: CreatedKey) -> None:
    """Takes away what was written before the failure: the secret of a key that has ended, and nothing else."""
    path = Path(output)
    with suppress(OSError):
        if path.read_text("utf-8", "replace") == created.key.get_secret_value():
            path.unlink()
