"""What is told of the changes in a document that is synced, and which of them break."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.spec_sources import ROLES, engine_document
from tests.support.syncing import PROJECT, SCRIPTS, Sync, assert_refused, fields, project_in, schemas, syncing

GUIDE = PROJECT / "docs" / "guides" / "spec-changes.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project_in(tmp_path)


@pytest.fixture
def sync(root: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Sync]:
    with syncing(root, capfd) as run:
        yield run


def test_an_operation_of_another_id_breaks_and_does_not_generate(sync: Sync, root: Path) -> None:
    document = engine_document()
    document["paths"]["/auth/api_keys/{api_key_id}"]["get"]["operationId"] = "get_api_key"
    finished = sync(document)
    assert finished.code == 4
    old = "get_api_key_auth_api_keys__api_key_id__get"
    assert finished.lines[:2] == [
        f"changed operation id {old}: {old} -> get_api_key",
        "touches Operations.get in api_keys_client/_core/operations.py",
    ]
    command = [sys.executable, str(SCRIPTS / "regenerate.py"), "--root", str(root)]
    generated = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert generated.returncode == 1
    assert generated.stderr == (
        f"regenerate: openapi.json: there is no {old}, "
        "on which Operations.get in api_keys_client/_core/operations.py relies\n"
    )
    assert not (root / "_generated").exists()


def test_another_field_in_an_answer_does_not_break(sync: Sync, root: Path) -> None:
    document = engine_document()
    fields(document)["owner"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Owner"}
    finished = sync(document)
    assert finished.code == 3
    assert "added field ApiKeyResponse.owner: string | null" in finished.lines
    assert [*fields(json.loads((root / "openapi.json").read_bytes()))][-1] == "owner"


def test_a_seventh_role_gets_its_name(sync: Sync, root: Path) -> None:
    document = engine_document()
    schemas(document)["APIKeysRolesEnum"]["enum"].insert(2, "ORG-OWNER")
    finished = sync(document)
    assert finished.code == 3
    assert "added enum value APIKeysRolesEnum: ORG-OWNER" in finished.lines
    roles = schemas(json.loads((root / "openapi.json").read_bytes()))["APIKeysRolesEnum"]
    assert roles["enum"] == [*ROLES[:2], "ORG-OWNER", *ROLES[2:]]
    assert roles["x-enum-varnames"] == [role.replace("-", "_") for role in roles["enum"]]


def test_a_role_that_is_gone_breaks(sync: Sync) -> None:
    document = engine_document()
    schemas(document)["APIKeysRolesEnum"]["enum"].remove("ORG-ADMIN")
    finished = sync(document)
    assert finished.code == 4
    assert finished.lines[0] == "removed enum value APIKeysRolesEnum: ORG-ADMIN"
    assert "touches checked_roles in api_keys_client/_core/validation.py" in finished.lines


def test_an_answers_field_that_is_gone_is_told_although_the_overlay_no_longer_fits(sync: Sync, root: Path) -> None:
    document = engine_document()
    del fields(document)["is_active"]
    schemas(document)["ApiKeyResponse"]["required"].remove("is_active")
    finished = sync(document)
    assert_refused(root, finished, "the server has moved: $.components.schemas.ApiKeyResponse.properties.is_active\n")
    named = "Targets of the overlay that match nothing:\n  $.components.schemas.ApiKeyResponse.properties.is_active\n"
    assert finished.output.endswith(named)
    assert finished.lines[0] == "removed field ApiKeyResponse.is_active: boolean"
    assert "touches Executor in api_keys_client/_async/executor.py" in finished.lines


def test_a_required_parameter_that_is_new_breaks(sync: Sync) -> None:
    document = engine_document()
    parameter = {"name": "tenant", "in": "query", "required": True, "schema": {"type": "string"}}
    document["paths"]["/auth/api_keys/"]["get"]["parameters"] = [parameter]
    finished = sync(document)
    assert finished.code == 4
    assert finished.lines[:2] == [
        "added required query parameter get_all_active_api_keys_auth_api_keys__get.parameters.tenant",
        "touches Operations.list in api_keys_client/_core/operations.py",
    ]


def test_the_report_as_json(sync: Sync) -> None:
    document = engine_document()
    del document["paths"]["/auth/api_keys/deactivate/{api_key_id}"]["delete"]["responses"]["200"]
    finished = sync(document, "--json", "--check")
    assert (finished.code, finished.errors) == (4, "")
    report = json.loads(finished.output)
    name = "deactivate_api_key_auth_api_keys_deactivate__api_key_id__delete"
    assert report == {
        "result": "breaking",
        "error": None,
        "changes": [
            {
                "kind": "removed",
                "what": "response",
                "subject": f"{name}.responses.200",
                "before": None,
                "after": None,
                "breaking": True,
                "touches": ["Operations.deactivate in api_keys_client/_core/operations.py"],
            },
            {
                "kind": "added",
                "what": "enum value",
                "subject": "APIKeysRolesEnum",
                "before": None,
                "after": "TENANT-USER",
                "breaking": False,
                "touches": [],
            },
        ],
    }
    failed = sync({}, "--json")
    assert failed.code == 1
    reason = failed.errors.removeprefix("sync_spec: ").strip()
    assert json.loads(failed.output) == {"result": "failed", "error": reason, "changes": []}


def test_the_guide_shows_what_the_script_prints(sync: Sync) -> None:
    document = engine_document()
    document["paths"]["/auth/api_keys/"]["get"]["parameters"] = [
        {"name": "tenant", "in": "query", "required": True, "schema": {"type": "string"}}
    ]
    assert sync(document).output in GUIDE.read_text(encoding="utf-8")
