"""Compares two OpenAPI documents from a client's side: every change, and whether it breaks.

Each document is read into things that are there, such as a field, and into words about them, such as a default. Both
are then compared one by one. A change breaks if the server takes less than before, if it may answer with more, or if
something is gone that code may name. A word that has no rule here breaks. Our own, because what installs from PyPI for
this doesn't compare the members of an `anyOf`, which is how FastAPI writes each optional field.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from wrapper_needs import METHODS, entries, items, resolved, touched_by

DOCUMENT = "the document"
HARMLESS = frozenset(("title", "summary", "description", "example", "examples", "deprecated", "externalDocs"))
HARMLESS |= {"$comment", "openapi", "info", "servers of the document", "tags of the document"}
# Whether a higher bound allows more.
BOUNDS = {
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), True),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), False),
}
STRUCTURE = {"$ref", "anyOf", "oneOf", "type", "format"}
ABSENT = {"type": "any", "required": False}


class Change(NamedTuple):
    """One difference; before and after are None where there is nothing."""

    kind: str
    what: str
    subject: str
    before: Any
    after: Any
    breaking: bool

    @property
    def touches(self) -> list[str]:
        """The code of the wrapper that this breaks, perhaps."""
        return touched_by(self.subject) if self.breaking else []

    def __str__(self) -> str:
        values = [self.before, self.after]
        if self.kind != "changed" or values == [None, None]:
            values = [value for value in values if value is not None]
        text = f": {' -> '.join(map(shown, values))}" if values else ""
        return one_line(f"{self.kind} {self.what} {self.subject}{text}")


class Facts:
    """What a document says, by the subject that it is about."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        # Both by what they are and their subject; the values of things are only shown.
        self.things: dict[tuple[str, str], Any] = {}
        self.words: dict[tuple[str, str], Any] = {}
        self.directions: defaultdict[str, set[str]] = defaultdict(set)
        for word, value in document.items():
            if word not in ("paths", "components"):
                self.words[f"{word} of the document" if word in ("servers", "tags") else word, DOCUMENT] = value
        for place, operation in operations_of(document):
            self.read_operation(place, operation)
        components = entries(document.get("components"))
        for name in entries(components.get("schemas")):
            self.things["model", name] = None
        for name, scheme in entries(components.get("securitySchemes")).items():
            self.things["security scheme", name] = None
            self.read_words(name, scheme)

    def read_words(self, subject: str, node: Any, without: Iterable[str] = ()) -> None:
        """Read what has no structure that is known here."""
        self.words.update({(word, subject): value for word, value in entries(node).items() if word not in without})

    def read_operation(self, place: str, operation: dict[str, Any]) -> None:
        """Read an operation with its parameters, its body and its answers."""
        subject = str(operation.get("operationId"))
        self.things["operation", subject] = place
        self.words["place", subject] = place
        self.read_words(subject, operation, ("operationId", "parameters", "requestBody", "responses"))
        parameters = [entries(resolved(self.document, each)) for each in items(operation.get("parameters"))]
        self.words["order", f"{subject}.parameters"] = [str(each.get("name")) for each in parameters]
        for each in parameters:
            name = f"{subject}.parameters.{each.get('name')}"
            self.things[f"{each.get('in')} parameter", name] = None
            self.read_words(name, each, ("name", "in", "schema", "content"))
            self.read_schema(name, each.get("schema"), "request")
            self.read_contents(name, each, "request")
        if body := entries(resolved(self.document, operation.get("requestBody"))):
            self.things["request body", f"{subject}.body"] = None
            self.read_words(f"{subject}.body", body, ("content",))
            self.read_contents(f"{subject}.body", body, "request")
        for status, given in entries(operation.get("responses")).items():
            answer = f"{subject}.responses.{status}"
            response = entries(resolved(self.document, given))
            self.things["response", answer] = None
            self.read_words(answer, response, ("content",))
            self.read_contents(answer, response, "response")

    def read_contents(self, subject: str, node: dict[str, Any], direction: str) -> None:
        """Read what is sent or answered in each media type."""
        self.directions[subject].add(direction)
        for media_type, content in entries(node.get("content")).items():
            self.things["media type", f"{subject}.{media_type}"] = None
            self.read_words(f"{subject}.{media_type}", content, ("schema",))
            self.read_schema(subject, entries(content).get("schema"), direction)

    def read_schema(self, subject: str, schema: Any, direction: str) -> None:
        """Read a schema and the models that it refers to, each once for requests and once for answers."""
        self.directions[subject].add(direction)
        self.words["type", subject] = type_of(schema)
        for name, each in alternatives(schema).items():
            if "$ref" in each:
                self.read_model(each, direction)
            else:
                _, _, number = name.partition(" #")
                self.read_details(f"{subject} #{number}" if number else subject, each, direction)
        self.read_details(subject, entries(schema), direction)

    def read_model(self, reference: dict[str, Any], direction: str) -> str:
        """Read a model that is referred to, once for each direction, and give its name."""
        name = str(reference["$ref"]).rpartition("/")[2]
        if direction not in self.directions[name]:
            self.read_schema(name, resolved(self.document, reference), direction)
        return name

    def read_details(self, subject: str, node: dict[str, Any], direction: str) -> None:
        """Read what a schema says itself; the parts of an `allOf` count as its own words."""
        self.directions[subject].add(direction)
        for word, value in node.items():
            if word == "properties":
                for name, field in entries(value).items():
                    self.things["field", f"{subject}.{name}"] = type_of(field)
                    self.read_schema(f"{subject}.{name}", field, direction)
            elif word == "required":
                self.words.update({("required", f"{subject}.{name}"): True for name in items(value)})
            elif word in ("items", "additionalProperties"):
                self.read_schema(f"{subject}.*", value, direction)
            elif word == "allOf":
                for part in map(entries, items(value)):
                    if "$ref" not in part:
                        self.read_details(subject, part, direction)
                    elif len(value) > 1:
                        self.words[f"part {self.read_model(part, direction)}", subject] = True
            elif word == "const":
                self.words["enum", subject] = [value]
            elif word == "x-enum-varnames":
                for named, name in zip(items(node.get("enum")), items(value), strict=False):
                    self.words[f"name of {json.dumps(named)}", subject] = name
            elif word not in STRUCTURE:
                self.words[word, subject] = value


