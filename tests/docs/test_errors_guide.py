"""docs/guides/errors.md: its examples run, and its tables are what the code does."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from typing import Any

import api_keys_client
from api_keys_client import ApiKeysClient, ApiKeysError, Outcome, OutcomeUnknownError
from api_keys_client._core.messages import RawResponse, Request, TransportFailure
from api_keys_client._core.operations import Operations
from api_keys_client._core.options import ClientOptions, resolve_settings
from api_keys_client._core.policy import Retry, evaluate
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.pages import SPAN, Page
from tests.support.wire import KEY_ID

GUIDE = Page("docs/guides/errors.md")


def test_the_example_of_a_creation_ends_the_key(engine: Sandbox, run: Callable[[str], list[str]]) -> None:
    engine.queue(Fault.drop(committed=True), operation="create")
    printed = run(GUIDE.examples["A creation that was cut off"][0])
    (key,) = engine.keys()
    assert not key.is_active
    assert printed[-1] == f"deactivated {key.id}"
    assert "connection" in printed[0]


def test_the_example_of_a_deactivation_says_what_is_true(engine: Sandbox, run: Callable[[str], list[str]]) -> None:
    (example,) = GUIDE.examples["A deactivation that failed"]
    cases: list[tuple[Any, Fault, str]] = [
        ("deactivate", Fault.status(404), "is no key of this server"),
        ("get", Fault.status(403), "is inactive"),
        ("deactivate", Fault.garbage(), "may be active: deactivate it again"),
        ("deactivate", Fault.status(403), "is still active"),
    ]
    for operation, fault, said in cases:
        engine.reset()
        with ApiKeysClient(engine.url, token=engine.token) as client:
            key_id, other = client.create("load test").id, client.create("production").id
        engine.queue(fault, operation=operation)
        assert run(example) == [f"{key_id} {said}"]
        assert other in [key.id for key in engine.keys() if key.is_active]
    assert len(GUIDE.examples) == 2


def test_every_outcome_error_and_attribute_is_named() -> None:
    assert GUIDE.first("| `outcome` |") == [outcome.value for outcome in Outcome]
    public = [getattr(api_keys_client, name) for name in api_keys_client.__all__]
    errors = [value.__name__ for value in public if isinstance(value, type) and issubclass(value, ApiKeysError)]
    assert sorted([*GUIDE.first("| Error |"), "ApiKeysError"]) == sorted(errors)
    (listed,) = re.findall(r"its attributes \(([^)]*)\)", GUIDE.text)
    common = {*ApiKeysError.__annotations__}
    assert {*SPAN.findall(listed)} == common
    for kind in ("RateLimitedError", "OutcomeUnknownError", "RotationError"):
        common |= {*getattr(api_keys_client, kind).__annotations__}
    named = {"retry_after", "stage", "old_id", "new_id", "leftovers"}
    assert named <= common
    assert named <= {*SPAN.findall(GUIDE.text)}


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


def test_the_table_of_one_call_is_what_the_client_does() -> None:
    replayed: list[Request[Any]] = [CALLS.list(), CALLS.get(KEY_ID), CALLS.deactivate(KEY_ID)]
    create: list[Request[Any]] = [CALLS.create("ci", [])]
    for (what, others, creation), came in zip(GUIDE.rows("| What happened |", "One call"), EACH_ROW, strict=True):
        assert {others, creation} <= {"again", "stop", "stop: unknown"}
        for calls, said in ((replayed, others), (create, creation)):
            for call, each in product(calls, came):
                verdict = evaluate(call, each, attempt=1, elapsed=0.0, settings=SETTINGS, jitter=0.5)
                assert isinstance(verdict, Retry) is (said == "again"), (what, each)
                assert isinstance(verdict, OutcomeUnknownError) is (said == "stop: unknown"), (what, each)
