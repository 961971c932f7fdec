"""What a command works with: the client that its options make, and words and an exit code for whatever goes wrong."""

from __future__ import annotations

import os
import stat
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

import api_keys_client
from api_keys_client.cli.output import Output, clean, give_up_stdout

if TYPE_CHECKING:
    from pydantic import SecretStr

    from api_keys_client import ApiKeysClient, ApiKeysError

MAX_TOKEN_BYTES = 64 * 1024
MAX_CAUSE = 300

# What an error advises to write in Python, and what that is called here.
_IN_OPTIONS = (
    ("say allow_http=True", "say --allow-http"),
    ("give token=, or set", "give --token-file, or set"),
    ("as token= or API_KEYS_TOKEN", "with --token-file or API_KEYS_TOKEN"),
    ("from token= ", "from --token-file "),
    ("with timeout= and deadline=", "with --timeout"),
    ("timeout= is", "--timeout is"),
    ('leftovers="deactivate" or "keep"', "--leftovers deactivate or keep"),
    ('leftovers=[the ids to deactivate] or "keep"', "--leftovers keep, then deactivate others by their ids"),
    (", or call undo() on this error to end the new one", ""),
    ('; proxy="" goes without', ""),
)


class ExitCode(IntEnum):
    """How a command ended; of several failures, the highest."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DENIED = 3
    NOT_FOUND = 4
    UNREACHABLE = 5
    UNKNOWN = 6
    INTERRUPTED = 130
    TERMINATED = 143


class CliError(Exception):
    """Ends the command with these words, an advice, and an exit code."""

    def __init__(self, message: str, next_step: str = "", code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.next_step = next_step
        self.code = code


def check_file(option: str, path: str, *, instead: str) -> None:
    """Refuses what stands for a file and is none.

    Raises:
        CliError: it is empty, a folder, or the `-` of other programs.
    """
    if path == "-":
        raise CliError(f"{option} takes a file, and - is none. Nothing was sent.", instead)
    if not path:
        raise CliError(
            f"the FILE of {option} is empty. Nothing was sent.", "If it comes from a variable, see what it holds."
        )
    if os.path.isdir(path):
        raise CliError(f"the FILE of {option} is no file: it is a folder. Nothing was sent.", "Name a file in it.")


class CommonOptions:
    """What the options that every command has make: a client, and where to answer."""

    def __init__(
        self,
        *,
        base_url: str | None,
        token_file: str | None,
        timeout: float | None,
        allow_http: bool,
        as_json: bool,
        debug: bool,
    ) -> None:
        self.base_url = base_url
        self.token_file = token_file
        self.timeout = timeout
        self.allow_http = allow_http
        self.debug = debug
        self.output = Output(as_json=as_json)

    def client(self, token: str | None = None) -> ApiKeysClient:
        """Gives a client as the options and the environment want it, or with this token.

        Raises:
            Stop: the token file cannot be used.
            ConfigurationError: a setting is missing or wrong.
        """
        times: dict[str, Any] = {} if self.timeout is None else {"timeout": self.timeout, "deadline": self.timeout}
        return api_keys_client.ApiKeysClient(
            self.base_url,
            token=_read_token(self.token_file, self.output) if token is None and self.token_file is not None else token,
            allow_http=self.allow_http,
            **times,
        )


_COMMON_OPTIONS = (
    click.Option(
        ["--base-url"], metavar="URL", help="Where the engine is; else API_KEYS_BASE_URL, else http://localhost."
    ),
    click.Option(
        ["--token-file"],
        metavar="FILE",
        help="Read the token from a file that only you can read; else from API_KEYS_TOKEN or BEARER_TOKEN.",
    ),
    click.Option(["--timeout"], type=float, metavar="SECONDS", help="How long one call may take, in all; else 60."),
    click.Option(["--allow-http"], is_flag=True, help="Send the token over plain http to another host."),
    click.Option(["--json", "as_json"], is_flag=True, help="Answer with one JSON document on stdout."),
    click.Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
)


def command(name: str) -> Callable[[Callable[..., ExitCode]], click.Command]:
    """Makes a command out of a function that takes a session and the command's own parameters."""

    def decorate(work: Callable[..., ExitCode]) -> click.Command:
        @wraps(work)
        def run(
            base_url: str | None,
            token_file: str | None,
            timeout: float | None,
            allow_http: bool,
            as_json: bool,
            debug: bool,
            **own: Any,
        ) -> int:
            common = CommonOptions(
                base_url=base_url,
                token_file=token_file,
                timeout=timeout,
                allow_http=allow_http,
                as_json=as_json,
                debug=debug,
            )
            try:
                return work(common, **own)
            except (Exception, KeyboardInterrupt) as error:
                return report_error(error, common)

        made = click.command(name)(run)
        made.params.extend(_COMMON_OPTIONS)
        return made

    return decorate


