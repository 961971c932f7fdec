"""Profiles: a name for an engine, its token and other settings, in a file in the user's own folder."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple

import platformdirs

import api_keys_client
from api_keys_client.cli.errors import CliError
from api_keys_client.cli.files import check_writers

_KINDS: dict[str, tuple[type | UnionType, str]] = {
    "base_url": (str, "string"),
    "token_file": (str, "string"),
    "token_command": (list, "list of strings"),
    "ca_file": (str, "string"),
    "proxy": (str, "string"),
    "timeout": (int | float, "number of seconds"),
}
_SETTINGS = "base_url, token_file or token_command, ca_file, proxy and timeout"


class Profile(NamedTuple):
    """What a profile says; one of `token_file` and `token_command` is set, and paths are absolute."""

    name: str
    base_url: str
    token_file: str | None = None
    token_command: list[str] | None = None
    ca_file: str | None = None
    proxy: str | None = None
    timeout: float | None = None


def config_path() -> Path:
    """Gives the file of the profiles: API_KEYS_CONFIG, else `config.toml` in the user's configuration folder."""
    named = os.environ.get("API_KEYS_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("api-keys", appauthor=False) / "config.toml"


def profile_names() -> list[str]:
    """Gives the names of the profiles that there are.

    Raises:
        CliError: the file cannot be used.
    """
    return [*_read(config_path())]


def load_profile(name: str) -> Profile:
    """Gives the profile of this name.

    Raises:
        CliError: there is none, or it cannot be used; the name is not repeated, as it may be anything.
    """
    path = config_path()
    profiles = _read(path)
    if name not in profiles:
        known = f"has {', '.join(profiles)}" if profiles else "has no profile, or is not there"
        raise CliError(f"there is no such profile: {path} {known}. Nothing was sent.", "List them: api-keys config")
    settings = profiles[name]
    if problem := _problem(settings):
        raise CliError(f"profile {name} in {path} {problem}. Nothing was sent.", f"A profile has {_SETTINGS}.")
    for setting in ("token_file", "ca_file"):
        if setting in settings:
            # A profile means the same in every working folder.
            settings[setting] = str(path.absolute().parent / os.path.expanduser(settings[setting]))
    return Profile(name, **settings)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as opened:
            found = os.fstat(opened.fileno())
            check_writers(found, str(path))
            check_writers(path.parent.stat(), str(path.parent))
            if os.name == "posix" and found.st_uid not in (0, os.geteuid()):
                raise CliError(f"{path} belongs to another user, so it was not used. Nothing was sent.")
            profiles = tomllib.load(opened).get("profiles", {})
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}. Nothing was sent.") from None
    except (ValueError, RecursionError):
        # Not the parser's own message, which may repeat a value.
        raise CliError(f"{path} is no TOML. Nothing was sent.", "A profile begins with [profiles.NAME].") from None
    if not isinstance(profiles, dict) or not all(isinstance(each, dict) for each in profiles.values()):
        raise CliError(f"{path} has profiles that are no tables. Nothing was sent.", "One begins with [profiles.NAME].")
    return profiles


def _problem(settings: dict[str, Any]) -> str | None:
    """Says why a profile cannot be used, without a value of it; None if it can."""
    for name, value in settings.items():
        if name not in _KINDS:
            return f"holds {name}, which is no setting of one"
        expected, kind = _KINDS[name]
        if not isinstance(value, expected) or isinstance(value, bool):
            return f"has a {name} that is no {kind}"
        words = value if isinstance(value, list) else [value]
        if any(isinstance(word, str) and api_keys_client.key_id_from_secret(word) for word in words):
            return f"has the secret of a key in {name}, which is for its owner only: keep it elsewhere"
        if name in ("base_url", "proxy") and "@" in str(value):
            return f"has a user or a password in {name}"
    if not settings.get("base_url"):
        return "has no base_url"
    if bool(settings.get("token_file")) == bool(settings.get("token_command")):
        # A token from elsewhere may be another engine's.
        return "says where its token comes from not at all or twice"
    return None
