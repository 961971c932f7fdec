"""The comparison of two documents around their schemas: which changes are seen, and which of them break a client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.support.comparisons import Edit, assert_seen, changed, document, put, read, schema, write
from tests.support.spec_sources import Json, list_of
from tests.support.syncing import importing


@pytest.fixture(scope="module")
def comparison() -> Iterator[ModuleType]:
    with importing("compare_spec") as module:
        yield module


def media(made: Json) -> Any:
    return write(made)["requestBody"]["content"]


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


def test_the_same_documents_have_no_changes(comparison: ModuleType) -> None:
    assert comparison.compare(document(), document()) == []
    assert comparison.compare(document(), json.loads(json.dumps(document(), sort_keys=True))) == []


@pytest.mark.parametrize(("edit", "text", "breaking"), OPERATIONS, ids=[text for _, text, _ in OPERATIONS])
def test_a_change_around_the_schemas(comparison: ModuleType, edit: Edit, text: str, breaking: bool) -> None:
    assert_seen(changed(comparison, edit), text, breaking=breaking)


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
