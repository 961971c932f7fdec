"""The comparison of two documents: which changes are seen, and which of them break a client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.comparisons import GONE, copied, document, edited
from tests.support.spec_sources import list_of, ref
from tests.support.syncing import importing

with importing("compare_spec") as script:
    compare = script.compare

TEXT = {"type": "string"}
NEW = {"name": "new", "in": "query"}
JSON = "content application/json"

AROUND_THE_SCHEMAS: list[tuple[str, Any, str, bool]] = [
    ("info version", "2", "changed info the document: {", False),
    ("tags", [{"name": "API Keys"}], "changed tags of the document the document: null -> [", False),
    ("security", [{"API Key": []}], "changed security the document", True),
    ("paths /read", GONE, "removed operation read: GET /read", True),
    ("paths /new", {"get": {"operationId": "new"}}, "added operation new: GET /new", False),
    ("read operationId", "fetch", "removed operation read: GET /read", True),
    ("read security", [], 'changed security read: [{"API Key": []}] -> []', True),
    ("read tags", ["Keys"], 'changed tags read: ["API Keys"] -> ["Keys"]', True),
    ("write parameters -", NEW, "added query parameter write.parameters.new", False),
    ("write parameters -", {**NEW, "required": True}, "added required query parameter write.parameters.new", True),
    ("write parameters 0 in", "header", "removed query parameter write.parameters.page", True),
    ("write parameters 0 required", True, "changed required write.parameters.page: false -> true", True),
    ("write parameters 1 required", False, "changed required write.parameters.size: true -> false", False),
    ("write parameters 0 schema default", 2, "changed default write.parameters.page: 1 -> 2", True),
    ("write requestBody", GONE, "removed request body write.body", True),
    ("read requestBody", {"content": {}, "required": True}, "added required request body read.body", True),
    ("write requestBody content text/csv", {}, "added media type write.body.text/csv", False),
    (f"write requestBody {JSON}", GONE, "removed media type write.body.application/json", True),
    ("read responses 401", {}, "added response read.responses.401", False),
    ("read responses 204", {}, "added response read.responses.204", True),
    ("read responses 200", GONE, "removed response read.responses.200", True),
    (f"read responses 200 {JSON} schema", list_of("Out"), "changed type read.responses.200: ", True),
    ("New", {}, "added model New", False),
    ("Kind", GONE, "removed model Kind", True),
    ("Kind enum -", "c", "added enum value Kind: c", False),
    ("OutKind enum -", "c", "added enum value OutKind: c", True),
    ("OutKind enum 0", GONE, "removed enum value OutKind: a", True),
    ("Kind enum", GONE, 'changed enum Kind: ["a", "b"] -> null', False),
    ("OutKind enum", GONE, 'changed enum OutKind: ["a", "b"] -> null', True),
    ("Kind x-enum-varnames 0", "FIRST", 'changed name of "a" Kind: A -> FIRST', True),
    ("components securitySchemes API~Key scheme", "basic", "changed scheme API Key: bearer -> basic", True),
    # What is both sent and answered breaks if it does in either.
    ("Both required", [], "changed required Both.id: true -> false", True),
    ("Both required -", "self", "changed required Both.self: false -> true", True),
]

# Below `In` or `Out`: whether a change breaks where it is sent, and where it is answered.
SCHEMAS: list[tuple[str, Any, str, bool, bool]] = [
    ("properties maybe", GONE, "removed field {}.maybe: string | null", True, True),
    ("properties new", TEXT, "added field {}.new: string", False, False),
    ("required -", "kind", "changed required {}.kind: false -> true", True, False),
    ("required", [], "changed required {}.name: true -> false", False, True),
    ("properties maybe anyOf -", {"type": "integer"}, "changed type {}.maybe: string | null -> ", False, True),
    ("properties both", TEXT, "changed type {}.both: Both -> string", True, True),
    ("properties many items", {}, "changed type {}.many.*: Both -> any", False, True),
    ("properties thing type", "string", "changed type {}.thing: any -> string", True, False),
    ("properties name format", "uuid", "changed type {}.name: string -> string(uuid)", True, True),
    ("properties name maxLength", 8, "changed maxLength {}.name: 9 -> 8", True, False),
    ("properties name maxLength", GONE, "changed maxLength {}.name: 9 -> null", False, True),
    ("properties name minLength", 1, "changed minLength {}.name: 2 -> 1", False, True),
    ("properties name pattern", "a", "changed pattern {}.name: null -> a", True, True),
    ("properties name enum", ["x"], 'changed enum {}.name: null -> ["x"]', True, False),
    ("properties name default", "x", "changed default {}.name: null -> x", True, False),
    ("properties maybe anyOf 0 maxLength", 8, "changed maxLength {}.maybe: null -> 8", True, False),
    ("properties all allOf 1 properties more", GONE, "removed field {}.all.more: string", True, True),
    ("additionalProperties", False, "changed type {}.*: any -> nothing", True, False),
]


def seen(place: str, value: Any) -> dict[str, bool]:
    return {str(change): change.breaking for change in compare(document(), edited(place, value))}


@pytest.mark.parametrize(
    ("place", "value", "text", "breaking"), AROUND_THE_SCHEMAS, ids=[text for *_, text, _ in AROUND_THE_SCHEMAS]
)
def test_a_change_around_the_schemas(place: str, value: Any, text: str, breaking: bool) -> None:
    changes = seen(place, value)
    assert [breaks for line, breaks in changes.items() if line.startswith(text)] == [breaking], changes


@pytest.mark.parametrize(
    ("place", "value", "text", "sent", "answered"), SCHEMAS, ids=[f"{place} {text}" for place, _, text, *_ in SCHEMAS]
)
def test_a_change_of_a_schema(place: str, value: Any, text: str, sent: bool, answered: bool) -> None:
    for name, breaking in (("In", sent), ("Out", answered)):
        ((line, breaks),) = seen(f"{name} {place}", value).items()
        assert line.startswith(text.format(name))
        assert breaks == breaking


def test_the_order_of_parameters_is_that_of_arguments() -> None:
    new = document()
    new["paths"]["/write"]["post"]["parameters"].reverse()
    (change,) = compare(document(), new)
    assert (str(change), change.breaking) == (
        'changed order write.parameters: ["page", "size"] -> ["size", "page"]',
        True,
    )


def test_a_field_that_is_new_and_required_breaks_where_it_is_sent() -> None:
    for name in ("In", "Out"):
        new = edited(f"{name} properties new", TEXT)
        new["components"]["schemas"][name]["required"].append("new")
        (change,) = compare(document(), new)
        assert (str(change), change.breaking) == (f"added required field {name}.new: string", name == "In")


def test_what_is_the_same_otherwise_written_does_not_break() -> None:
    assert compare(document(), document()) == []
    assert compare(document(), json.loads(json.dumps(document(), sort_keys=True))) == []
    referring = copied(document())
    referring["components"]["parameters"] = {"Page": referring["paths"]["/write"]["post"]["parameters"][0]}
    referring["paths"]["/write"]["post"]["parameters"][0] = {"$ref": "#/components/parameters/Page"}
    for new in (referring, edited("OutKind enum", ["b", "a"])):
        assert [(str(change), change.breaking) for change in compare(document(), new)] == [
            ("changed writing the document", False)
        ]


def test_true_is_not_one() -> None:
    changes = compare(edited("Kind default", 1), edited("Kind default", True))
    assert [str(change) for change in changes] == ["changed default Kind: 1 -> true"]


def test_members_of_one_type_and_circles_are_compared() -> None:
    def made(length: int) -> Any:
        members = [{"type": "string", "maxLength": 1}, {"type": "string", "maxLength": length}]
        document = edited("In properties maybe anyOf", members)
        document["components"]["schemas"]["Both"]["allOf"] = [ref("Both"), ref("In")]
        return document

    changes = compare(made(8), made(9))
    assert {"changed maxLength In.maybe #2: 8 -> 9"} <= {str(change) for change in changes}


def test_breaking_changes_come_first_and_a_long_value_is_cut_in_the_line_only() -> None:
    new = edited("read summary", "x" * 1000)
    new["components"]["schemas"]["Kind"]["enum"] = ["b", "c"]
    changes = compare(document(), new)
    assert [change.breaking for change in changes] == [True, True, False, False]
    assert len(str(changes[-1])) < 200
    assert len(changes[-1].after) == 1000
