"""`api-keys sweep`: ends the keys whose end has come; shown first, and asked about."""

from __future__ import annotations

from contextlib import ExitStack

import click

from api_keys_client.cli.common import CommonOptions, command
from api_keys_client.cli.deactivate import answers_from, ask, deactivate_all, show
from api_keys_client.cli.errors import ExitCode
from api_keys_client.cli.output import remark, show_keys


@command("sweep")
@click.option("--yes", "-y", is_flag=True, help="Go ahead without showing the keys or asking.")
@click.option("--dry-run", is_flag=True, help="Show the keys whose end has come, and leave them as they are.")
def sweep(common: CommonOptions, yes: bool, dry_run: bool) -> ExitCode:
    """Deactivate the keys whose end has come, once you have seen them and said yes.

    What time it is, the engine says. Only keys that were created with an end have one.
    """
    with ExitStack() as stack:
        answers = None if yes or dry_run else answers_from(stack, reads_stdin=False)
        client = stack.enter_context(common.client())
        expired = [ended.record for ended in client.sweep(dry_run=True) if ended.record]
        if dry_run:
            show_keys(expired, "expired", as_json=common.as_json)
            return ExitCode.DONE
        if not expired:
            remark("No key has expired.")
        elif answers is not None:
            show(expired)
            ask(answers, len(expired))
        # Not what expired since it was shown.
        return deactivate_all(client, [record.id for record in expired], as_json=common.as_json)
