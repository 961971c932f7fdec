"""The sandbox as openapi.json has it: every answer fits its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from api_keys_client.sandbox import Sandbox
from tests.support.calling import KEYS, UNKNOWN_ID, Answer, Caller, caller_on, one_of_each

SPEC: dict[str, Any] = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())
ONE_KEY = {"$ref": "#/components/schemas/ApiKeyResponse"}
MANY_KEYS = {"type": "array", "items": ONE_KEY}
INVALID = {"$ref": "#/components/schemas/HTTPValidationError"}


@pytest.fixture
def spec_sandbox() -> Iterator[Sandbox]:
    with Sandbox(profile="spec") as sandbox:
        yield sandbox


@pytest.fixture
def spec_caller(spec_sandbox: Sandbox) -> Iterator[Caller]:
    with caller_on(spec_sandbox.url, spec_sandbox.token) as caller:
        yield caller


def valid(answer: Answer, schema: dict[str, Any]) -> Answer:
    """The answer, once it is seen to be what openapi.json promises."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    whole = {**schema, "components": SPEC["components"]}
    OAS31Validator(whole, format_checker=oas31_format_checker).validate(answer.json)
    return answer


class TestSpec:
    def test_the_format_checker_knows_date_times(self) -> None:
        schema = {"type": "string", "format": "date-time"}
        checked = OAS31Validator(schema, format_checker=oas31_format_checker)
        assert not checked.is_valid("2026-01-01T00:00:00")

    def test_a_key_lives_by_the_schemas(self, spec_sandbox: Sandbox, spec_caller: Caller) -> None:
        created = valid(spec_caller.call("POST", KEYS, {"description": None}), ONE_KEY)
        key = created.json
        assert created.status == 200
        assert list(key) == list(SPEC["components"]["schemas"]["ApiKeyResponse"]["properties"])
        assert (key["description"], key["deactivated_at"]) == (None, None)
        assert (key["is_active"], key["roles"]) == (True, ["VALIDATION-USER"])
        assert spec_sandbox.accepts(key["key"])

        got = valid(spec_caller.call("GET", f"{KEYS}{key['id']}"), ONE_KEY)
        assert (got.status, got.json) == (200, {**key, "key": None, "message": None})
        listed = valid(spec_caller.call("GET", KEYS), MANY_KEYS)
        assert (listed.status, listed.json) == (200, [got.json])

        deactivated = valid(spec_caller.deactivate(key["id"]), ONE_KEY)
        assert (deactivated.status, deactivated.json["is_active"]) == (200, False)
        assert datetime.fromisoformat(deactivated.json["deactivated_at"])
        assert spec_caller.list_ids() == []
        assert not spec_sandbox.accepts(key["key"])

    def test_created_at_is_real_and_has_an_offset(self, spec_caller: Caller) -> None:
        before = datetime.now().astimezone()
        moments = [datetime.fromisoformat(spec_caller.create()["created_at"]) for _ in range(2)]
        assert before <= moments[0] < moments[1] <= datetime.now().astimezone()
        assert moments[0].utcoffset() == timedelta(0)

    @pytest.mark.parametrize(
        ("method", "path", "body", "place"),
        [
            ("POST", KEYS, {"roles": ["EMPEROR"]}, ["body", "roles", 0]),
            ("POST", KEYS, {"roles": ["TENANT-USER"]}, ["body", "roles", 0]),
            ("POST", KEYS, {"description": "\ud800"}, ["body", "description"]),
            ("POST", KEYS, b"", ["body"]),
            ("POST", KEYS, b"{", ["body", 1]),
            ("GET", f"{KEYS}not-a-uuid", None, ["path", "api_key_id"]),
            ("DELETE", f"{KEYS}deactivate/not-a-uuid", None, ["path", "api_key_id"]),
        ],
    )
    def test_invalid_is_422(
        self, spec_caller: Caller, method: str, path: str, body: object, place: list[str | int]
    ) -> None:
        answer = valid(spec_caller.call(method, path, body), INVALID)
        assert answer.status == 422
        assert [error["loc"] for error in answer.detail] == [place]

    def test_the_other_refusals_are_strings(self, spec_caller: Caller) -> None:
        unknown = spec_caller.call("GET", f"{KEYS}{UNKNOWN_ID}")
        assert (unknown.status, unknown.detail) == (404, "API Key not found")
        assert spec_caller.deactivate(UNKNOWN_ID).status == 404
        for answer in one_of_each(spec_caller, headers={"Authorization": "Bearer wrong"}):
            assert (answer.status, answer.detail) == (401, "Unauthorized")
        elsewhere = spec_caller.call("GET", "/auth/api_keys")
        assert (elsewhere.status, elsewhere.detail) == (404, "Not Found")
        assert spec_caller.call("PUT", KEYS).status == 405
