"""The conformance tests against a deployment, which is a sandbox here: what they leave behind, and what they say."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import pytest
import urllib3
from werkzeug.wrappers import Response

from api_keys_client import ApiKeysClient
from api_keys_client.conformance.deployment import Answer, pool_for
from api_keys_client.sandbox import Fault, Operation, Profile, Sandbox
from api_keys_client.sandbox.faults import Exchange
from tests.support.clients import PROXIES
from tests.support.interrupts import press
from tests.support.pages import PROJECT

FACTS = "test_facts"
PROMISES = "test_promises"
PACKAGE = "api_keys_client.conformance"
PATIENCE = 60
AS_EVER = Fault("as ever", lambda exchange: exchange.answer())

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl-C cannot be sent to one process")


class Finished(NamedTuple):
    code: int
    output: str


class Run:
    """The conformance tests in a process of their own."""

    def __init__(
        self, sandbox: Sandbox, folder: Path, selected: str = "", *options: str, token: str | None = None
    ) -> None:
        # A project of somebody else's, which is strict.
        (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n")
        command = [sys.executable, "-m", "pytest", "-p", "api_keys_client", "--api-keys-url", sandbox.url, "--pyargs"]
        command.append(f"{PACKAGE}.{selected}" if selected else PACKAGE)
        kept = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
        self._child = subprocess.Popen(
            [*command, "-p", "no:cacheprovider", "-vv", "--showlocals", *options],
            cwd=folder,
            env={
                **kept,
                "PYTHONPATH": str(PROJECT),
                "API_KEYS_TOKEN": sandbox.token if token is None else token,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def send(self, number: signal.Signals) -> None:
        press(self._child, number)

    def finish(self) -> Finished:
        try:
            output, _ = self._child.communicate(timeout=PATIENCE)
        finally:
            self._child.kill()
        return Finished(self._child.returncode, output)


def rows_of(finished: Finished) -> list[str]:
    """The lines, with one space between two columns."""
    return [" ".join(line.split()) for line in finished.output.splitlines()]


def active(sandbox: Sandbox) -> list[str]:
    return [key.id for key in sandbox.keys() if key.is_active]


@pytest.mark.parametrize("profile", ["engine", "spec"])
def test_a_deployment_is_left_as_it_was_and_what_differs_is_named(tmp_path: Path, profile: Profile) -> None:
    # No more than three of its keys are ever active at once.
    with Sandbox(profile=profile, limit=4) as sandbox:
        with ApiKeysClient(sandbox.url, token=sandbox.token) as client:
            key = client.create("somebody's")
        finished = Run(sandbox, tmp_path).finish()
        assert finished.code == 0, finished.output
        assert active(sandbox) == [key.id]
        assert len(sandbox.keys()) < 40
        assert sandbox.token not in finished.output
    rows = rows_of(finished)
    differing = [row for row in rows if row.endswith(" (as in the contract)")]
    ((differ,),) = [found for row in rows if (found := re.findall(r"^(\d+) of \d+ facts differ; 0 not seen\.$", row))]
    assert int(differ) == len(differing)
    if profile == "engine":
        assert differing == []
    else:
        assert "Status of a deactivation 204 200 (as in the contract)" in differing
        assert "Body of a deactivation nothing the record (as in the contract)" in differing


def test_a_deployment_that_is_nearly_full_is_told_in_one_line(tmp_path: Path) -> None:
    with Sandbox(limit=3) as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
        key = client.create("somebody's")
        finished = Run(sandbox, tmp_path).finish()
        assert active(sandbox) == [key.id]
    assert finished.code == 1
    assert [row for row in rows_of(finished) if "is nearly full: the tests need room for three" in row]
    assert " failed" not in finished.output


def other_role(exchange: Exchange) -> Response:
    answer = exchange.answer()
    answer.set_data(answer.get_data().replace(b"VALIDATION-USER", b"ORG-ADMIN"))
    return answer


def test_a_promise_that_does_not_hold_is_a_failure(tmp_path: Path, engine: Sandbox) -> None:
    engine.queue(Fault("another role", other_role), operation="create")
    finished = Run(engine, tmp_path, f"{PROMISES}::test_roles_left_out_are_not_no_roles").finish()
    assert finished.code == 1
    assert "1 failed, 3 passed" in finished.output
    assert "ORG-ADMIN" in finished.output


def test_the_secret_in_a_raw_answer_does_not_show() -> None:
    answer = Answer(urllib3.HTTPResponse(b'[{"id": "x", "key": "c2VjcmV0"}, {"key": null}]', status=200))
    shown = f"{answer!r} {answer.json!r}"
    assert "'x'" in shown
    assert "c2VjcmV0" not in shown


@pytest.mark.parametrize(
    ("selected", "committed"),
    [(f"{PROMISES}::test_a_deactivation_ends_one_key_only", True), (f"{FACTS}::test_times", False)],
)
def test_a_key_whose_creation_was_cut_off_is_found(
    tmp_path: Path, engine: Sandbox, selected: str, *, committed: bool
) -> None:
    engine.queue(Fault.drop(committed=committed), operation="create")
    finished = Run(engine, tmp_path, selected).finish()
    assert finished.code == 1
    assert len(engine.keys()) == committed
    assert active(engine) == []
    assert "A creation was cut off. A key may still appear, with #" in finished.output
    assert engine.token not in finished.output


def test_a_key_that_cannot_be_deactivated_is_named(tmp_path: Path, engine: Sandbox) -> None:
    engine.queue(Fault.status(403), operation="deactivate", times=20)
    finished = Run(engine, tmp_path, f"{FACTS}::test_a_list").finish()
    assert finished.code == 1
    (key_id,) = active(engine)
    assert f"{key_id} may still be active" in finished.output


def test_raw_requests_take_the_proxy_that_the_client_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:p%40ss@proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    trust = ssl.create_default_context()

    def pool(url: str) -> urllib3.PoolManager:
        with ApiKeysClient(url, token="any") as client:
            return pool_for(client, trust)

    through = pool("https://engine.example")
    assert isinstance(through, urllib3.ProxyManager)
    assert through.proxy is not None
    assert through.proxy.host == "proxy.example"
    assert dict(through.proxy_headers) == {"Proxy-Authorization": "Basic dXNlcjpwQHNz"}
    for url in ("https://inside.example", "https://localhost:8443"):
        assert not isinstance(pool(url), urllib3.ProxyManager)


@on_posix
@pytest.mark.parametrize(
    ("selected", "operation", "before", "committed", "number"),
    [
        (f"{FACTS}::test_the_creation", "create", 0, True, "SIGINT"),
        (f"{PROMISES}::test_a_temporary_key_and_a_rotation", "create", 1, True, "SIGTERM"),
        (f"{PROMISES}::test_the_list_has_the_active_keys", "deactivate", 1, False, "SIGINT"),
    ],
)
def test_an_interrupted_run_leaves_no_active_key(
    tmp_path: Path, engine: Sandbox, selected: str, operation: Operation, before: int, *, committed: bool, number: str
) -> None:
    arrived, release = threading.Event(), threading.Event()
    engine.queue(AS_EVER, operation=operation, times=before)
    engine.queue(Fault.hold(arrived, release, committed=committed), operation=operation)
    run = Run(engine, tmp_path, selected)
    assert arrived.wait(PATIENCE)
    run.send(signal.Signals[number])
    release.set()
    finished = run.finish()
    assert finished.code == pytest.ExitCode.INTERRUPTED, finished.output
    assert engine.keys()
    assert active(engine) == []
    assert engine.token not in finished.output


@on_posix
def test_the_clean_up_after_an_interruption_is_not_interrupted(tmp_path: Path, engine: Sandbox) -> None:
    held = [(threading.Event(), threading.Event()) for _ in range(2)]
    # Known by its description only, and so deactivated last.
    engine.queue(Fault.drop(committed=True), operation="create")
    engine.queue(AS_EVER, operation="list")
    engine.queue(Fault.hold(*held[0]), operation="list")
    engine.queue(Fault.hold(*held[1]), operation="deactivate")
    run = Run(engine, tmp_path, f"{FACTS}::test_times", f"{PACKAGE}.{FACTS}::test_a_list")
    for arrived, release in held:
        assert arrived.wait(PATIENCE)
        run.send(signal.SIGINT)
        release.set()
    assert run.finish().code == pytest.ExitCode.INTERRUPTED
    assert len(engine.keys()) == 2
    assert active(engine) == []


@pytest.mark.parametrize(
    ("token", "options", "complaint"),
    [
        ("", (), "there is no token in API_KEYS_TOKEN"),
        ("two words", (), "token"),
        ("wrong", (), "401"),
        (None, ("-p", "xdist", "-n", "2"), "by one process"),
    ],
)
def test_a_run_that_cannot_be_is_refused(
    tmp_path: Path, engine: Sandbox, token: str | None, options: tuple[str, ...], complaint: str
) -> None:
    finished = Run(engine, tmp_path, "", *options, token=token).finish()
    assert finished.code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.TESTS_FAILED)
    assert complaint in finished.output
    assert "INTERNALERROR" not in finished.output
    assert "failed" not in finished.output
    assert engine.keys() == []
