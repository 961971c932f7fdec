"""The commands that are short: the others have modules of their own."""

from __future__ import annotations

import platform
from typing import Any

import click

import api_keys_client
from api_keys_client.cli.common import CommonOptions, command
from api_keys_client.cli.create import ROLES
from api_keys_client.cli.doctor import ENGINE_VERSION
from api_keys_client.cli.errors import CliError, ExitCode
from api_keys_client.cli.lifetimes import by_age, length
from api_keys_client.cli.output import answer, document_of, fields_of, remark, show_keys


def _complete_role(_context: Any, _parameter: Any, incomplete: str) -> list[str]:
    return [role for role in ROLES if role.startswith(incomplete)]


@command("list")
@click.option("--description", metavar="TEXT", help="Only keys with exactly this description, a marker aside.")
@click.option("--search", metavar="TEXT", help="Only keys with this in the description, in capitals or not.")
@click.option("--role", metavar="ROLE", shell_complete=_complete_role, help="Only keys with this role.")
@click.option("--expired", is_flag=True, help="Only keys whose end has come, by the engine's clock.")
@click.option("--older-than", metavar="AGE", help="Only keys that were made so long ago: 90d, 12h.")
def list_keys(
    common: CommonOptions,
    description: str | None,
    search: str | None,
    role: str | None,
    expired: bool,
    older_than: str | None,
) -> ExitCode:
    """List the active keys."""
    age = None if older_than is None else length("--older-than", older_than)
    with common.client() as client:
        records = client.list(description, role)
        if expired:
            ended = {sweepable.key_id for sweepable in client.sweep(dry_run=True)}
            records = [record for record in records if record.id in ended]
    if search is not None:
        records = [record for record in records if search.casefold() in (record.description or "").casefold()]
    if age is None:
        show_keys(records, "active", as_json=common.as_json)
    else:
        old, ageless = by_age(records, age)
        unknown = {"age_unknown": [document_of(record) for record in ageless]}
        show_keys(old, "as old", unknown, as_json=common.as_json)
        for record in ageless if not common.as_json else []:
            # On stderr, so that they are not piped into a deactivation with the old ones.
            remark("age not known: ", record.id, "  ", record.description or "")
    if role is not None and role not in ROLES and not records:
        remark(f"That is none of the engine's roles: {', '.join(ROLES)}.")
    return ExitCode.DONE


@command("get")
@click.argument("key_id", metavar="ID")
def get(common: CommonOptions, key_id: str) -> ExitCode:
    """Show the key with this ID, active or not."""
    with common.client() as client:
        record = client.get(key_id)
    answer(document_of(record), fields_of(record), as_json=common.as_json)
    return ExitCode.DONE


# The sandbox parses its own arguments.
@click.command(
    "sandbox",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
@click.pass_context
def run_sandbox(context: click.Context) -> int:
    """Run a local server that answers as the engine does.

    For development and tests only; its options: `api-keys sandbox --help`.
    """
    try:
        # Late, and only here: it comes with an extra of its own.
        from api_keys_client.sandbox.command import main
    except ImportError as error:
        raise CliError(str(error)) from None
    return main(context.args, prog=context.command_path)


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
def show_version(as_json: bool) -> int:
    """Show the versions of this program, Python and the engine.

    The engine's is the one that this program was written for.
    """
    versions = {"version": api_keys_client.__version__, "python": platform.python_version(), "engine": ENGINE_VERSION}
    answer(versions, list(versions.items()), as_json=as_json)
    return ExitCode.DONE