def report_error(error: Exception | KeyboardInterrupt, common: CommonOptions) -> int:
    """Says what went wrong, and gives its exit code."""
    if common.debug:
        # Without locals, and each line made harmless.
        for line in "".join(traceback.format_exception(error)).splitlines():
            sys.stderr.write(clean(line) + "\n")
    complain = common.output.complain
    if isinstance(error, KeyboardInterrupt):
        complain("interrupted.")
        return ExitCode.INTERRUPTED
    if isinstance(error, CliError):
        complain(str(error), error.next_step)
        return error.code
    if isinstance(error, api_keys_client.ApiKeysError):
        complain(*cli_message(error))
        return code_of(error)
    if isinstance(error, OSError):
        give_up_stdout()
        if not isinstance(error, BrokenPipeError):
            complain(f"the answer could not be written: {error.strerror}.")
        return ExitCode.FAILED
    complain(f"this should not happen: {type(error).__name__}.", "Run it again with --debug, and report what it shows.")
    return ExitCode.FAILED


def _read_token(path: str, output: Output) -> SecretStr:
    # Late, as all that --help does not need.
    from pydantic import SecretStr

    check_file("--token-file", path, instead="To read the token from stdin: --token-file /dev/stdin")
    try:
        with open(path, "rb") as opened:
            found = os.fstat(opened.fileno())
            others = found.st_mode if os.name == "posix" and stat.S_ISREG(found.st_mode) else 0
            if others & 0o022:
                raise CliError(
                    "others can write to the FILE of --token-file, so it was not used. Nothing was sent.",
                    "Take that from them: chmod go-w FILE",
                )
            if others & 0o044:
                # As it is where Docker or Kubernetes mounts a secret, which nobody can change there.
                output.remark("others on this machine can read the FILE of --token-file.")
            return SecretStr(opened.read(MAX_TOKEN_BYTES).decode("utf-8", "replace").strip())
    except OSError as error:
        raise CliError(f"the FILE of --token-file cannot be read: {error.strerror}. Nothing was sent.") from None


def cli_message(error: ApiKeysError) -> tuple[str, str]:
    """Gives what happened and what to do next, in the command line's own terms."""
    message, next_step = str(error.args[0]), error.next_step
    if isinstance(error, api_keys_client.RotationError) and error.__cause__ is not None:
        # A store says why it failed in an exception of its own, which holds no secret.
        cause = getattr(error.__cause__, "strerror", None) or str(error.__cause__)
        message = message.replace(
            f"store raised {type(error.__cause__).__name__}", f"storing failed ({cause[:MAX_CAUSE]})"
        )
    for in_python, here in _IN_OPTIONS:
        message, next_step = message.replace(in_python, here), next_step.replace(in_python, here)
    return message, next_step


def code_of(error: ApiKeysError | CliError) -> ExitCode:
    """Gives the exit code that an error stands for."""
    if isinstance(error, CliError):
        return error.code
    if error.outcome == api_keys_client.Outcome.UNKNOWN:
        return ExitCode.UNKNOWN
    if isinstance(error, api_keys_client.InvalidRequestError):
        return ExitCode.USAGE if error.status is None else ExitCode.FAILED
    for kinds, code in (
        (api_keys_client.ConfigurationError, ExitCode.USAGE),
        ((api_keys_client.AuthenticationError, api_keys_client.PermissionDeniedError), ExitCode.DENIED),
        (api_keys_client.KeyNotFoundError, ExitCode.NOT_FOUND),
        (api_keys_client.ApiConnectionError, ExitCode.UNREACHABLE),
    ):
        if isinstance(error, kinds):
            return code
    return ExitCode.FAILED
