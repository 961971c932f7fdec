"""The comparison of schemas: a change may break a client where they are sent, where they are answered, or in both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from tests.support.comparisons import Edit, assert_seen, changed, document, fields, put, schema
from tests.support.spec_sources import Json
from tests.support.syncing import importing


@pytest.fixture(scope="module")
def comparison() -> Iterator[ModuleType]:
    with importing("compare_spec") as module:
        yield module


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
