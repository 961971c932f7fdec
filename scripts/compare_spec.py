"""Compares two OpenAPI documents from a client's side: every change, and whether it may break a client.

Both are compared entry by entry, and lists by what names their items, so that an order changes nothing. A change counts
as breaking unless it is one of the few that can't be. Whether our client reads what may be answered now is for
contract_check to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

from spec_document import METHODS, entries, items, resolved

DOCUMENT = "the document"
HARMLESS = frozenset(("title", "summary", "description", "example", "examples", "deprecated", "externalDocs", "info"))
HARMLESS |= {"$comment", "openapi", "servers", "tags of the document"}
# What an entry is, by the word above it.
NAMED = {"operations": "operation", "schemas": "model", "securitySchemes": "security scheme", "properties": "field"}
NAMED |= {"parameters": "parameter", "responses": "response", "content": "media type", "enum": "enum value"}
NAMED |= {"required": "required field"}
# A subject says as much without these.
UNSAID = {"components", "operations", "schemas", "properties", "schema", "enum", "required"}


class Change(NamedTuple):
    """One difference; before and after are None where there is nothing."""

    kind: str
    what: str
    subject: str
    before: Any
    after: Any
    breaking: bool

    def __str__(self) -> str:
        values = [shown(value) for value in (self.before, self.after) if value is not None]
        return one_line(f"{self.kind} {self.what} {self.subject}{': ' if values else ''}{' -> '.join(values)}")


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """List the changes, the breaking ones first; none only if the documents say the same."""
    used: dict[str, set[str]] = {}
    for document in (old, new):
        note_uses(document, document.get("paths"), "sent", used)
    changes = differences(by_operation(old), by_operation(new), "", "", used, {"sent"})
    return sorted(changes, key=lambda change: (not change.breaking, change.subject, change.what, str(change)))


def note_uses(document: dict[str, Any], node: Any, direction: str, used: dict[str, set[str]]) -> None:
    """Note of each component that is referred to below a node whether it is sent or answered."""
    reference = entries(node).get("$ref")
    if isinstance(reference, str) and direction not in (uses := used.setdefault(reference.rpartition("/")[2], set())):
        uses.add(direction)
        note_uses(document, resolved(document, node), direction, used)
    for key, value in node.items() if isinstance(node, dict) else enumerate(items(node)):
        note_uses(document, value, "answered" if key == "responses" else direction, used)


def differences(
    old: Any, new: Any, group: str, subject: str, used: dict[str, set[str]], directions: set[str]
) -> Iterator[Change]:
    """Compare two objects, whose keys are names below the word of a group, and else words."""
    for key in old.keys() | new.keys():
        before, after = keyed(old.get(key)), keyed(new.get(key))
        if same(before, after):
            continue
        is_group = not group and key in NAMED
        inner = ".".join(filter(None, (subject, key))) if group or key not in UNSAID else subject
        if group == "schemas":
            directions = used.get(key, set())
        if is_group and key != "enum" and not isinstance(before or after, bool):
            before, after = before or {}, after or {}
        if isinstance(before, dict) and isinstance(after, dict) and (group or key not in HARMLESS):
            further = {"answered"} if is_group and key == "responses" else directions
            yield from differences(before, after, key if is_group else "", inner, used, further)
        else:
            kind = "added" if before is None else "removed" if after is None else "changed"
            what, place = (NAMED[group], inner) if group else (key, subject or DOCUMENT)
            if group == "enum" and kind == "changed":
                what = "name"
            elif group in ("enum", "required"):
                # The value itself, not its name in Python.
                place = subject
                before, after = (None if each is None else key for each in (before, after))
            breaking = not harmless(group, key, kind, after, directions)
            yield Change(kind, what, place, before, after, breaking)


def harmless(group: str, key: str, kind: str, after: Any, directions: set[str]) -> bool:
    """Tell whether no client can mind a change."""
    if not group:
        return key in HARMLESS or key.startswith("x-")
    if group == "responses":
        # Of errors, a client has to take any.
        return not key.startswith("2")
    if group == "required":
        return ("sent" if kind == "added" else "answered") not in directions
    if group == "parameters":
        return kind == "added" and entries(after).get("required") is not True
    return kind == "added" and (group != "enum" or "answered" not in directions)


def by_operation(document: dict[str, Any]) -> dict[str, Any]:
    """Give a document with its operations by their ids, each with its place and what its path says."""
    operations = {}
    for path, path_item in entries(document.get("paths")).items():
        shared = {key: value for key, value in entries(path_item).items() if key not in METHODS}
        for method in METHODS:
            if operation := entries(entries(path_item).get(method)):
                parameters = [*items(shared.get("parameters")), *items(operation.get("parameters"))]
                place = {"place": f"{method.upper()} {path}"}
                made = {**place, **shared, **operation, "parameters": parameters}
                operations[str(operation.get("operationId"))] = made
    others = {key: value for key, value in document.items() if key not in ("paths", "tags")}
    return {**others, "operations": operations, "tags of the document": document.get("tags")}


def keyed(value: Any) -> Any:
    """Give a list's items by what names them, and an enum's values with their names."""
    if isinstance(value, dict) and "x-enum-varnames" in value:
        values, names = map(items, (value.get("enum"), value["x-enum-varnames"]))
        enum = dict(zip_longest(map(shown, values), names[: len(values)], fillvalue=""))
        return {**{key: each for key, each in value.items() if key != "x-enum-varnames"}, "enum": enum}
    if not isinstance(value, list):
        return value
    made: dict[str, Any] = {}
    for item in value:
        words = entries(item)
        kind = " ".join(shown(words[word]) for word in ("type", "format") if word in words)
        name = words.get("name", words.get("$ref", kind or "item")) if words else item
        text = shown(name).rpartition("/")[2]
        count = sum(other.partition(" #")[0] == text for other in made)
        made[f"{text} #{count + 1}" if count else text] = item
    return made


def same(old: Any, new: Any) -> bool:
    """Compare as JSON does, where true is not 1."""
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def one_line(text: str) -> str:
    """Make a server's words fit for a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def shown(value: Any) -> str:
    """Show a value within a line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:99]}…"
