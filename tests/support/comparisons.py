"""A document to compare with others, and ways to change it."""

from __future__ import annotations

import json
from typing import Any

from tests.support.spec_sources import Json, list_of, operation, optional, ref

GONE = object()


def document() -> Json:
    """Two operations: `In` is sent only, `Out` answered only, and `Both` is in either."""
    fields: Json = {
        "name": {"type": "string", "maxLength": 9, "minLength": 2},
        "kind": ref("Kind"),
        "both": ref("Both"),
        "many": list_of("Both"),
        "thing": {},
        "maybe": optional("Maybe", "Perhaps"),
        "all": {"allOf": [ref("Both"), {"properties": {"more": {"type": "string"}}}]},
    }
    parameters: list[Json] = [
        {"name": "page", "in": "query", "schema": {"type": "integer", "maximum": 9, "default": 1}},
        {"name": "size", "in": "query", "required": True, "schema": {"type": "integer"}},
    ]
    made: Json = {
        "openapi": "3.1.0",
        "info": {"title": "Test", "version": "1"},
        "paths": {
            "/write": {"post": operation("write", body="In", answer={}, parameters=parameters)},
            "/read": {"get": operation("read", answer=ref("Out"))},
        },
        "components": {
            "schemas": {
                "In": {"type": "object", "properties": fields, "required": ["name"]},
                "Out": {"type": "object", "properties": {**fields, "kind": ref("OutKind")}, "required": ["name"]},
                "Kind": {"type": "string", "enum": ["a", "b"], "x-enum-varnames": ["A", "B"]},
                "OutKind": {"type": "string", "enum": ["a", "b"]},
                "Both": {"properties": {"self": ref("Both"), "id": {"type": "string"}}, "required": ["id"]},
            },
            "securitySchemes": {"API Key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return copied(made)


def copied(document: Json) -> Json:
    made: Json = json.loads(json.dumps(document))
    return made


def edited(place: str, value: Any) -> Json:
    """The document with something else at a place; `-` is the end of a list, and `~` stands for a space."""
    made = document()
    starts = {"read": ["paths", "/read", "get"], "write": ["paths", "/write", "post"]}
    first, *rest = place.replace(" ", "\n").replace("~", " ").split("\n")
    start = ["components", "schemas", first] if first[0].isupper() else starts.get(first, [first])
    node: Any = made
    *keys, last = [*start, *rest]
    for key in keys:
        node = node[int(key) if isinstance(node, list) else key]
    if last == "-":
        node.append(value)
    elif value is GONE:
        del node[int(last) if isinstance(node, list) else last]
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return copied(made)
