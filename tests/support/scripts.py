"""What the tests of scripts share: scripts as modules, and OpenAPI documents as FastAPI writes them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

from tests.support.pages import PROJECT

Json = dict[str, Any]

SCRIPTS = PROJECT / "scripts"
CHECKED_IN = (PROJECT / "openapi.json").read_bytes()


@contextmanager
def importing(name: str) -> Iterator[ModuleType]:
    """A script as a module; it finds the other scripts as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        yield importlib.import_module(name)


def schemas(document: Json) -> Any:
    return document["components"]["schemas"]


def fields(document: Json) -> Any:
    return schemas(document)["ApiKeyResponse"]["properties"]


def engine_document() -> Json:
    """A document as the engine emits it: ours without our corrections, and operations of other tags."""
    document: Json = json.loads(CHECKED_IN)
    del document["servers"], document["tags"]
    document["info"] = {"title": "Arthur GenAI Engine", "version": "2.1.686"}
    paths, models = document["paths"], schemas(document)
    paths["/auth/api_keys/"]["post"]["description"] = "Generates a new API key."
    paths["/auth/api_keys/{api_key_id}"]["get"]["parameters"][0]["schema"]["format"] = "uuid"
    paths["/auth/api_keys/deactivate/{api_key_id}"]["delete"]["parameters"][0]["schema"]["format"] = "uuid"
    roles = models["APIKeysRolesEnum"]
    roles["enum"].append("TENANT-USER")
    del roles["x-enum-varnames"], roles["description"]
    models["ValidationError"]["properties"].update(input={"title": "Input"}, ctx={"type": "object", "title": "Context"})
    del fields(document)["key"]["anyOf"][0]["format"]
    for name in ("ApiKeyResponse", "NewApiKeyRequest"):
        del models[name]["description"]
        for field in models[name]["properties"].values():
            field["description"] = "In the engine's own words"
    del document["components"]["securitySchemes"]["API Key"]["description"]
    document["components"]["securitySchemes"]["OAuth2"] = {"type": "oauth2", "flows": {}}
    models["Rule"] = {"type": "object", "properties": {"task": ref("Task")}}
    models["Task"] = {"type": "object", "properties": {"name": {"type": "string"}, "rules": list_of("Rule")}}
    paths["/api/v2/tasks"] = {"get": operation("get_all_tasks", tag="Tasks", answer=list_of("Task"))}
    paths["/health"] = {"get": {"operationId": "health", "responses": {"200": {"description": "Well"}}}}
    return document


def changed_document(role: str = "NEW-ROLE") -> Json:
    """The engine's document after a change: one more role."""
    document = engine_document()
    schemas(document)["APIKeysRolesEnum"]["enum"].append(role)
    return document


def with_new_role() -> bytes:
    """Today's contract plus that role."""
    document = json.loads(CHECKED_IN)
    schemas(document)["APIKeysRolesEnum"]["enum"].append("NEW-ROLE")
    schemas(document)["APIKeysRolesEnum"]["x-enum-varnames"].append("NEW_ROLE")
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def operation(
    name: str, *, answer: Json, tag: str = "API Keys", body: str | None = None, parameters: list[Json] | None = None
) -> Json:
    made: Json = {"tags": [tag], "summary": name, "operationId": name, "security": [{"API Key": []}]}
    if body is not None:
        made["requestBody"] = {**json_content(ref(body)), "required": True}
    if parameters:
        made["parameters"] = parameters
    return {**made, "responses": {"200": {"description": "Successful Response", **json_content(answer)}}}


def json_content(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str) -> Json:
    return {"items": ref(name), "type": "array"}
