"""The program: its commands, what is checked before one of them runs, and how a run ends."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

import api_keys_client
from api_keys_client.cli.commands import get, list_keys, run_sandbox, show_version
from api_keys_client.cli.completion import completion_options
from api_keys_client.cli.config import config
from api_keys_client.cli.create import create
from api_keys_client.cli.deactivate import deactivate
from api_keys_client.cli.doctor import doctor
from api_keys_client.cli.errors import CliError, ExitCode, cli_message
from api_keys_client.cli.output import complain, drop_unwritten
from api_keys_client.cli.rotate import rotate
from api_keys_client.cli.sweep import sweep

PROGRAM = "api-keys"


def run(arguments: Sequence[str]) -> int:
    """Runs the command that the arguments name, and gives its exit code."""
    if sys.stderr is None:
        # It was closed (2>&-): nobody wants to read errors.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for as long as the program runs
    if sys.stdout is None:
        complain("stdout is closed, so the answer would be lost. Nothing was sent.", "If it is not needed: > /dev/null")
        return ExitCode.USAGE
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A description may hold what the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    try:
        return _main(_prepared(arguments) or ["--help"])
    except CliError as stop:
        complain(*cli_message(stop))
        return stop.code
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            complain(f"the answer could not be written: {error.strerror}.")
        return ExitCode.FAILED
    finally:
        drop_unwritten()


def _main(arguments: list[str]) -> int:
    try:
        return int(_program.main(arguments, prog_name=PROGRAM, standalone_mode=False) or 0)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        raise CliError(_problem(error), f"Try: {path} --help") from None
    except click.Abort:
        return ExitCode.INTERRUPTED


def _problem(error: click.UsageError) -> str:
    """Says what is wrong with the command line, but not what was typed: that may be a secret in the wrong place."""
    if isinstance(error, click.NoSuchOption):
        offer = f" Did you mean {' or '.join(error.possibilities)}?" if error.possibilities else ""
        return f"there is no such option.{offer}"
    if isinstance(error, (click.MissingParameter, click.BadOptionUsage)):
        # These messages name an option or argument of ours, and nothing that was typed.
        return " ".join(error.format_message().split())
    if isinstance(error, click.BadParameter):
        choices = getattr(error.param and error.param.type, "choices", None)
        option = error.param.opts[0] if error.param else "an option"
        return f"{option} takes one of {', '.join(choices)}." if choices else f"{option} takes a number."
    if error.ctx is None or isinstance(error.ctx.command, click.Group):
        return f"the first word is none of the commands: {', '.join(_program.commands)}."
    return f"these are more arguments than {error.ctx.command_path} takes."


def _prepared(arguments: Sequence[str]) -> list[str]:
    """Refuses a token among the arguments, and puts `--` before the words of --to-command."""
    prepared: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--token" or argument.startswith("--token="):
            raise CliError(
                "--token is refused: other users can see it in the list of processes, and the shell keeps it.",
                "Set API_KEYS_TOKEN, or name a file that only you can read: --token-file FILE",
            )
        prepared.append(argument)
        if argument == "--":
            return [*prepared, *arguments[index + 1 :]]
        if argument == "--to-command":
            rest = arguments[index + 1 :]
            # Without it click would take the command's own options for ours.
            return [*prepared, *([] if rest[:1] == ["--"] else ["--"]), *rest]
    return prepared


class _InOrder(click.Group):
    """Lists the commands as they were added, the most needed first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"More: `{PROGRAM} COMMAND --help`. The token comes from API_KEYS_TOKEN or a file, never an argument.",
)
@click.version_option(api_keys_client.__version__, message=f"{PROGRAM} %(version)s", help="Show the version and exit.")
@completion_options
def _program() -> None:
    """The API keys of an Arthur GenAI Engine, from a terminal."""


for _command in (list_keys, get, create, deactivate, rotate, sweep, config, doctor, run_sandbox, show_version):
    _program.add_command(_command)
