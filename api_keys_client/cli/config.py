"""`api-keys config`: which settings count, and where each of them comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from api_keys_client.cli.common import CommonOptions, command
from api_keys_client.cli.errors import ExitCode
from api_keys_client.cli.output import answer, in_colour

if TYPE_CHECKING:
    from api_keys_client import ApiKeysClient

NO_TOKEN = "none"  # noqa: S105  # sent where the real token must not go


class Setting(NamedTuple):
    """A setting's name, its value as it is shown (never a secret), and where that comes from."""

    name: str
    value: str
    source: str


def settings_of(common: CommonOptions, client: ApiKeysClient) -> dict[str, Setting]:
    """Gives the settings that count, by their names; the client is one that they made."""
    profile = common.profile
    named = f"profile {profile.name}" if profile else ""
    configuration = client.generated.api_client.configuration
    program = profile.token_command[0] if profile and profile.token_command else None
    scheme = configuration.host.partition(":")[0]
    # In Python's own order: lower case first.
    proxies = [each for name in (f"{scheme}_proxy", "all_proxy") for each in (name, name.upper())]
    # The possible values of each setting and their sources: the first that is set counts.
    candidates: dict[str, list[tuple[str | float | None, str]]] = {
        "profile": [(profile and profile.name, "--profile" if common.profile_name else "API_KEYS_PROFILE")],
        "base_url": [
            (common.base_url, "--base-url"),
            (profile and profile.base_url, named),
            (os.environ.get("API_KEYS_BASE_URL"), "API_KEYS_BASE_URL"),
            (configuration.host, "default"),
        ],
        "token": [
            (_shown(common.token_file), "--token-file"),
            (profile and profile.token_file, named),
            (program and f"what {program} prints", named),
            *(("set", name) for name in ("API_KEYS_TOKEN", "BEARER_TOKEN") if os.environ.get(name)),
            ("missing", "default"),
        ],
        "ca_file": [
            (profile and profile.ca_file, named),
            *((os.environ.get(name), name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")),
            ("the system's authorities", "default"),
        ],
        "proxy": [
            (
                configuration.proxy,
                named if profile and profile.proxy else next(filter(os.environ.get, proxies), "system"),
            ),
            ("none", named if profile and profile.proxy == "" else "default"),
        ],
        "timeout": [(common.timeout, "--timeout"), (profile and profile.timeout, named), (60, "default")],
    }
    settings: dict[str, Setting] = {}
    for name, possible in candidates.items():
        for value, source in possible:
            if value and name not in settings:
                settings[name] = Setting(name, f"{value:g} s" if isinstance(value, (int, float)) else value, source)
    return settings


def _shown(path: str | None) -> str | None:
    """Gives the path of a file that is there: anything else may be a secret in the wrong place."""
    return path if path is None or os.path.exists(path) else "a file that is not there"


@command("config")
def config(common: CommonOptions) -> ExitCode:
    """Show which settings count, where each comes from, and which profiles there are. Nothing is sent."""
    # Late: only a profile needs it otherwise, and it reads TOML.
    from api_keys_client.cli.profiles import config_path, profile_names

    names = profile_names()
    with common.client(NO_TOKEN) as client:
        settings = settings_of(common, client)
    path = str(config_path())
    rows = [
        *settings.values(),
        Setting("file", path, "API_KEYS_CONFIG" if os.environ.get("API_KEYS_CONFIG") else "default"),
        Setting("profiles", ", ".join(names) or "none", "file"),
    ]
    answer(
        {
            "settings": {
                name: {"value": setting.value, "source": setting.source} for name, setting in settings.items()
            },
            "file": path,
            "profiles": names,
        },
        rows,
        lambda _: (in_colour((f"{name:<10}", "dim"), value, (f"  ({source})", "dim")) for name, value, source in rows),
        as_json=common.as_json,
    )
    return ExitCode.DONE
