"""Compares two schemas from a client's side, for requests and for answers; see compare_spec.py for what breaks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from wrapper_needs import entries, items, resolved, touched_by

Kind = Literal["added", "removed", "changed"]
Direction = Literal["request", "response"]

ABOUT = frozenset(("title", "summary", "description", "example", "examples", "deprecated", "externalDocs", "$comment"))
# Whether a higher bound allows more.
BOUNDS = {
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), True),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), False),
}
COMPARED = {"$ref", "anyOf", "oneOf", "allOf", "type", "format", "properties", "required", "items", "enum", "const"}
COMPARED |= {"additionalProperties", "default", "x-enum-varnames", *BOUNDS}


class Change(NamedTuple):
    """One difference; before and after are None where there is nothing."""

    kind: Kind
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
        values = [value for value in (self.before, self.after) if value is not None]
        if self.kind == "changed" and values:
            values = [self.before, self.after]
        text = f": {' -> '.join(map(shown, values))}" if values else ""
        return one_line(f"{self.kind} {self.what} {self.subject}{text}")


class SchemaComparison:
    """The changes found so far, each once although requests and answers may share it."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.old = old
        self.new = new
        self.found: dict[tuple[Kind, str, str, str], tuple[Any, Any, bool]] = {}
        self.seen: set[tuple[str, Direction]] = set()

    def note(
        self, kind: Kind, what: str, subject: str, before: Any = None, after: Any = None, *, breaking: bool
    ) -> None:
        """Keep a change; it breaks if it does in one of the directions in which it is met."""
        key = (kind, what, subject, json.dumps([before, after], sort_keys=True))
        self.found[key] = (before, after, breaking or (key in self.found and self.found[key][2]))

    def changed(self, what: str, subject: str, before: Any, after: Any, *, breaking: bool) -> None:
        """Note a change, if it is one."""
        if not same(before, after):
            self.note("changed", what, subject, before, after, breaking=breaking)

    def named(self, what: str, prefix: str, old: Iterable[str], new: Iterable[str]) -> list[str]:
        """Note which names are gone and which are new; give those that are in both."""
        old, new = list(old), list(new)
        for name in (name for name in old if name not in new):
            self.note("removed", what, f"{prefix}{name}", breaking=True)
        for name in (name for name in new if name not in old):
            self.note("added", what, f"{prefix}{name}", breaking=False)
        return [name for name in old if name in new]

    def words(self, subject: str, old: Any, new: Any, known: Iterable[str], harmless: Iterable[str] = ABOUT) -> None:
        """Compare what has no rule of its own."""
        old, new = entries(old), entries(new)
        for word in sorted((old.keys() | new.keys()).difference(known)):
            breaking = not (word in harmless or word.startswith("x-"))
            self.changed(word, subject, old.get(word), new.get(word), breaking=breaking)

    def schemas(self, subject: str, old: Any, new: Any, direction: Direction) -> None:
        """Compare what two schemas take, and what they say about it."""
        before, after = entries(old), entries(new)
        self.words(subject, before, after, (before.keys() | after.keys()) - ABOUT)
        self.changed("default", subject, before.get("default"), after.get("default"), breaking=direction == "request")
        if is_combined(before) and is_combined(after):
            self.structures(subject, before, after, direction)
        choices, new_choices = alternatives(old), alternatives(new)
        gone, come = choices.keys() - new_choices.keys(), new_choices.keys() - choices.keys()
        if gone or come:
            narrowed, widened = gone and "any" not in new_choices, come and "any" not in choices
            breaking = bool(narrowed if direction == "request" else widened)
            self.changed("type", subject, type_of(old), type_of(new), breaking=breaking)
        for name in choices.keys() & new_choices.keys():
            one, other = choices[name], new_choices[name]
            if "$ref" not in one:
                if one is not old and other is not new:
                    self.words(subject, one, other, (one.keys() | other.keys()) - ABOUT)
                self.structures(subject, one, other, direction)
            elif (name, direction) not in self.seen:
                self.seen.add((name, direction))
                self.schemas(name, resolved(self.old, one), resolved(self.new, other), direction)

    def structures(self, subject: str, old: dict[str, Any], new: dict[str, Any], direction: Direction) -> None:
        """Compare the details of what two schemas of one type take."""
        self.words(subject, old, new, COMPARED | ABOUT)
        self.fields(subject, old, new, direction)
        for word in ("items", "additionalProperties"):
            if word in old or word in new:
                self.schemas(f"{subject}.*", old.get(word), new.get(word), direction)
        self.values(subject, old, new, direction)
        for word, more in BOUNDS.items():
            before, after = old.get(word), new.get(word)
            wider = after is None or (before is not None and (after > before) == more)
            self.changed(word, subject, before, after, breaking=wider == (direction == "response"))
        old_parts, new_parts = (
            numbered((type_of(part), part) for part in items(node.get("allOf"))) for node in (old, new)
        )
        for part in old_parts.keys() | new_parts.keys():
            if part in old_parts and part in new_parts:
                self.schemas(subject, old_parts[part], new_parts[part], direction)
            else:
                # All parts hold together: one more allows less.
                kind: Kind = "added" if part in new_parts else "removed"
                breaking = (kind == "added") == (direction == "request")
                self.note(kind, "part", subject, *((None, part) if kind == "added" else (part,)), breaking=breaking)

    def fields(self, subject: str, old: dict[str, Any], new: dict[str, Any], direction: Direction) -> None:
        """Compare the fields of two objects."""
        before, after = entries(old.get("properties")), entries(new.get("properties"))
        required, now_required = set(items(old.get("required"))), set(items(new.get("required")))
        for name in before.keys() | after.keys() | required | now_required:
            place = f"{subject}.{name}"
            if name in before and name not in after:
                self.note("removed", "field", place, before=type_of(before[name]), breaking=True)
            elif name in after and name not in before:
                what = "required field" if name in now_required else "field"
                breaking = direction == "request" and name in now_required
                self.note("added", what, place, after=type_of(after[name]), breaking=breaking)
            else:
                breaking = (name in now_required) == (direction == "request")
                self.changed("required", place, name in required, name in now_required, breaking=breaking)
                self.schemas(place, before.get(name), after.get(name), direction)

    def values(self, subject: str, old: dict[str, Any], new: dict[str, Any], direction: Direction) -> None:
        """Compare the values to which two schemas are limited."""
        before, after = ([node["const"]] if "const" in node else node.get("enum") for node in (old, new))
        if not isinstance(before, list) or not isinstance(after, list):
            narrowed = after is not None
            self.changed("enum", subject, before, after, breaking=narrowed == (direction == "request"))
            return
        names, new_names = (
            dict(zip(map(json.dumps, values), items(node.get("x-enum-varnames")), strict=False))
            for values, node in ((before, old), (after, new))
        )
        for text in names.keys() & new_names.keys():
            self.changed("enum name", subject, names[text], new_names[text], breaking=True)
        for value in (value for value in before if not any(same(value, other) for other in after)):
            self.note("removed", "enum value", subject, before=value, breaking=True)
        for value in (value for value in after if not any(same(value, other) for other in before)):
            self.note("added", "enum value", subject, after=value, breaking=direction == "response")


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


