"""The comparison of two documents: which changes are seen, and which of them may break a client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.scripts import Json, importing, list_of, operation, ref

with importing("compare_spec") as script:
    compare = script.compare

GONE = object()


def document() -> Json:
    """Two operations: `In` is sent only, `Out` answered only, and `Both` is in either."""
    fields: Json = {
        "name": {"type": "string", "maxLength": 9, "minLength": 2},
        "kind": ref("Kind"),
        "both": ref("Both"),
        "many": list_of("Both"),
        "thing": {},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
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


TEXT = {"type": "string"}
NEW = {"name": "new", "in": "query"}
BODY = "write.requestBody.content.application/json"
JSON = "content application/json"

AROUND_THE_SCHEMAS: list[tuple[str, Any, str, bool]] = [
    ("info version", "2", "changed info the document: {", False),
    ("security", [{"API Key": []}], "added security the document: ", True),
    ("paths /read", GONE, 'removed operation read: {"place": "GET /read"', True),
    ("read tags", [], "removed API Keys read.tags: API Keys", True),
    ("write parameters -", NEW, "added parameter write.parameters.new: {", False),
    ("write parameters -", {**NEW, "required": True}, "added parameter write.parameters.new: {", True),
    ("write parameters 0 in", "header", "changed in write.parameters.page: query -> header", True),
    ("write parameters 0 required", True, "added required write.parameters.page: true", True),
    ("write parameters 0 schema default", 2, "changed default write.parameters.page: 1 -> 2", True),
    ("write requestBody", GONE, "removed requestBody write: {", True),
    (f"write requestBody {JSON}", GONE, f"removed media type {BODY}: ", True),
    ("read responses 204", {}, "added response read.responses.204: {}", True),
    ("read responses 200", GONE, "removed response read.responses.200: ", True),
    ("Kind", GONE, "removed model Kind: ", True),
    ("Kind enum -", "c", "added enum value Kind: c", False),
    ("OutKind enum -", "c", "added enum value OutKind: c", True),
    ("OutKind enum", GONE, 'removed enum OutKind: {"a": "a", "b": "b"}', True),
    ("Kind x-enum-varnames 0", "FIRST", "changed name Kind.a: A -> FIRST", True),
    ("components securitySchemes API~Key scheme", "basic", "changed scheme securitySchemes.API Key: bearer -> ", True),
    # What is both sent and answered breaks if it does in either.
    ("Both required -", "self", "added required field Both: self", True),
]

# Below `In` or `Out`: whether a change breaks where it is sent, and where it is answered.
SCHEMAS: list[tuple[str, Any, str, bool, bool]] = [
    ("properties maybe", GONE, "removed field {}.maybe: {{", True, True),
    ("properties description", TEXT, "added field {}.description: ", False, False),
    ("required -", "kind", "added required field {}: kind", True, False),
    ("required", [], "removed required field {}: name", False, True),
    ("properties maybe anyOf -", {"type": "integer"}, "added integer {}.maybe.anyOf: ", True, True),
    ("properties maybe anyOf 0 maxLength", 8, "added maxLength {}.maybe.anyOf.string: 8", True, True),
    (
        "properties maybe anyOf -",
        {"type": ["integer", "null"]},
        'added ["integer", "null"] {}.maybe.anyOf: ',
        True,
        True,
    ),
    ("properties name maxLength", 8, "changed maxLength {}.name: 9 -> 8", True, True),
    ("properties all allOf 1 properties more", GONE, "removed field {}.all.allOf.item.more: ", True, True),
]


def seen(place: str, value: Any) -> dict[str, bool]:
    return {str(change): change.breaking for change in compare(document(), edited(place, value))}


@pytest.mark.parametrize(("place", "value", "text", "breaking"), AROUND_THE_SCHEMAS)
def test_a_change_around_the_schemas(place: str, value: Any, text: str, breaking: bool) -> None:
    changes = seen(place, value)
    assert [breaks for line, breaks in changes.items() if line.startswith(text)] == [breaking], changes
    assert all(len(line) < 250 for line in changes)


@pytest.mark.parametrize(("place", "value", "text", "sent", "answered"), SCHEMAS)
def test_a_change_of_a_schema(place: str, value: Any, text: str, sent: bool, answered: bool) -> None:
    for name, breaking in (("In", sent), ("Out", answered)):
        changes = seen(f"{name} {place}", value)
        assert [breaks for line, breaks in changes.items() if line.startswith(text.format(name))] == [breaking], changes


def test_an_order_is_no_change() -> None:
    new = edited("OutKind enum", ["b", "a"])
    new["paths"]["/write"]["post"]["parameters"].reverse()
    assert compare(document(), new) == compare(document(), document()) == []


def test_members_of_one_type_and_circles_are_compared() -> None:
    def made(length: int) -> Any:
        members = [{"type": "string", "maxLength": 1}, {"type": "string", "maxLength": length}]
        document = edited("In properties maybe anyOf", members)
        document["components"]["schemas"]["Both"]["allOf"] = [ref("Both"), ref("In"), list_of("Both")]
        return copied(document)

    (change,) = compare(made(8), made(9))
    assert str(change) == "changed maxLength In.maybe.anyOf.string #2: 8 -> 9"
