"""What the contract allows comes back field for field through both clients, or `regenerate` refuses in a sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pages import PROJECT
from tests.support.scripts import CHECKED_IN, Json, fields, importing, list_of, ref, schemas

with importing("contract_check") as script, importing("regenerate") as regenerate:
    pass

LIST, GET = "/auth/api_keys/", "/auth/api_keys/{api_key_id}"
TEXT, NUMBER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
DATE = {"type": "string", "format": "date"}
TEAM = {"type": "object", "properties": {"name": TEXT, "size": NUMBER}, "required": ["name"]}
COMPANY = {"type": "object", "properties": {"title": TEXT}, "required": ["title"]}
KIND = {"type": "string", "enum": ["a", "b"]}


def contract(edit: Callable[[Json], object]) -> Json:
    document: Json = json.loads(CHECKED_IN)
    schemas(document).update(Team=TEAM, Company=COMPANY, Kind=KIND)
    edit(document)
    return document


def generate(folder: Path, document: Json) -> Path:
    """Regenerate in a folder that has the client's code: what it is told to write is there afterwards."""
    shutil.copytree(PROJECT / "api_keys_client", folder / "api_keys_client", ignore=shutil.ignore_patterns("*.pyc"))
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    assert regenerate.main(["--root", str(folder)]) == 0
    return folder


def response(**added: Json) -> Callable[[Json], object]:
    return lambda document: fields(document).update(added)


def parameter(name: str, place: str, *, required: bool = False) -> Json:
    return {"name": name, "in": place, "required": required, "schema": NUMBER}


def what_a_client_can_live_with(document: Json) -> None:
    operations = document["paths"]
    operations[LIST]["get"]["parameters"] = [parameter("limit", "query")]
    operations[LIST]["post"]["parameters"] = [parameter("X-Trace", "header")]
    operations[GET]["parameters"] = [parameter("verbose", "query")]
    operations[LIST]["post"]["responses"]["201"] = operations[LIST]["post"]["responses"]["200"]
    operations["/auth/api_keys/deactivate/{api_key_id}"]["delete"]["responses"]["204"] = {"description": "Done"}
    schemas(document)["ApiKeyResponse"]["required"].append("owner")
    response(
        owner=TEXT,
        limit={"anyOf": [{**NUMBER, "minimum": 3, "maximum": 9}, NULL]},
        team={"anyOf": [ref("Team"), NULL]},
        teams=list_of("Team"),
        part={"allOf": [ref("Team")]},
        parent={"anyOf": [ref("ApiKeyResponse"), NULL]},
        kind=ref("Kind"),
        ends=DATE,
        code={"type": "string", "pattern": r"^q+-\d$", "examples": ["qq-1"]},
        more={"type": "object", "additionalProperties": NUMBER},
        share={"type": "number"},
        anything={},
    )(document)


CALLS = """
import asyncio, sys
sys.path[:0] = [sys.argv[1]]
import _generated
from api_keys_client import ApiKeysClient, AsyncApiKeysClient
ApiKeysClient(token="t").close()
asyncio.run(AsyncApiKeysClient(token="t").close())
print(_generated.__file__)
"""


def test_optional_parameters_are_left_out_and_new_fields_are_read(tmp_path: Path) -> None:
    root = generate(tmp_path / "project", contract(what_a_client_can_live_with))
    finished = subprocess.run(
        [sys.executable, "-B", "-c", CALLS, str(root)], capture_output=True, text=True, check=True
    )
    assert Path(finished.stdout.strip()).parents[1] == root


REFUSED: dict[str, tuple[Callable[[Json], object], str]] = {
    "a required parameter": (
        lambda made: made["paths"][LIST]["get"].update(parameters=[parameter("tenant", "query", required=True)]),
        "does not send the query parameter tenant",
    ),
    "a required field of a request": (
        lambda made: schemas(made)["NewApiKeyRequest"].update(required=["team"]),
        "what the client sends is not allowed: 'team' is a required property",
    ),
    "a request without roles": (
        lambda made: schemas(made)["NewApiKeyRequest"]["properties"].pop("roles"),
        "the client's roles cannot be sent",
    ),
    "two types": (response(limit={"type": ["string", "integer"]}), "limit: model_type"),
    "a date or a number": (response(limit={"anyOf": [DATE, NUMBER, NULL]}), "limit: model_type"),
    "a dict of such": (
        response(limit={"type": "object", "additionalProperties": {"anyOf": [DATE, NUMBER]}}),
        "limit.another name: model_type",
    ),
    "one of two models": (response(owner={"oneOf": [ref("Team"), ref("Company")]}), "is lost"),
    "_id": (response(_id=TEXT), "the field id of an item of the answer is lost"),
    "Key": (response(Key=TEXT), "the field key of an item of the answer is lost"),
    "isActive": (response(isActive={"type": "boolean"}), "the field is_active of an item of the answer is lost"),
    "datetime": (response(datetime=TEXT), "created_at: none_required"),
    "nothing by that name": (lambda made: fields(made).pop("roles"), "has no attribute 'roles' (rotation.py"),
    "no secret": (lambda made: fields(made).pop("key"), "create failed"),
    "an unknown pattern": (response(code={**TEXT, "pattern": "^q{3}-x$"}), "no value is known"),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in REFUSED])
def test_what_the_client_cannot_do_changes_nothing(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    edit, reason = REFUSED[name]
    (tmp_path / "api_keys_client").symlink_to(PROJECT / "api_keys_client")
    (tmp_path / "openapi.json").write_text(json.dumps(contract(edit)), encoding="utf-8")
    assert regenerate.main(["--root", str(tmp_path)]) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert reason in printed.err
    assert len(printed.err.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"api_keys_client", "openapi.json"}
