"""Where a command puts a new secret: a file, one variable of a dotenv file, or the standard input of a program."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

import api_keys_client
from api_keys_client.cli.errors import CliError
from api_keys_client.cli.files import check_file

if TYPE_CHECKING:
    from api_keys_client import CreatedKey

_OPTIONS = (
    click.argument("words", metavar="[CMD]...", nargs=-1),
    click.option("--to-file", "--output", metavar="FILE", help="Write the secret to a file that holds nothing else."),
    click.option("--to-env-file", nargs=2, metavar="FILE NAME", help="Write it to one variable of a dotenv file."),
    click.option(
        "--to-command", is_flag=True, help="Give it to the command that follows, on its standard input. Comes last."
    ),
)


class Place(NamedTuple):
    """A store, and what messages call it."""

    store: Callable[[CreatedKey], None]
    name: str


class Handover(NamedTuple):
    """What was typed about where a secret goes."""

    words: tuple[str, ...]
    to_file: str | None
    to_env_file: tuple[str, str] | None
    to_command: bool

    def place(self, *, overwrite: bool) -> Place | None:
        """Gives the place that was asked for, if one was.

        Raises:
            CliError: more than one was, or no secret can be kept there.
        """
        asked = (self.to_file is not None) + (self.to_env_file is not None) + self.to_command
        if asked > 1:
            raise CliError("say where the new secret goes, to one place. Nothing was sent.")
        if self.to_command and not self.words:
            raise CliError("--to-command comes last, with the command after it. Nothing was sent.")
        if self.words and not self.to_command:
            raise CliError("one id at a time; a command is given with --to-command, at the end. Nothing was sent.")
        if not asked:
            return None
        # Late, as all that --help does not need.
        from api_keys_client import stores

        if self.to_file is not None:
            check_file("--to-file", self.to_file, instead="To give the secret to a command: --to-command CMD...")
            store = _named_store("--to-file", self.to_file, partial(stores.file, overwrite=overwrite))
            return Place(store, self.to_file)
        if self.to_env_file is not None:
            path, name = self.to_env_file
            return Place(_named_store("--to-env-file", path, partial(stores.env_file, name=name)), f"{name} in {path}")
        if shutil.which(self.words[0]) is None:
            raise CliError("there is no such program to give the secret to. Nothing was sent.")
        return Place(stores.command(list(self.words)), self.words[0])


def handover_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say where a secret goes, which the function gets as one `handover`."""

    @wraps(function)
    def with_handover(*common: Any, **given: Any) -> Any:
        handover = Handover(**{name: given.pop(name) for name in Handover._fields})
        return function(*common, handover=handover, **given)

    for option in reversed(_OPTIONS):
        with_handover = option(with_handover)
    return with_handover


def _named_store(
    option: str, path: str, make: Callable[[str], Callable[[CreatedKey], None]]
) -> Callable[[CreatedKey], None]:
    """Makes a store whose errors say "the FILE of" an option, not the path: that may be a secret in the wrong place.

    Raises:
        CliError: no secret can be kept there.
    """
    absolute = path
    # Their errors have the absolute path; without a working folder there is none.
    with suppress(OSError):
        absolute = str(Path(path).absolute())

    def without_path(error: Exception) -> str:
        return str(error.args[0]).replace(absolute, f"the FILE of {option}", 1)

    try:
        store = make(path)
    except api_keys_client.InvalidRequestError as error:
        raise CliError(f"{without_path(error)} Nothing was sent.") from None

    def keep(new: CreatedKey) -> None:
        try:
            store(new)
        except api_keys_client.NotStored as error:
            raise api_keys_client.NotStored(without_path(error)) from None

    return keep
