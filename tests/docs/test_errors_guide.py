"""docs/guides/errors.md: its examples run, and its tables are what the code does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import api_keys_client
from api_keys_client import ApiKeysClient, ApiKeysError, Outcome, OutcomeUnknownError
from api_keys_client._core.messages import RawResponse, Request, TransportFailure
from api_keys_client._core.operations import Operations
from api_keys_client._core.options import ClientOptions, resolve_settings
from api_keys_client._core.policy import Retry, evaluate
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.wire import KEY_ID

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs" / "guides" / "errors.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def rows(first: str) -> list[list[str]]:
    """The rows of the table whose header begins with this cell."""
    table = GUIDE[GUIDE.index(f"| {first} |") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def run(example: str, sandbox: Sandbox, folder: Path) -> str:
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "API_KEYS_BASE_URL": sandbox.url,
            "API_KEYS_TOKEN": sandbox.token,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


def test_the_example_of_a_creation_ends_the_key(engine: Sandbox, tmp_path: Path) -> None:
    engine.queue(Fault.drop(committed=True), operation="create")
    printed = run(EXAMPLES[0], engine, tmp_path).splitlines()
    (key,) = engine.keys()
    assert not key.is_active
    assert printed[-1] == f"deactivated {key.id}"
    assert "connection" in printed[0]


@pytest.mark.parametrize(
    ("operation", "fault", "said"),
    [
        ("deactivate", Fault.status(404), "is no key of this server"),
        ("get", Fault.status(403), "is inactive"),
        ("deactivate", Fault.garbage(), "may be active: deactivate it again"),
        ("deactivate", Fault.status(403), "is still active"),
    ],
)
def test_the_example_of_a_deactivation_says_what_is_true(
    engine: Sandbox, tmp_path: Path, operation: Any, fault: Fault, said: str
) -> None:
    with ApiKeysClient(engine.url, token=engine.token) as client:
        key_id, other = client.create("load test").id, client.create("production").id
    engine.queue(fault, operation=operation)
    assert run(EXAMPLES[1], engine, tmp_path) == f"{key_id} {said}\n"
    assert other in [key.id for key in engine.keys() if key.is_active]
    assert len(EXAMPLES) == 2


def test_every_outcome_is_in_its_table() -> None:
    assert [row[0].strip("`") for row in rows("`outcome`")] == [outcome.value for outcome in Outcome]


def test_every_error_is_in_its_table() -> None:
    public = [getattr(api_keys_client, name) for name in api_keys_client.__all__]
    errors = {value.__name__ for value in public if isinstance(value, type) and issubclass(value, ApiKeysError)}
    listed = [row[0].strip("`") for row in rows("Error")]
    assert {*listed, "ApiKeysError"} == errors
    assert len(listed) == len(errors) - 1


SETTINGS = resolve_settings(ClientOptions("http://localhost", "token"))
CALLS = Operations(SETTINGS)
EACH_ROW: list[list[RawResponse | TransportFailure]] = [
    [TransportFailure(False, "refused", ""), TransportFailure(False, "timeout", "")],
    [TransportFailure(False, "tls_untrusted", ""), TransportFailure(False, "tls_refused", "")],
    [TransportFailure(True, "reset", ""), TransportFailure(True, "timeout", "")],
    [RawResponse(429)],
    [RawResponse(status) for status in (408, 500, 502, 503, 504)],
    [RawResponse(status) for status in (501, 505, 511, 599)],
    [RawResponse(status) for status in (307, 308, 400, 401, 403, 404, 405, 407, 409, 418, 422)],
    [RawResponse(status) for status in (300, 301, 302, 303, 304)],
    [RawResponse(status, b"<html>") for status in (200, 201, 202, 206)],
]


ROWS = rows("What happened")


@pytest.mark.parametrize(("row", "came"), [*zip(ROWS, EACH_ROW, strict=True)], ids=[row[0] for row in ROWS])
def test_the_table_of_one_call_is_what_the_client_does(
    row: list[str], came: list[RawResponse | TransportFailure]
) -> None:
    replayed: list[Request[Any]] = [CALLS.list(), CALLS.get(KEY_ID), CALLS.deactivate(KEY_ID)]
    create: list[Request[Any]] = [CALLS.create("ci", [])]
    for calls, said in ((replayed, row[1]), (create, row[2])):
        for call in calls:
            for each in came:
                verdict = evaluate(call, each, attempt=1, elapsed=0.0, settings=SETTINGS, jitter=0.5)
                assert isinstance(verdict, Retry) is (said == "again")
                assert isinstance(verdict, OutcomeUnknownError) is (said == "stop: unknown")
    assert {row[1], row[2]} <= {"again", "stop", "stop: unknown"}


def test_the_named_attributes_are_there() -> None:
    attributes = {*vars(ApiKeysError("")), "next_step"}
    for kind in ("RateLimitedError", "OutcomeUnknownError", "RotationError"):
        attributes |= set(vars(getattr(api_keys_client, kind)("")))
    named = {"outcome", "key_id", "retry_after", "status", "retryable", "stage", "old_id", "new_id", "leftovers"}
    assert named <= attributes
    assert all(f"`{name}`" in GUIDE for name in named)
