"""`api-keys rotate`: a new key in place of an old one, written to where it is used."""

from __future__ import annotations

import os
import shlex
from typing import Literal

import click

import api_keys_client
from api_keys_client.cli.common import CommonOptions, command
from api_keys_client.cli.errors import CliError, ExitCode
from api_keys_client.cli.files import read_secret
from api_keys_client.cli.handover import Handover, handover_options
from api_keys_client.cli.lifetimes import length
from api_keys_client.cli.output import answer, document_of, remark

_NOT_SPARED = "Name another file, or add --overwrite if its content is not needed."


@command("rotate")
@click.argument("key_id", metavar="ID")
@handover_options
@click.option("--overwrite", is_flag=True, help="Replace what the file holds, even if it is not the old key's secret.")
@click.option("--expires", metavar="AGE", help="How long the new key is to live: 90d, 12h; else like the old one.")
@click.option("--keep-old", is_flag=True, help="Leave the old key active.")
@click.option(
    "--leftovers",
    type=click.Choice(["refuse", "deactivate", "keep"]),
    default="refuse",
    show_default=True,
    help="What to do about keys that earlier rotations of this one left active.",
)
def rotate(
    common: CommonOptions,
    key_id: str,
    handover: Handover,
    overwrite: bool,
    expires: str | None,
    keep_old: bool,
    leftovers: Literal["refuse", "deactivate", "keep"],
) -> ExitCode:
    """Put a new key in place of an old one, and store its secret.

    One of --to-file, --to-env-file and --to-command is needed; CMD is the command of the last. The key with this ID is
    deactivated once the new one is stored.
    """
    expires_in = None if expires is None else length("--expires", expires)
    if handover.to_file is None and overwrite:
        raise CliError("--overwrite is for --to-file. Nothing was sent.")
    if handover.to_file is not None and not overwrite:
        # A store for a new file refuses to replace one that comes there meanwhile.
        overwrite = not _is_new(handover.to_file, key_id)
    place = handover.place(overwrite=overwrite)
    if place is None:
        raise CliError(
            "say where the new secret goes. Nothing was sent.",
            "Add --to-file FILE, --to-env-file FILE NAME, or, at the end, --to-command CMD...",
        )
    with common.client() as client:
        try:
            rotation = client.rotate(
                key_id, store=place.store, keep_old=keep_old, leftovers=leftovers, expires_in=expires_in
            )
        except KeyboardInterrupt as interruption:
            # The client says how far it came.
            notes = getattr(interruption, "__notes__", ["Both keys may be active."])
            raise CliError(
                f"interrupted. {' '.join(notes)}",
                "See which is in use, and deactivate the other one: "
                f"`api-keys list` says `(replaces {key_id}` of a new one.",
                ExitCode.INTERRUPTED,
            ) from interruption
    old = "active" if keep_old else "inactive"
    answer(
        {"old_id": rotation.old.id, "old_is_active": keep_old, "stored": place.name, "new": document_of(rotation.new)},
        [("old id", rotation.old.id), ("old state", old), ("new id", rotation.new.id), ("stored", place.name)],
        as_json=common.as_json,
    )
    if rotation.left_active and leftovers != "keep":
        remark(f"Left active, because their descriptions or roles are others: {', '.join(rotation.left_active)}")
    if keep_old:
        remark(f"When nothing uses the old key any more: api-keys deactivate {rotation.old.id}")
    return ExitCode.DONE


def _is_new(file: str, key_id: str) -> bool:
    """Tells whether a file is empty or not there; if not, it holds the secret of the key that is replaced.

    Raises:
        CliError: it holds anything else, which may be needed.
    """
    try:
        with open(file, "rb") as opened:
            is_empty = os.fstat(opened.fileno()).st_size == 0
            found = read_secret(opened)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise CliError(
            f"the FILE of --to-file cannot be read, so nothing was sent: {error.strerror}.", _NOT_SPARED
        ) from None
    owner = api_keys_client.key_id_from_secret(found)
    if not found or owner == key_id.lower():
        return is_empty
    if owner is None:
        raise CliError(
            f"{file} holds something else than the secret of the key to be replaced. Nothing was sent.", _NOT_SPARED
        )
    raise CliError(
        f"{file} holds the secret of another key, {owner}. Nothing was sent.",
        f"To replace that one: api-keys rotate {owner} --to-file {shlex.quote(file)}. {_NOT_SPARED}",
    )
