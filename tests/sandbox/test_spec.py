"""The sandbox as openapi.json has it: every answer fits its schema."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from api_keys_client.sandbox import Profile, Sandbox
from tests.support.calling import KEYS, Answer, Caller, caller_on
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


@pytest.mark.parametrize("profile", get_args(Profile))
def test_it_shows_the_contract_with_its_own_limit_and_its_health(profile: Profile) -> None:
    with Sandbox(profile=profile, limit=7) as sandbox, caller_on(sandbox.url, "") as caller:
        document = caller.call("GET", "/openapi.json", headers={}).json
        description = document["paths"][KEYS]["post"]["description"]
        assert "Up to 7 active keys can exist at the same time" in description
        document["paths"][KEYS]["post"]["description"] = SPEC["paths"][KEYS]["post"]["description"]
        assert document == SPEC
        health = caller.call("GET", "/health", headers={})
        assert (health.status, "build_version" in health.json) == (200, True)
        refused = caller.call("POST", "/health", headers={})
        assert (refused.status, refused.headers["allow"]) == (405, "GET")
        assert [request.operation for request in sandbox.requests] == [None] * 3


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
