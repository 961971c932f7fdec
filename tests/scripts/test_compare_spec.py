"""The comparison of two documents: which changes are seen, and which of them may break a client."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.comparisons import GONE, copied, document, edited
from tests.support.spec_sources import list_of, ref
from tests.support.syncing import importing

with importing("compare_spec") as script:
    compare = script.compare

TEXT = {"type": "string"}
NEW = {"name": "new", "in": "query"}
BODY = "write.requestBody.content.application/json"
JSON = "content application/json"

AROUND_THE_SCHEMAS: list[tuple[str, Any, str, bool]] = [
    ("info version", "2", "changed info the document: {", False),
    ("tags", [{"name": "API Keys"}], "added tags of the document the document: {", False),
    ("security", [{"API Key": []}], "added security the document: ", True),
    ("paths /read", GONE, 'removed operation read: {"place": "GET /read"', True),
    ("paths /new", {"get": {"operationId": "new"}}, 'added operation new: {"place": "GET /new"', False),
    ("read operationId", "fetch", "removed operation read: ", True),
    ("read security", [], 'removed item read.security: {"API Key": []}', True),
    ("read tags", [], "removed API Keys read.tags: API Keys", True),
    ("read summary", "x" * 1000, "changed summary read: read -> xxx", False),
    ("write parameters -", NEW, "added parameter write.parameters.new: {", False),
    ("write parameters -", {**NEW, "required": True}, "added parameter write.parameters.new: {", True),
    ("write parameters 0 in", "header", "changed in write.parameters.page: query -> header", True),
    ("write parameters 0 required", True, "added required write.parameters.page: true", True),
    ("write parameters 0 schema default", 2, "changed default write.parameters.page: 1 -> 2", True),
    ("write requestBody", GONE, "removed requestBody write: {", True),
    ("read requestBody", {"content": {}}, "added requestBody read: {", True),
    ("write requestBody content text/csv", {}, "added media type write.requestBody.content.text/csv: {}", False),
    (f"write requestBody {JSON}", GONE, f"removed media type {BODY}: ", True),
    ("read responses 401", {}, "added response read.responses.401: {}", False),
    ("read responses 204", {}, "added response read.responses.204: {}", True),
    ("read responses 200", GONE, "removed response read.responses.200: ", True),
    ("New", {}, "added model New: {}", False),
    ("Kind", GONE, "removed model Kind: ", True),
    ("Kind enum -", "c", "added enum value Kind: c", False),
    ("OutKind enum -", "c", "added enum value OutKind: c", True),
    ("OutKind enum 0", GONE, "removed enum value OutKind: a", True),
    ("OutKind enum", GONE, 'removed enum OutKind: {"a": "a", "b": "b"}', True),
    ("Kind x-enum-varnames 0", "FIRST", "changed name Kind.a: A -> FIRST", True),
    ("components securitySchemes API~Key scheme", "basic", "changed scheme securitySchemes.API Key: bearer -> ", True),
    # What is both sent and answered breaks if it does in either.
    ("Both required", [], "removed required field Both: id", True),
    ("Both required -", "self", "added required field Both: self", True),
]

# Below `In` or `Out`: whether a change breaks where it is sent, and where it is answered.
SCHEMAS: list[tuple[str, Any, str, bool, bool]] = [
    ("properties maybe", GONE, "removed field {}.maybe: {{", True, True),
    ("properties new", TEXT, 'added field {}.new: {{"type": "string"}}', False, False),
    ("properties description", TEXT, "added field {}.description: ", False, False),
    ("properties name description", "The name", "added description {}.name: The name", False, False),
    ("required -", "kind", "added required field {}: kind", True, False),
    ("required", [], "removed required field {}: name", False, True),
    ("properties maybe anyOf -", {"type": "integer"}, "added integer {}.maybe.anyOf: ", True, True),
    ("properties maybe anyOf 0 maxLength", 8, "added maxLength {}.maybe.anyOf.string: 8", True, True),
    ("properties both", TEXT, "added type {}.both: string", True, True),
    (
        "properties maybe anyOf -",
        {"type": ["integer", "null"]},
        'added ["integer", "null"] {}.maybe.anyOf: ',
        True,
        True,
    ),
    ("properties name format", "uuid", "added format {}.name: uuid", True, True),
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


def test_true_is_not_one() -> None:
    changes = compare(edited("Kind default", 1), edited("Kind default", True))
    assert [str(change) for change in changes] == ["changed default Kind: 1 -> true"]


def test_members_of_one_type_and_circles_are_compared() -> None:
    def made(length: int) -> Any:
        members = [{"type": "string", "maxLength": 1}, {"type": "string", "maxLength": length}]
        document = edited("In properties maybe anyOf", members)
        document["components"]["schemas"]["Both"]["allOf"] = [ref("Both"), ref("In"), list_of("Both")]
        return copied(document)

    (change,) = compare(made(8), made(9))
    assert str(change) == "changed maxLength In.maybe.anyOf.string #2: 8 -> 9"


def test_breaking_changes_come_first() -> None:
    new = edited("read summary", "x" * 1000)
    new["components"]["schemas"]["Kind"].update({"enum": ["b", "c"], "x-enum-varnames": ["B", "C"]})
    changes = compare(document(), new)
    assert [change.breaking for change in changes] == [True, False, False]
    assert len(changes[-1].after) == 1000
