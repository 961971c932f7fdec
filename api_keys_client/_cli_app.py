"""The program: its commands as typer takes them, and the way from whatever ends one to an exit code."""

from __future__ import annotations

import inspect
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import partial, wraps
from typing import Annotated, Any, cast

import typer

import api_keys_client
from api_keys_client._cli_commands import get, list_keys, run_sandbox, show_version
from api_keys_client._cli_create import create
from api_keys_client._cli_deactivate import deactivate
from api_keys_client._cli_doctor import doctor
from api_keys_client._cli_rotate import rotate
from api_keys_client._cli_screen import Screen, clean, give_up_stdout
from api_keys_client._cli_session import ExitCode, Session, Stop, code_of, explained

PROGRAM = "api-keys"

# Typer does not export the parent of all errors about what was typed.
_UsageError = cast("type[Exception]", typer.BadParameter.__base__)
# Longer than an id: a secret may have been typed in the place of one.
_LONG = re.compile(r"[\w=+-]{37,}")


def run(arguments: Sequence[str]) -> int:
    """Runs the command that the arguments name, and gives its exit code."""
    if sys.stderr is None:
        # Its reader wants no remarks.
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
            return run(arguments)
    if sys.stdout is None:
        Screen(as_json=False).complain(
            "stdout is closed, so the answer would be lost. Nothing was sent.", "If it is not needed: > /dev/null"
        )
        return ExitCode.USAGE
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A description may hold what the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    try:
        return _main(_prepared(arguments) or ["--help"])
    except Stop as stop:
        Screen(as_json=False).complain(str(stop), stop.next_step)
        return stop.code


def _main(arguments: list[str]) -> int:
    command = _light(typer.main.get_command(_build()))
    try:
        return int(command.main(arguments, prog_name=PROGRAM, standalone_mode=False) or 0)
    except _UsageError as error:
        context: Any = getattr(error, "ctx", None)
        message = " ".join(cast("Any", error).format_message().split())
        raise Stop(_LONG.sub("[…]", message), f"Try: {context.command_path if context else PROGRAM} --help") from None
    except typer.Abort:
        return ExitCode.INTERRUPTED


def _prepared(arguments: Sequence[str]) -> list[str]:
    """The arguments, once it is seen that no token is among them, with the words of a command kept together."""
    prepared: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--token" or argument.startswith("--token="):
            raise Stop(
                "--token is refused: other users can see it in the list of processes, and the shell keeps it.",
                "Set API_KEYS_TOKEN, or name a file that only you can read: --token-file FILE",
            )
        prepared.append(argument)
        if argument == "--":
            return [*prepared, *arguments[index + 1 :]]
        if argument == "--to-command":
            rest = arguments[index + 1 :]
            # Or the command's own options would be taken for ours.
            return [*prepared, *([] if rest[:1] == ["--"] else ["--"]), *rest]
    return prepared


def _build() -> typer.Typer:
    app = typer.Typer(
        help="The API keys of an Arthur GenAI Engine, from a terminal.",
        # Rich's boxes would go into pipes too.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=f"More: `{PROGRAM} COMMAND --help`. The token comes from API_KEYS_TOKEN or a file, never an argument.",
    )
    app.callback()(_options)
    app.command("list")(_answering(list_keys))
    for command in (get, create, deactivate, rotate, doctor):
        app.command()(_answering(command))
    # The sandbox reads its arguments by itself.
    app.command(
        "sandbox",
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(run_sandbox)
    app.command("version")(show_version)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{PROGRAM} {api_keys_client.__version__}\n")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """The options that stand before a command."""


def _answering(work: Callable[..., ExitCode]) -> Callable[..., int]:
    """A command as typer takes it: with the options of a session in the session's place."""
    shared = inspect.signature(Session, eval_str=True).parameters
    own = [each for each in inspect.signature(work, eval_str=True).parameters.values() if each.name != "session"]

    @wraps(work)
    def command(**given: Any) -> int:
        session = Session(**{name: given.pop(name) for name in shared})
        try:
            return work(session, **given)
        except (Exception, KeyboardInterrupt) as error:
            return _told(error, session)

    command.__signature__ = inspect.Signature([*own, *shared.values()])  # type: ignore[attr-defined]
    return command


def _told(error: Exception | KeyboardInterrupt, session: Session) -> int:
    """Says what went wrong, and gives its exit code."""
    if session.debug:
        # Without locals, and each line made harmless.
        for line in "".join(traceback.format_exception(error)).splitlines():
            sys.stderr.write(clean(line) + "\n")
    complain = session.screen.complain
    if isinstance(error, KeyboardInterrupt):
        complain("interrupted.")
        return ExitCode.INTERRUPTED
    if isinstance(error, Stop):
        complain(str(error), error.next_step)
        return error.code
    if isinstance(error, api_keys_client.ApiKeysError):
        complain(*explained(error))
        return code_of(error)
    if isinstance(error, OSError):
        give_up_stdout()
        if not isinstance(error, BrokenPipeError):
            complain(f"the answer could not be written: {error.strerror}.")
        return ExitCode.FAILED
    complain(f"this should not happen: {type(error).__name__}.", "Run it again with --debug, and report what it shows.")
    return ExitCode.FAILED


def _nothing(**_: Any) -> str:
    return ""


def _plain(original: Callable[[Any], list[str]], context: Any) -> list[str]:
    return [piece.strip("{}") for piece in original(context)]


def _light(command: Any) -> Any:
    """Keeps typer from loading pydantic where nothing is given, and from telling of Python's types in help."""

    def process(original: Callable[[Any, Any], Any], parameter: Any, context: Any, value: Any) -> Any:
        if context.resilient_parsing:
            return value
        if value is None and not parameter.required:
            return () if parameter.nargs == -1 or getattr(parameter, "multiple", False) else None
        return original(context, value)

    def parameters(original: Callable[[Any], list[Any]], context: Any) -> list[Any]:
        found = original(context)
        for parameter in found:
            if not isinstance(parameter.process_value, partial):
                parameter.process_value = partial(process, parameter.process_value, parameter)
                if parameter.param_type_name == "argument":
                    # Only what it is called: typer adds braces, and the types that it has in Python.
                    parameter.display_type_rich = _nothing
                    parameter.get_usage_pieces = partial(_plain, parameter.get_usage_pieces)
        return found

    for part in (command, *command.commands.values()):
        # Only here is the option --help among them.
        part.get_params = partial(parameters, part.get_params)
    return command
