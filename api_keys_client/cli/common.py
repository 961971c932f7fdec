"""What all commands share: the common options, the client that these make, and the report of an error."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any

import click

import api_keys_client
from api_keys_client.cli.errors import CliError, ExitCode, cli_message, code_of
from api_keys_client.cli.files import read_token
from api_keys_client.cli.output import clean, complain

if TYPE_CHECKING:
    from pydantic import SecretStr

    from api_keys_client import ApiKeysClient
    from api_keys_client.cli.profiles import Profile


@dataclass
class CommonOptions:
    """The options that every command has, and the client that they make."""

    base_url: str | None
    token_file: str | None
    profile_name: str | None
    timeout: float | None
    allow_http: bool
    as_json: bool
    debug: bool

    @cached_property
    def profile(self) -> Profile | None:
        """Gives the profile that was named, if one was.

        Raises:
            CliError: it cannot be used, or the URL would come from it and the token from elsewhere, or the reverse.
        """
        name = os.environ.get("API_KEYS_PROFILE") if self.profile_name is None else self.profile_name
        if not name:
            return None
        if (self.base_url is None) != (self.token_file is None):
            raise CliError(
                "with a profile, --base-url and --token-file go together, or a token could reach another engine. "
                "Nothing was sent.",
                "Give both or neither; to go without the profile: --profile ''",
            )
        # Late: few need it, and it reads TOML.
        from api_keys_client.cli.profiles import load_profile

        return load_profile(name)

    def client(self, token: str | None = None) -> ApiKeysClient:
        """Gives a client as the options, the profile and the environment want it, or with this token.

        Raises:
            CliError: the profile or the token's file cannot be used.
            ConfigurationError: a setting is missing or wrong.
        """
        profile = self.profile
        further: dict[str, Any] = {"ca_file": profile.ca_file, "proxy": profile.proxy} if profile else {}
        seconds = profile.timeout if profile and self.timeout is None else self.timeout
        if seconds is not None:
            further |= {"timeout": seconds, "deadline": seconds}
        return api_keys_client.ApiKeysClient(
            profile.base_url if profile and self.base_url is None else self.base_url,
            token=self._token(profile) if token is None else token,
            allow_http=self.allow_http,
            **further,
        )

    def _token(self, profile: Profile | None) -> SecretStr | Callable[[], SecretStr] | None:
        if self.token_file is not None:
            return read_token(self.token_file, "--token-file")
        if profile and profile.token_file is not None:
            return read_token(profile.token_file, "the profile's token_file")
        if profile and profile.token_command is not None:
            # Late, as all that --help does not need.
            from api_keys_client import tokens

            return tokens.command(profile.token_command)
        return None


_COMMON_OPTIONS = (
    click.Option(
        ["--base-url"], metavar="URL", help="Where the engine is; else API_KEYS_BASE_URL, else http://localhost."
    ),
    click.Option(
        ["--token-file"],
        metavar="FILE",
        help="Read the token from a file that others cannot write to; else from API_KEYS_TOKEN or BEARER_TOKEN.",
    ),
    click.Option(
        ["--profile", "profile_name"],
        metavar="NAME",
        help="A profile that says URL, token and more; else API_KEYS_PROFILE.",
    ),
    click.Option(["--timeout"], type=float, metavar="SECONDS", help="How long one call may take, in all; else 60."),
    click.Option(["--allow-http"], is_flag=True, help="Send the token over plain http to another host."),
    click.Option(["--json", "as_json"], is_flag=True, help="Answer with one JSON document on stdout."),
    click.Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
)


def command(name: str) -> Callable[[Callable[..., ExitCode]], click.Command]:
    """Makes a command out of a function that takes the common options and the command's own parameters."""

    def decorate(work: Callable[..., ExitCode]) -> click.Command:
        @wraps(work)
        def run(**given: Any) -> int:
            common = CommonOptions(**{field.name: given.pop(field.name) for field in fields(CommonOptions)})
            try:
                return work(common, **given)
            except OSError:
                # The answer could not be written: `app.run` reports that.
                raise
            except (Exception, KeyboardInterrupt) as error:
                return report_error(error, debug=common.debug)

        made = click.command(name)(run)
        made.params.extend(_COMMON_OPTIONS)
        return made

    return decorate


def report_error(error: Exception | KeyboardInterrupt, *, debug: bool) -> ExitCode:
    """Says what went wrong, and gives its exit code."""
    if debug:
        # Without locals, which may hold a secret.
        for line in "".join(traceback.format_exception(error)).splitlines():
            sys.stderr.write(clean(line) + "\n")
    if isinstance(error, KeyboardInterrupt):
        complain("interrupted.")
        return ExitCode.INTERRUPTED
    if isinstance(error, (CliError, api_keys_client.ApiKeysError)):
        complain(*cli_message(error))
        return code_of(error)
    complain(f"this should not happen: {type(error).__name__}.", "Run it again with --debug, and report what it shows.")
    return ExitCode.FAILED