def is_combined(schema: dict[str, Any]) -> bool:
    """Tell whether a schema takes what any of its members takes."""
    return "anyOf" in schema or "oneOf" in schema


def alternatives(schema: Any) -> dict[str, dict[str, Any]]:
    """Give, by short names, what a schema takes one of; none at all takes anything. References are not followed."""
    if schema is False:
        return {}
    schema = entries(schema)
    parts = items(schema.get("allOf"))
    if is_combined(schema):
        members = [*items(schema.get("anyOf")), *items(schema.get("oneOf"))]
    elif len(parts) == 1 and not COMPARED.intersection(schema) - {"allOf", "default"}:
        members = parts
    elif "$ref" in schema:
        return {str(schema["$ref"]).rpartition("/")[2]: schema}
    else:
        types = schema.get("type", "object" if "properties" in schema or parts else "any")
        suffix = f"({schema['format']})" if "format" in schema else ""
        return {f"{name}{suffix}": schema for name in (types if isinstance(types, list) else [types])}
    return numbered(each for member in members for each in alternatives(member).items())


def numbered(named: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Number those of one name, which only their details tell apart, in the order in which they come."""
    found: dict[str, Any] = {}
    for name, each in named:
        count = sum(other.partition(" #")[0] == name for other in found)
        found[f"{name} #{count + 1}" if count else name] = each
    return found


def type_of(schema: Any) -> str:
    """Name what a schema takes."""
    return " | ".join(alternatives(schema)) or "nothing"