def compare(old_document: dict[str, Any], new_document: dict[str, Any]) -> list[Change]:
    """List the changes, the breaking ones first; none only if the documents are the same."""
    changes = [*differences(Facts(old_document), Facts(new_document))]
    if not changes and not same(old_document, new_document):
        # Lists in another order, or a reference instead of what it leads to.
        changes = [Change("changed", "writing", DOCUMENT, None, None, breaking=False)]
    return sorted(changes, key=lambda change: (not change.breaking, change.subject, change.what, str(change)))


def differences(old: Facts, new: Facts) -> Iterator[Change]:
    """Compare the things, then the words; what belongs to something new or gone is no change of its own."""
    new_or_gone = {subject for _, subject in old.things.keys() ^ new.things.keys()}
    for what, subject in old.things.keys() ^ new.things.keys():
        if not belongs(subject, new_or_gone):
            # Of errors, a client has to take any.
            success = what == "response" and subject.rpartition(".")[2].startswith("2")
            if (what, subject) in old.things:
                breaking = success or what != "response"
                yield Change("removed", what, subject, old.things[what, subject], None, breaking)
            else:
                required = "required " if new.words.get(("required", subject)) is True else ""
                breaking = success or (required != "" and "request" in new.directions[subject])
                yield Change("added", required + what, subject, None, new.things[what, subject], breaking)
    for word, subject in old.words.keys() | new.words.keys():
        if subject not in new_or_gone and not belongs(subject, new_or_gone):
            before, after = (each.words.get((word, subject), ABSENT.get(word)) for each in (old, new))
            directions = old.directions[subject] & new.directions[subject]
            directions = directions or old.directions[subject] | new.directions[subject]
            yield from changed(word, subject, before, after, directions)


