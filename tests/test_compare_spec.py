"""The comparison of two documents: which changes are seen, and which of them break a client."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from spec_sources import list_of, operation, optional, ref

PROJECT = Path(__file__).parents[1]
Json = dict[str, Any]
Edit = Callable[[Json], object]


@pytest.fixture(scope="module")
def comparison() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROJECT / "scripts")
        yield importlib.import_module("compare_spec")


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


def media(made: Json) -> Any:
    return write(made)["requestBody"]["content"]


def put(node: Json, **values: Any) -> None:
    node.update(values)


OPERATIONS: list[tuple[Edit, str, bool]] = [
    (
        lambda made: put(made["info"], version="2"),
        'changed info the document: {"title": "Test", "version": "1"}',
        False,
    ),
    (lambda made: put(made, security=[{"API Key": []}]), "changed security the document", True),
    (lambda made: made["paths"].pop("/read"), "removed operation read: GET /read", True),
    (
        lambda made: put(made["paths"], **{"/new": {"get": {"operationId": "new"}}}),
        "added operation new: GET /new",
        False,
    ),
    (lambda made: put(made["paths"], **{"/moved": made["paths"].pop("/read")}), "removed operation read: GET", True),
    (lambda made: put(read(made), operationId="fetch"), "changed operation id read: read -> fetch", True),
    (lambda made: put(read(made), summary="Reads"), "changed summary read: Read -> Reads", False),
    (lambda made: put(read(made), description="Reads"), "changed description read: null -> Reads", False),
    (lambda made: put(read(made), deprecated=True), "changed deprecated read: null -> true", False),
    (lambda made: put(read(made), security=[]), 'changed security read: [{"API Key": []}] -> []', True),
    (lambda made: put(read(made), tags=["Keys"]), 'changed tags read: ["API Keys"] -> ["Keys"]', True),
    (lambda made: put(read(made), callbacks={"x": {}}), 'changed callbacks read: null -> {"x": {}}', True),
    (lambda made: put(read(made), **{"x-internal": 1}), "changed x-internal read: null -> 1", False),
    (lambda made: write(made)["parameters"].pop(0), "removed query parameter write.parameters.page", True),
    (lambda made: write(made)["parameters"].pop(1), "removed query parameter write.parameters.size", True),
    (lambda made: write(made)["parameters"].reverse(), 'changed order write.parameters: ["page", "size"] -> ', True),
    (
        lambda made: write(made)["parameters"].append({"name": "new", "in": "query"}),
        "added query parameter write.parameters.new",
        False,
    ),
    (
        lambda made: write(made)["parameters"].append({"name": "new", "in": "header", "required": True}),
        "added required header parameter write.parameters.new",
        True,
    ),
    (
        lambda made: put(made["paths"]["/write"], parameters=[{"name": "all", "in": "query", "required": True}]),
        "added required query parameter write.parameters.all",
        True,
    ),
    (
        lambda made: put(write(made)["parameters"][0], required=True),
        "changed required write.parameters.page: false -> true",
        True,
    ),
    (
        lambda made: put(write(made)["parameters"][1], required=False),
        "changed required write.parameters.size: true -> false",
        False,
    ),
    (
        lambda made: put(write(made)["parameters"][0]["schema"], default=2),
        "changed default write.parameters.page: 1 -> 2",
        True,
    ),
    (
        lambda made: put(write(made)["parameters"][0]["schema"], maximum=8),
        "changed maximum write.parameters.page: 9 -> 8",
        True,
    ),
    (
        lambda made: put(write(made)["parameters"][0], style="form"),
        "changed style write.parameters.page: null -> form",
        True,
    ),
    (lambda made: write(made).pop("requestBody"), "removed request body write.body", True),
    (lambda made: put(read(made), requestBody={"content": {}}), "added request body read.body", False),
    (
        lambda made: put(read(made), requestBody={"content": {}, "required": True}),
        "added request body read.body",
        True,
    ),
    (
        lambda made: put(write(made)["requestBody"], required=False),
        "changed required write.body: true -> false",
        False,
    ),
    (lambda made: put(media(made), **{"text/csv": {}}), "added media type write.body.text/csv", False),
    (
        lambda made: put(media(made), **{"text/csv": media(made).pop("application/json")}),
        "removed media type write.body.application/json",
        True,
    ),
    (lambda made: put(read(made)["responses"], **{"401": {}}), "added response read.responses.401", False),
    (lambda made: put(read(made)["responses"], **{"204": {}}), "added response read.responses.204", True),
    (
        lambda made: put(read(made)["responses"], **{"201": read(made)["responses"].pop("200")}),
        "removed response read.responses.200",
        True,
    ),
    (
        lambda made: put(read(made)["responses"]["200"], description="Fine"),
        "changed description read.responses.200: Successful Response -> Fine",
        False,
    ),
    (
        lambda made: put(read(made)["responses"]["200"]["content"]["application/json"], schema=list_of("Out")),
        "changed type read.responses.200: Out -> array",
        True,
    ),
    (lambda made: put(made["paths"]["/read"], servers=[]), "changed servers read: null -> []", True),
    (lambda made: put(schema(made, "Both"), title="Two"), "changed title Both: null -> Two", False),
    (lambda made: put(made["components"]["schemas"], New={}), "added model New", False),
    (lambda made: made["components"]["schemas"].pop("Kind"), "removed model Kind", True),
    (
        lambda made: put(made["components"]["securitySchemes"]["API Key"], scheme="basic"),
        "changed scheme API Key: bearer -> basic",
        True,
    ),
    (
        lambda made: put(made["components"]["securitySchemes"]["API Key"], description="A token."),
        "changed description API Key: null -> A token.",
        False,
    ),
    (lambda made: made["components"]["securitySchemes"].clear(), "removed security scheme API Key", True),
]

# What happens to a schema, and whether that breaks where it is sent, and where it is answered.
SCHEMAS: list[tuple[Callable[[Json, str], object], str, bool, bool]] = [
    (lambda made, name: fields(made, name).pop("maybe"), "removed field {}.maybe: string | null", True, True),
    (lambda made, name: put(fields(made, name), new={"type": "string"}), "added field {}.new: string", False, False),
    (
        lambda made, name: put(schema(made, name), required=["name", "kind"]),
        "changed required {}.kind: false -> true",
        True,
        False,
    ),
    (lambda made, name: put(schema(made, name), required=[]), "changed required {}.name: true -> false", False, True),
    (
        lambda made, name: put(
            fields(made, name), maybe={"type": "string", "title": "Maybe", "description": "Perhaps"}
        ),
        "changed type {}.maybe: string | null -> string",
        True,
        False,
    ),
    (
        lambda made, name: fields(made, name)["maybe"]["anyOf"].append({"type": "integer"}),
        "changed type {}.maybe: string | null -> string | null | integer",
        False,
        True,
    ),
    (
        lambda made, name: put(fields(made, name), both={"type": "string"}),
        "changed type {}.both: Both -> string",
        True,
        True,
    ),
    (
        lambda made, name: put(fields(made, name)["many"], items={}),
        "changed type {}.many.*: Both -> any",
        False,
        True,
    ),
    (
        lambda made, name: put(fields(made, name)["thing"], type="string"),
        "changed type {}.thing: any -> string",
        True,
        False,
    ),
    (
        lambda made, name: put(fields(made, name)["name"], type=["string", "null"]),
        "changed type {}.name: string -> string | null",
        False,
        True,
    ),
    (
        lambda made, name: put(fields(made, name)["name"], format="uuid"),
        "changed type {}.name: string -> string(uuid)",
        True,
        True,
    ),
    (lambda made, name: put(fields(made, name)["name"], maxLength=8), "changed maxLength {}.name: 9 -> 8", True, False),
    (
        lambda made, name: put(fields(made, name)["name"], maxLength=10),
        "changed maxLength {}.name: 9 -> 10",
        False,
        True,
    ),
    (
        lambda made, name: fields(made, name)["name"].pop("maxLength"),
        "changed maxLength {}.name: 9 -> null",
        False,
        True,
    ),
    (lambda made, name: put(fields(made, name)["name"], minLength=3), "changed minLength {}.name: 2 -> 3", True, False),
    (lambda made, name: put(fields(made, name)["name"], minLength=1), "changed minLength {}.name: 2 -> 1", False, True),
    (lambda made, name: put(fields(made, name)["name"], pattern="a"), "changed pattern {}.name: null -> a", True, True),
    (
        lambda made, name: put(fields(made, name)["name"], enum=["x"]),
        'changed enum {}.name: null -> ["x"]',
        True,
        False,
    ),
    (
        lambda made, name: put(fields(made, name)["name"], const="x"),
        'changed enum {}.name: null -> ["x"]',
        True,
        False,
    ),
    (
        lambda made, name: put(fields(made, name)["name"], default="x"),
        "changed default {}.name: null -> x",
        True,
        False,
    ),
    (
        lambda made, name: put(fields(made, name)["maybe"], description="Maybe"),
        "changed description {}.maybe: Perhaps -> Maybe",
        False,
        False,
    ),
    (
        lambda made, name: put(fields(made, name)["maybe"]["anyOf"][0], maxLength=8),
        "changed maxLength {}.maybe: null -> 8",
        True,
        False,
    ),
    (
        lambda made, name: fields(made, name)["all"]["allOf"][2]["properties"].clear(),
        "removed field {}.all.most: string",
        True,
        True,
    ),
    (
        lambda made, name: fields(made, name)["all"]["allOf"][1]["properties"].clear(),
        "removed field {}.all.more: string",
        True,
        True,
    ),
    (lambda made, name: fields(made, name)["all"]["allOf"].pop(2), "removed part {}.all: object #2", False, True),
    (
        lambda made, name: fields(made, name)["all"]["allOf"].append({"type": "string"}),
        "added part {}.all: string",
        True,
        False,
    ),
    (
        lambda made, name: put(fields(made, name)["all"], anyOf=[{"type": "string"}]),
        "changed type {}.all: object -> string",
        True,
        True,
    ),
    (
        lambda made, name: put(fields(made, name)["maybe"], discriminator={"propertyName": "id"}),
        'changed discriminator {}.maybe: null -> {{"propertyName": "id"}}',
        True,
        True,
    ),
]


def changed(comparison: ModuleType, edit: Edit) -> list[Any]:
    new = document()
    edit(new)
    changes: list[Any] = comparison.compare(document(), new)
    return changes


def assert_seen(changes: list[Any], text: str, *, breaking: bool) -> None:
    found = [change for change in changes if str(change).startswith(text)]
    assert [change.breaking for change in found] == [breaking], [*map(str, changes)]


def test_the_same_documents_have_no_changes(comparison: ModuleType) -> None:
    assert comparison.compare(document(), document()) == []
    assert comparison.compare(document(), json.loads(json.dumps(document(), sort_keys=True))) == []


@pytest.mark.parametrize(("edit", "text", "breaking"), OPERATIONS, ids=[text for _, text, _ in OPERATIONS])
def test_a_change_around_the_schemas(comparison: ModuleType, edit: Edit, text: str, breaking: bool) -> None:
    assert_seen(changed(comparison, edit), text, breaking=breaking)


@pytest.mark.parametrize(("edit", "text", "sent", "answered"), SCHEMAS, ids=[text for _, text, _, _ in SCHEMAS])
def test_a_change_of_a_schema(
    comparison: ModuleType, edit: Callable[[Json, str], object], text: str, sent: bool, answered: bool
) -> None:
    for name, breaking in (("In", sent), ("Out", answered)):
        new = document()
        edit(new, name)
        changes = comparison.compare(document(), new)
        assert_seen(changes, text.format(name), breaking=breaking)
        assert len(changes) == 1


@pytest.mark.parametrize(
    ("name", "values", "text", "breaking"),
    [
        ("Kind", ["a", "b", "c"], "added enum value Kind: c", False),
        ("OutKind", ["a", "b", "c"], "added enum value OutKind: c", True),
        ("Kind", ["a"], "removed enum value Kind: b", True),
        ("OutKind", ["a"], "removed enum value OutKind: b", True),
    ],
)
def test_a_change_of_an_enum(comparison: ModuleType, name: str, values: list[str], text: str, breaking: bool) -> None:
    changes = changed(comparison, lambda made: put(schema(made, name), enum=values))
    assert_seen(changes, text, breaking=breaking)
    assert len(changes) == 1


def test_another_name_of_an_enum_value_breaks(comparison: ModuleType) -> None:
    old, new = document(), document()
    put(schema(old, "Kind"), **{"x-enum-varnames": ["A", "B"]})
    put(schema(new, "Kind"), **{"x-enum-varnames": ["FIRST", "B"]})
    assert_seen(comparison.compare(old, new), "changed enum name Kind: A -> FIRST", breaking=True)
    put(schema(new, "Kind"), **{"enum": ["c", "a", "b"], "x-enum-varnames": ["C", "A", "B"]})
    assert [str(change) for change in comparison.compare(old, new)] == ["added enum value Kind: c"]


def test_a_required_field_that_is_new_breaks_where_it_is_sent(comparison: ModuleType) -> None:
    def add(name: str) -> Edit:
        new = {"required": ["name", "new"], "properties": {**fields(document(), name), "new": {"type": "string"}}}
        return lambda made: put(schema(made, name), **new)

    assert_seen(changed(comparison, add("In")), "added required field In.new: string", breaking=True)
    assert_seen(changed(comparison, add("Out")), "added required field Out.new: string", breaking=False)


def test_extra_fields_that_are_allowed_break_where_they_are_answered(comparison: ModuleType) -> None:
    changes = changed(comparison, lambda made: put(schema(made, "Out"), additionalProperties=True))
    assert_seen(changes, "changed type Out.*: nothing -> any", breaking=True)
    changes = changed(comparison, lambda made: put(schema(made, "In"), additionalProperties=False))
    assert_seen(changes, "changed type In.*: any -> nothing", breaking=True)


def test_what_is_sent_and_answered_breaks_if_it_does_in_either(comparison: ModuleType) -> None:
    for text, required in (("true -> false", []), ("false -> true", ["id", "self"])):
        new = document()
        put(schema(new, "Both"), required=required)
        changes = comparison.compare(document(), new)
        assert [(change.breaking, str(change).endswith(text)) for change in changes] == [(True, True)]


def test_references_to_parameters_and_answers_are_followed(comparison: ModuleType) -> None:
    def refer(made: Json) -> None:
        made["components"]["parameters"] = {"Page": write(made)["parameters"][0]}
        made["components"]["responses"] = {"Read": read(made)["responses"]["200"]}
        write(made)["parameters"][0] = {"$ref": "#/components/parameters/Page"}
        read(made)["responses"]["200"] = {"$ref": "#/components/responses/Read"}

    assert [str(change) for change in changed(comparison, refer)] == ["changed writing the document"]


def test_a_difference_without_a_rule_is_still_a_change(comparison: ModuleType) -> None:
    changes = changed(comparison, lambda made: schema(made, "Kind")["enum"].reverse())
    assert [(str(change), change.breaking) for change in changes] == [("changed writing the document", False)]
    changes = changed(comparison, lambda made: put(schema(made, "Kind"), default=True))
    assert len(changes) == 1
    old = document()
    put(schema(old, "Kind"), default=1)
    new = document()
    put(schema(new, "Kind"), default=True)
    assert [str(change) for change in comparison.compare(old, new)] == ["changed default Kind: 1 -> true"]


def test_breaking_changes_come_first(comparison: ModuleType) -> None:
    def edit(made: Json) -> None:
        put(read(made), summary="Reads", operationId="fetch")
        put(schema(made, "Kind"), enum=["b", "c"])

    changes = changed(comparison, edit)
    assert [change.breaking for change in changes] == [True, True, False, False]


def test_a_long_value_is_cut_in_the_line_only(comparison: ModuleType) -> None:
    (change,) = changed(comparison, lambda made: put(read(made), description="x" * 1000))
    assert len(str(change)) < 200
    assert len(change.after) == 1000
