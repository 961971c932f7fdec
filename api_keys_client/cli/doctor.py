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
    from rich.console import RenderableType

    from api_keys_client import ApiKeyResponse, ApiKeysClient, ApiKeysError

ENGINE_VERSION = "2.1.686"
"""The version of the engine that the contract was read from."""
_LIMIT = re.compile(r"Up to ([0-9]{1,9}) active keys")
"""Where the engine's own document says how many keys can be active; its operator sets that."""

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
VERSION_MOST = 40
SECONDS_MOST = 10.0

_ADDRESS = "If the engine is elsewhere, set API_KEYS_BASE_URL, or give --base-url URL."
_TRUST = (
    "If the certificate comes from an authority of your own, name its file: SSL_CERT_FILE=/path/to/authority.pem; "
    "otherwise someone may be in between."
)

_PLAIN = "This port does not speak TLS. Is the engine at http:{}?"

_COLOURS = {"ok": "green", "note": "yellow", "unknown": "yellow", "failed": "bold red"}


Active: TypeAlias = "list[ApiKeyResponse] | ApiKeysError"


class Check(NamedTuple):
    """One line of the answer."""

    name: str
    state: str
    found: str
    next_step: str = ""
    code: ExitCode = ExitCode.DONE


class Findings:
    """What was found so far."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.base_url: str | None = None
        self.engine_version: str | None = None
        self.active_keys: int | None = None

    def add(self, name: str, state: str, found: str, next_step: str = "", code: ExitCode = ExitCode.DONE) -> None:
        self.checks.append(Check(name, state, found, next_step, code))

    def failed(self, name: str, error: ApiKeysError | CliError, next_step: str = "") -> None:
        message, advice = (str(error), error.next_step) if isinstance(error, CliError) else cli_message(error)
        self.add(name, "failed", message.removeprefix("list: "), next_step or advice, code_of(error))

    def document(self) -> Document:
        return {
            "base_url": self.base_url,
            "engine_version": self.engine_version,
            "expected_engine_version": ENGINE_VERSION,
            "active_keys": self.active_keys,
            "checks": [
                {"name": check.name, "state": check.state, "found": check.found, "next_step": check.next_step or None}
                for check in self.checks
            ],
        }


@command("doctor")
def doctor(common: CommonOptions) -> ExitCode:
    """See whether the engine can be used, and what to do if not.

    Checks the settings, the way to the engine, TLS, the token, the engine's version, and how many keys are active.
    """
    findings = Findings()
    _examine(common, findings)
    rows = [check[:4] for check in findings.checks]
    answer(findings.document(), rows, lambda _: _view(findings.checks), as_json=common.as_json)
    return max(check.code for check in findings.checks)


def _examine(common: CommonOptions, findings: Findings) -> None:
    unset: CliError | ApiKeysError | None = None
    try:
        client = common.client()
    except (CliError, api_keys_client.ConfigurationError) as error:
        unset = error
        try:
            # If only the token is missing, the rest can be looked at without it.
            client = common.client(NO_TOKEN)
        except (CliError, api_keys_client.ConfigurationError):
            findings.failed("settings", error, "Correct it, and try again.")
            return
    with client:
        findings.base_url = client.generated.api_client.configuration.host
        _settings(findings, settings_of(common, client))
        began = time.monotonic()
        try:
            active: Active = client.with_options(max_attempts=1).list()
        except api_keys_client.ApiKeysError as error:
            active = error
        _way(findings, active, time.monotonic() - began, plain_is_allowed=common.allow_http)
        if isinstance(active, api_keys_client.ApiConnectionError):
            return
        _token(findings, active, unset)
        seconds = min(SECONDS_MOST, common.timeout or SECONDS_MOST)
        # The first is answered at once, the second after seconds, by an engine that has just been started.
        health = _ask(client, "/health", seconds)
        document = _ask(client, "/openapi.json", seconds)
        _version(findings, health, document)
    if isinstance(active, list):
        _keys(findings, len(active), document.limit())
        _lifetimes(findings, active)


def _settings(findings: Findings, settings: Mapping[str, Setting]) -> None:
    """Tells the profile, where the engine is, and which proxy the requests go through, if there is one."""
    if profile := settings.get("profile"):
        findings.add("profile", "ok", f"{profile.value}, from {profile.source}", "See what it says: api-keys config")
    if settings["base_url"].source == "default":
        findings.add("address", "note", f"{findings.base_url}, the default", _ADDRESS)
    else:
        findings.add("address", "ok", str(findings.base_url))
    _, proxy, source = settings["proxy"]
    if proxy != "none":
        findings.add("proxy", "note", f"{proxy}, from {source}", "To go past it, put the engine's host into NO_PROXY.")


def _way(findings: Findings, active: Active, seconds: float, *, plain_is_allowed: bool) -> None:
    """Tells whether an engine answers at the address, and over what."""
    secure = str(findings.base_url).startswith("https:")
    if isinstance(active, api_keys_client.ApiConnectionError):
        if active.kind == "not_tls":
            findings.failed("tls", active, _PLAIN.format(str(findings.base_url).partition(":")[2]))
        elif active.kind in ("tls", "tls_refused", "tls_untrusted"):
            findings.failed("tls", active, _trust_advice(str(active)))
        else:
            findings.failed("reachable", active)
        return
    if isinstance(active, api_keys_client.ApiKeysError) and not _is_denied(active):
        findings.failed("reachable", active)
    else:
        findings.add("reachable", "ok", f"answered in {1000 * seconds:.0f} ms")
    if secure:
        findings.add("tls", "ok", "the certificate verifies")
    elif plain_is_allowed:
        findings.add("tls", "note", "plain http: the token can be read on the way", "Use https, if the engine has it.")
    else:
        findings.add("tls", "ok", "not needed: the engine is on this machine")


def _trust_advice(problem: str) -> str:
    if "Authority Key Identifier" in problem:
        return "Python 3.13 and newer take no such certificate: have it issued anew, with that identifier."
    if os.environ.get("SSL_CERT_FILE"):
        return "See that SSL_CERT_FILE holds this certificate's authority; otherwise someone may be in between."
    return _TRUST


def _is_denied(active: Active) -> bool:
    return isinstance(active, (api_keys_client.AuthenticationError, api_keys_client.PermissionDeniedError))


def _token(findings: Findings, active: Active, unset: CliError | ApiKeysError | None) -> None:
    if unset is not None:
        findings.failed("token", unset, "Set API_KEYS_TOKEN, or give --token-file FILE: the engine's admin key.")
    elif isinstance(active, list):
        findings.add("token", "ok", "accepted")
    elif _is_denied(active):
        findings.failed("token", active)
    else:
        findings.add("token", "unknown", "the engine did not get to look at it")


def _keys(findings: Findings, count: int, limit: int | None) -> None:
    findings.active_keys = count
    if limit is None:
        findings.add("keys", "ok", f"{count} active; the engine does not say how many it allows")
    elif count < 0.9 * limit:
        findings.add("keys", "ok", f"{count} active of {limit}", "See them: api-keys list" if count else "")
    else:
        advice = "Deactivate those that nothing uses any more."
        findings.add("keys", "note", f"{count} active of {limit}", advice)


def _lifetimes(findings: Findings, active: list[ApiKeyResponse]) -> None:
    now = datetime.now(UTC)
    lives = [api_keys_client.lifetime(record) for record in active]
    expired = sum(life.expired(now) for life in lives)
    endless = sum(life.ends is None for life in lives)
    if expired:
        findings.add("lifetimes", "note", f"{expired} expired, {endless} without an end", "End them: api-keys sweep")
    elif active:
        findings.add("lifetimes", "ok", f"none expired, {endless} without an end")


def _version(findings: Findings, health: Said, document: Said) -> None:
    version = health.value("build_version") or document.value("info", "version")
    if not isinstance(version, str):
        why = document.why or "/openapi.json is something else"
        findings.add(
            "version",
            "unknown",
            f"not told ({why}); this program was written for {ENGINE_VERSION}",
            "Nothing, as long as the commands work.",
        )
        return
    version = findings.engine_version = clean(version[:VERSION_MOST])
    if version == ENGINE_VERSION:
        findings.add("version", "ok", f"{version}, which this program was written for")
    else:
        findings.add(
            "version",
            "note",
            f"{version}; this program was written for {ENGINE_VERSION}",
            "Nothing, as long as the commands work; if one meets an unexpected answer, update api-keys-client.",
        )


class Said(NamedTuple):
    """What the engine says of itself, or why it could not be had."""

    document: Any = None
    why: str = ""

    def value(self, *names: str) -> object:
        """Gives what stands at this place; None where there is nothing."""
        found = self.document
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found or None

    def limit(self) -> int | None:
        """Gives how many keys can be active."""
        found = _LIMIT.search(json.dumps(self.document))
        return int(found[1]) if found else None


def _ask(client: ApiKeysClient, path: str, seconds: float) -> Said:
    """Gives what the engine says at a path; anyone may read it, so it is not sent the token."""
    api: Any = client.with_options(token=NO_TOKEN, timeout=seconds).generated.api_client
    try:
        answer = api.call_api("GET", f"{api.configuration.host}{path}").response
        try:
            body = answer.read(MAX_DOCUMENT_BYTES + 1) if answer.status == 200 else b""
        finally:
            # The rest of it is not wanted.
            answer.close()
        if answer.status != 200:
            return Said(why=f"{path} is answered {answer.status}")
        return Said(json.loads(body))
    except (ValueError, RecursionError):
        return Said(why=f"{path} is something else")
    except Exception as error:
        # The libraries' own: whatever it is, it is only this line that is lost.
        return Said(why=f"asking for {path} failed: {type(error).__name__}")


def _view(checks: Iterable[Check]) -> Iterator[RenderableType]:
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
    yield grid
