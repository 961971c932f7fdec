"""`api-keys doctor`: whether the engine can be reached and used, and what to do if not."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import api_keys_client
from api_keys_client.cli.common import CommonOptions, command
from api_keys_client.cli.config import NO_TOKEN, Setting, settings_of
from api_keys_client.cli.errors import CliError, ExitCode, cli_message, code_of
from api_keys_client.cli.output import Document, answer, clean, in_colour

if TYPE_CHECKING:
    from rich.table import Table

    from api_keys_client import ApiKeyResponse, ApiKeysClient, ApiKeysError

ENGINE_VERSION = "2.1.686"
"""The version of the engine that the contract was read from."""
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
MAX_VERSION = 40
MAX_SECONDS = 10.0

# In the engine's own document; its operator sets the number.
_LIMIT = re.compile(r"Up to ([0-9]{1,9}) active keys")
_COLOURS = {"ok": "green", "note": "yellow", "unknown": "yellow", "failed": "bold red"}
_WORKS = "Nothing, as long as the commands work"

Active: TypeAlias = "list[ApiKeyResponse] | ApiKeysError"


class Check(NamedTuple):
    """One line of the answer."""

    name: str
    state: str
    found: str
    next_step: str = ""
    code: ExitCode = ExitCode.DONE


@command("doctor")
def doctor(common: CommonOptions) -> ExitCode:
    """See whether the engine can be used, and what to do if not.

    Checks the settings, the way to the engine, TLS, the token, the engine's version, and how many keys are active.
    """
    facts: Document = {
        "base_url": None,
        "engine_version": None,
        "expected_engine_version": ENGINE_VERSION,
        "active_keys": None,
    }
    checks = list(_examine(common, facts))
    document = facts | {
        "checks": [
            {"name": check.name, "state": check.state, "found": check.found, "next_step": check.next_step or None}
            for check in checks
        ]
    }
    answer(document, [check[:4] for check in checks], lambda _: [_table(checks)], as_json=common.as_json)
    return max(check.code for check in checks)


def _examine(common: CommonOptions, facts: Document) -> Iterator[Check]:
    """Makes one check after the other, as far as they make sense, and fills in the facts."""
    unset: CliError | ApiKeysError | None = None
    try:
        client = common.client()
    except (CliError, api_keys_client.ConfigurationError) as error:
        unset = error
        try:
            # If only the token is missing, the rest can be looked at without it.
            client = common.client(NO_TOKEN)
        except (CliError, api_keys_client.ConfigurationError):
            yield _failed("settings", error, "Correct it, and try again.")
            return
    with client:
        facts["base_url"] = url = client.generated.api_client.configuration.host
        yield from _settings(url, settings_of(common, client))
        began = time.monotonic()
        active = _list(client)
        if isinstance(active, api_keys_client.ConfigurationError):
            # A command gave no token: as if it were missing.
            unset, began = active, time.monotonic()
            active = _list(client.with_options(token=NO_TOKEN))
        yield from _way(url, active, time.monotonic() - began, plain_is_allowed=common.allow_http)
        if isinstance(active, api_keys_client.ApiConnectionError):
            return
        advice = "" if common.profile else "Set API_KEYS_TOKEN, or give --token-file FILE: the engine's admin key."
        yield _failed("token", unset, advice) if unset else _token(active)
        seconds = min(MAX_SECONDS, common.timeout or MAX_SECONDS)
        # An engine that has just been started takes seconds for its document, but not for its health.
        health, _ = _ask(client, "/health", seconds)
        document, why = _ask(client, "/openapi.json", seconds)
    match health, document:
        case ({"build_version": str(version)}, _) | (_, {"info": {"version": str(version)}}):
            facts["engine_version"] = clean(version[:MAX_VERSION])
    yield _version(facts["engine_version"], why)
    if isinstance(active, list):
        facts["active_keys"] = len(active)
        found = _LIMIT.search(json.dumps(document))
        yield _keys(len(active), int(found[1]) if found else None)
        yield from _lifetimes(active)


def _list(client: ApiKeysClient) -> Active:
    try:
        return client.with_options(max_attempts=1).list()
    except api_keys_client.ApiKeysError as error:
        return error


def _failed(name: str, error: ApiKeysError | CliError, next_step: str = "") -> Check:
    message, advice = cli_message(error)
    return Check(name, "failed", message.removeprefix("list: "), next_step or advice, code_of(error))


def _settings(url: str, settings: Mapping[str, Setting]) -> Iterator[Check]:
    if profile := settings.get("profile"):
        yield Check("profile", "ok", f"{profile.value}, from {profile.source}", "See what it says: api-keys config")
    if settings["base_url"].source == "default":
        advice = "If the engine is elsewhere, set API_KEYS_BASE_URL, or give --base-url URL."
        yield Check("address", "note", f"{url}, the default", advice)
    else:
        yield Check("address", "ok", url)
    _, proxy, source = settings["proxy"]
    if proxy != "none":
        advice = "To go past it, put the engine's host into NO_PROXY."
        yield Check("proxy", "note", f"{proxy}, from {source}", advice)


def _way(url: str, active: Active, seconds: float, *, plain_is_allowed: bool) -> Iterator[Check]:
    """Tells whether an engine answers at the address, and over what."""
    if isinstance(active, api_keys_client.ApiConnectionError):
        if active.kind == "not_tls":
            plain = url.replace("https:", "http:", 1)
            yield _failed("tls", active, f"This port does not speak TLS. Is the engine at {plain}?")
        elif active.kind in ("tls", "tls_refused", "tls_untrusted"):
            yield _failed("tls", active, _trust_advice(str(active)))
        else:
            yield _failed("reachable", active)
        return
    if isinstance(active, list) or _is_denied(active):
        yield Check("reachable", "ok", f"answered in {1000 * seconds:.0f} ms")
    else:
        yield _failed("reachable", active)
    if url.startswith("https:"):
        yield Check("tls", "ok", "the certificate verifies")
    elif plain_is_allowed:
        yield Check("tls", "note", "plain http: the token can be read on the way", "Use https, if the engine has it.")
    else:
        yield Check("tls", "ok", "not needed: the engine is on this machine")


def _trust_advice(problem: str) -> str:
    if "Authority Key Identifier" in problem:
        return "Python 3.13 and newer take no such certificate: have it issued anew, with that identifier."
    if os.environ.get("SSL_CERT_FILE"):
        return "See that SSL_CERT_FILE holds this certificate's authority; otherwise someone may be in between."
    return (
        "If the certificate comes from an authority of your own, name its file: SSL_CERT_FILE=/path/to/authority.pem; "
        "otherwise someone may be in between."
    )


def _is_denied(error: ApiKeysError) -> bool:
    return isinstance(error, (api_keys_client.AuthenticationError, api_keys_client.PermissionDeniedError))


def _token(active: Active) -> Check:
    if isinstance(active, list):
        return Check("token", "ok", "accepted")
    if _is_denied(active):
        return _failed("token", active)
    return Check("token", "unknown", "the engine did not get to look at it")


def _version(version: str | None, why: str) -> Check:
    expected = f"this program was written for {ENGINE_VERSION}"
    if version is None:
        why = why or "/openapi.json is something else"
        return Check("version", "unknown", f"not told ({why}); {expected}", f"{_WORKS}.")
    if version == ENGINE_VERSION:
        return Check("version", "ok", f"{version}, which this program was written for")
    advice = f"{_WORKS}; if one meets an unexpected answer, update api-keys-client."
    return Check("version", "note", f"{version}; {expected}", advice)


def _keys(count: int, limit: int | None) -> Check:
    if limit is None:
        return Check("keys", "ok", f"{count} active; the engine does not say how many it allows")
    if count < 0.9 * limit:
        return Check("keys", "ok", f"{count} active of {limit}", "See them: api-keys list" if count else "")
    return Check("keys", "note", f"{count} active of {limit}", "Deactivate those that nothing uses any more.")


def _lifetimes(active: list[ApiKeyResponse]) -> Iterator[Check]:
    now = datetime.now(UTC)
    lives = [api_keys_client.lifetime(record) for record in active]
    expired = sum(life.expired(now) for life in lives)
    endless = sum(life.ends is None for life in lives)
    if expired:
        yield Check("lifetimes", "note", f"{expired} expired, {endless} without an end", "End them: api-keys sweep")
    elif active:
        yield Check("lifetimes", "ok", f"none expired, {endless} without an end")


def _ask(client: ApiKeysClient, path: str, seconds: float) -> tuple[Any, str]:
    """Gives what the engine says at a path, or why it could not be had; not sent the token, as anyone may read it."""
    api: Any = client.with_options(token=NO_TOKEN, timeout=seconds).generated.api_client
    try:
        with api.call_api("GET", f"{api.configuration.host}{path}").response as response:
            if response.status != 200:
                return None, f"{path} is answered {response.status}"
            return json.loads(response.read(MAX_DOCUMENT_BYTES + 1)), ""
    except (ValueError, RecursionError):
        return None, f"{path} is something else"
    except Exception as error:
        # Whatever the libraries raise, only this line is lost.
        return None, f"asking for {path} failed: {type(error).__name__}"


def _table(checks: Iterable[Check]) -> Table:
    # Late: only a terminal needs it.
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for check in checks:
        grid.add_row(in_colour((check.state, _COLOURS[check.state])), check.name, in_colour(check.found))
        if check.next_step:
            grid.add_row("", "", in_colour((check.next_step, "dim")))
    return grid
