"""The sandbox as openapi.json has it: every answer fits its schema."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from api_keys_client.sandbox import Sandbox
from tests.support.calling import KEYS, UNKNOWN_ID, Answer, Caller, caller_on, one_of_each
from tests.support.pages import PROJECT

SPEC: dict[str, Any] = json.loads((PROJECT / "openapi.json").read_text())
ONE_KEY = {"$ref": "#/components/schemas/ApiKeyResponse"}
MANY_KEYS = {"type": "array", "items": ONE_KEY}
INVALID = {"$ref": "#/components/schemas/HTTPValidationError"}


@pytest.fixture
def spec() -> Iterator[Sandbox]:
    with Sandbox(profile="spec") as sandbox:
        yield sandbox


@pytest.fixture
def caller(spec: Sandbox) -> Iterator[Caller]:
    with caller_on(spec.url, spec.token) as caller:
        yield caller


def valid(answer: Answer, schema: dict[str, Any]) -> Answer:
    """The answer, once it is seen to be what openapi.json promises."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    whole = {**schema, "components": SPEC["components"]}
    OAS31Validator(whole, format_checker=oas31_format_checker).validate(answer.json)
    return answer


def test_a_key_lives_by_the_schemas(spec: Sandbox, caller: Caller) -> None:
    # Without its offset a time would not do.
    assert not oas31_format_checker.conforms("2026-01-01T00:00:00", "date-time")
    created = valid(caller.call("POST", KEYS, {"description": None}), ONE_KEY)
    key = created.json
    assert key.keys() <= SPEC["components"]["schemas"]["ApiKeyResponse"]["properties"].keys()
    assert (key["description"], key["deactivated_at"]) == (None, None)

    got = valid(caller.call("GET", f"{KEYS}{key['id']}"), ONE_KEY)
    assert (got.status, got.json) == (200, {**key, "key": None, "message": None})
    listed = valid(caller.call("GET", KEYS), MANY_KEYS)
    assert (listed.status, listed.json) == (200, [got.json])

    deactivated = valid(caller.deactivate(key["id"]), ONE_KEY)
    assert (deactivated.status, deactivated.json["is_active"]) == (200, False)
    assert datetime.fromisoformat(deactivated.json["deactivated_at"])
    assert caller.list_ids() == []
    assert not spec.accepts(key["key"])


def test_created_at_is_real_and_has_an_offset(caller: Caller) -> None:
    before = datetime.now().astimezone()
    moments = [datetime.fromisoformat(caller.create()["created_at"]) for _ in range(2)]
    assert before <= moments[0] < moments[1] <= datetime.now().astimezone()
    assert moments[0].utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("POST", KEYS, {"roles": ["EMPEROR"]}, ["body", "roles", 0]),
        ("POST", KEYS, {"description": "\ud800"}, ["body", "description"]),
        ("POST", KEYS, b"", ["body"]),
        ("POST", KEYS, b"{", ["body", 1]),
        ("DELETE", f"{KEYS}deactivate/not-a-uuid", None, ["path", "api_key_id"]),
    ],
)
def test_invalid_is_422(caller: Caller, method: str, path: str, body: object, place: list[str | int]) -> None:
    answer = valid(caller.call(method, path, body), INVALID)
    assert answer.status == 422
    assert [error["loc"] for error in answer.detail] == [place]


def test_the_other_refusals_are_strings(caller: Caller) -> None:
    unknown = caller.call("GET", f"{KEYS}{UNKNOWN_ID}")
    assert (unknown.status, unknown.detail) == (404, "API Key not found")
    for answer in one_of_each(caller, headers={"Authorization": "Bearer wrong"}):
        assert (answer.status, answer.detail) == (401, "Unauthorized")
    elsewhere = caller.call("GET", "/auth/api_keys")
    assert (elsewhere.status, elsewhere.detail) == (404, "Not Found")
    assert caller.call("PUT", KEYS).status == 405


def what_the_contract_leaves_out() -> dict[str, Any]:
    """openapi.json with what its reference page has no room for: the refusals, and that ids are UUIDs.

    And without the role that an engine's document lists, though it is not to be had.
    """
    document: dict[str, Any] = json.loads(json.dumps(SPEC))
    roles = document["components"]["schemas"]["APIKeysRolesEnum"]
    roles["enum"] = [role for role in roles["enum"] if role != "TENANT-USER"]
    schema = {"type": "object", "required": ["detail"], "properties": {"detail": {"type": "string"}}}
    refusal = {"description": "Refused", "content": {"application/json": {"schema": schema}}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"]["401"] = refusal
            if method == "post":
                operation["responses"]["400"] = refusal
            if "{" in path:
                operation["responses"]["404"] = refusal
                operation["parameters"][0]["schema"]["format"] = "uuid"
    return document


@pytest.mark.slow
def test_schemathesis_finds_nothing_with_all_its_checks(tmp_path: Path) -> None:
    specification = tmp_path / "openapi.json"
    specification.write_text(json.dumps(what_the_contract_leaves_out()))
    with Sandbox(profile="spec", limit=100_000) as sandbox:
        command = [sys.executable, "-m", "schemathesis.cli", "run", str(specification), "--url", sandbox.url]
        # A key that was deactivated can still be looked up: nothing is deleted.
        command += ["--exclude-checks", "use_after_free"]
        command += ["--header", f"Authorization: Bearer {sandbox.token}", "--checks", "all", "--max-examples", "50"]
        finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        asked = {request.operation for request in sandbox.requests}
    assert finished.returncode == 0, finished.stdout
    assert asked >= {"create", "list", "get", "deactivate"}
