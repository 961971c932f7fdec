"""How a command ends: an exit code, and an error in the command line's own terms."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import api_keys_client

if TYPE_CHECKING:
    from api_keys_client import ApiKeysError

MAX_CAUSE = 300

# What errors call a client's arguments, and what these are on the command line.
_IN_OPTIONS = {
    "allow_http=True": "--allow-http",
    "timeout= and deadline=": "--timeout",
    "timeout=": "--timeout",
    "token=": "--token-file",
    'leftovers="deactivate" or "keep"': "--leftovers deactivate or keep",
    'leftovers=[the ids to deactivate] or "keep"': "--leftovers keep, then deactivate others by their ids",
    ", or call undo() on this error to end the new one": "",
}


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
    """Ends the command with a message, the next step, and an exit code."""

    def __init__(self, message: str, next_step: str = "", code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.next_step = next_step
        self.code = code


def cli_message(error: ApiKeysError | CliError) -> tuple[str, str]:
    """Gives what happened and what to do next, in the command line's own terms."""
    if isinstance(error, CliError):
        return str(error), error.next_step
    message, next_step = str(error.args[0]), error.next_step
    if isinstance(error, api_keys_client.RotationError) and error.__cause__ is not None:
        # A store says why it failed in an exception of its own, which holds no secret.
        cause = getattr(error.__cause__, "strerror", None) or str(error.__cause__)
        message = message.replace(
            f"store raised {type(error.__cause__).__name__}", f"storing failed ({cause[:MAX_CAUSE]})"
        )
    for in_python, here in _IN_OPTIONS.items():
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
