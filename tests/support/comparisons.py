"""A document to compare with others, ways to change it, and what is to be seen of a change."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tests.support.spec_sources import Json, list_of, operation, optional, ref

Edit = Callable[[Json], object]


def document() -> Json:
    """Two operations: `In` is sent only, `Out` answered only, and `Both` is in either."""
    fields: Json = {
        "name": {"type": "string", "maxLength": 9, "minLength": 2},
        "kind": ref("Kind"),
        "both": ref("Both"),
        "many": list_of("Both"),
        "thing": {},
        "maybe": optional("Maybe", "Perhaps"),
        "all": {"allOf": [ref("Both"), *({"properties": {name: {"type": "string"}}} for name in ("more", "most"))]},
    }
    schemas: Json = {
        "In": {"type": "object", "properties": fields, "required": ["name"]},
        "Out": {
            "type": "object",
            "properties": {**fields, "kind": ref("OutKind")},
            "required": ["name"],
            "additionalProperties": False,
        },
        "Kind": {"type": "string", "enum": ["a", "b"]},
        "OutKind": {"type": "string", "enum": ["a", "b"]},
        "Both": {"type": "object", "properties": {"self": ref("Both"), "id": {"type": "string"}}, "required": ["id"]},
    }
    parameters: list[Json] = [
        {"name": "page", "in": "query", "schema": {"type": "integer", "maximum": 9, "default": 1}},
        {"name": "size", "in": "query", "required": True, "schema": {"type": "integer"}},
    ]
    write = operation("API Keys", "Write", "write", body="In", answer={}, parameters=parameters)
    del write["responses"]["422"]
    read = operation("API Keys", "Read", "read", answer=ref("Out"))
    made: Json = {
        "openapi": "3.1.0",
        "info": {"title": "Test", "version": "1"},
        "paths": {"/write": {"post": write}, "/read": {"get": read}},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"API Key": {"type": "http", "scheme": "bearer"}},
        },
    }
    copied: Json = json.loads(json.dumps(made))
    return copied


def write(made: Json) -> Any:
    return made["paths"]["/write"]["post"]


def read(made: Json) -> Any:
    return made["paths"]["/read"]["get"]


def schema(made: Json, name: str) -> Any:
    return made["components"]["schemas"][name]


def fields(made: Json, name: str) -> Any:
    return schema(made, name)["properties"]


def put(node: Json, **values: Any) -> None:
    node.update(values)


def changed(comparison: ModuleType, edit: Edit) -> list[Any]:
    new = document()
    edit(new)
    changes: list[Any] = comparison.compare(document(), new)
    return changes


def assert_seen(changes: list[Any], text: str, *, breaking: bool) -> None:
    found = [change for change in changes if str(change).startswith(text)]
    assert [change.breaking for change in found] == [breaking], [*map(str, changes)]