def belongs(subject: str, others: set[str]) -> bool:
    """Tell whether a subject is a part of one of the others."""
    return any(subject.startswith((f"{other}.", f"{other} #")) for other in others)


def changed(word: str, subject: str, before: Any, after: Any, directions: set[str]) -> Iterator[Change]:
    """Give the changes of one word, if there are any."""
    if word == "enum" and isinstance(before, list) and isinstance(after, list):
        for value in (value for value in before if not any(same(value, other) for other in after)):
            yield Change("removed", "enum value", subject, value, None, breaking=True)
        for value in (value for value in after if not any(same(value, other) for other in before)):
            yield Change("added", "enum value", subject, None, value, breaking="response" in directions)
        return
    if word == "order":
        # Of the parameters that are in both, for whom it is the order of the generated arguments.
        both = {*items(before)} & {*items(after)}
        before, after = ([name for name in names if name in both] for names in (items(before), items(after)))
    # A name is also new or gone with the value that has it.
    if not same(before, after) and not (word.startswith("name of ") and None in (before, after)):
        less, more = takes(word, before, after)
        breaking = (less and more) or (less and "request" in directions) or (more and "response" in directions)
        yield Change("changed", word, subject, before, after, breaking)


def takes(word: str, before: Any, after: Any) -> tuple[bool, bool]:
    """Tell whether less, and whether more, is taken after a change than before."""
    if word in HARMLESS or word.startswith("x-"):
        return False, False
    if word == "type":
        old, new = ({*each.split(" | ")} - {"nothing"} for each in (before, after))
        return not (old <= new or "any" in new), not (new <= old or "any" in old)
    if word == "required":
        return after is True, after is not True
    if word == "default":
        return True, False
    if word == "enum":
        return after is not None, after is None
    if word in BOUNDS:
        more = after is None or (before is not None and (after > before) == BOUNDS[word])
        return not more, more
    return True, True


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the operations with their method and path, each with what its path says."""
    for path, path_item in entries(document.get("paths")).items():
        shared = {key: value for key, value in entries(path_item).items() if key not in METHODS}
        for method in METHODS:
            if operation := entries(entries(path_item).get(method)):
                parameters = [*items(shared.get("parameters")), *items(operation.get("parameters"))]
                yield f"{method.upper()} {path}", {**shared, **operation, "parameters": parameters}


def alternatives(schema: Any) -> dict[str, dict[str, Any]]:
    """Give, by short names, what a schema takes one of; none at all takes anything. References are not followed."""
    if schema is False:
        return {}
    schema = entries(schema)
    members = [*items(schema.get("anyOf")), *items(schema.get("oneOf"))]
    parts = items(schema.get("allOf"))
    if len(parts) == 1 and not members:
        members = parts
    if not members and "$ref" in schema:
        return {str(schema["$ref"]).rpartition("/")[2]: schema}
    if not members:
        types = schema.get("type", "object" if "properties" in schema or parts else "any")
        suffix = f"({schema['format']})" if "format" in schema else ""
        return {f"{name}{suffix}": schema for name in (types if isinstance(types, list) else [types])}
    found: dict[str, dict[str, Any]] = {}
    for name, each in (pair for member in members for pair in alternatives(member).items()):
        # Those of one name are told apart by their order.
        count = sum(other.partition(" #")[0] == name for other in found)
        found[f"{name} #{count + 1}" if count else name] = each
    return found


def type_of(schema: Any) -> str:
    """Name what a schema takes."""
    return " | ".join(alternatives(schema)) or "nothing"


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
