"""Compares two OpenAPI documents from a client's side: every change, and whether it breaks.

A change breaks if the server takes less than before, if it may answer with more, or if something is gone that
code may name: an operation, a parameter, a model, a field, an enum value. What is unknown here is taken to break.
Our own, because what installs from PyPI for this is in its first releases and doesn't compare the members of an
`anyOf`, which is how FastAPI writes each optional field.
"""

from __future__ import annotations

from typing import Any

from compare_schemas import Change, Direction, Kind, SchemaComparison, same
from wrapper_needs import METHODS, entries, items, resolved


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """List the changes, the breaking ones first; none only if the documents are the same."""
    comparison = Comparison(old, new)
    comparison.documents()
    changes = [Change(*key[:3], before, after, breaking) for key, (before, after, breaking) in comparison.found.items()]
    if not changes and not same(old, new):
        # Lists in another order, or a reference instead of what it leads to.
        changes = [Change("changed", "writing", "the document", None, None, breaking=False)]
    return sorted(changes, key=lambda change: (not change.breaking, change.subject, change.what, str(change)))


class Comparison(SchemaComparison):
    """Compares what is around the schemas: operations, parameters, bodies and answers."""

    def documents(self) -> None:
        """Compare everything."""
        self.words("the document", self.old, self.new, ("paths", "components"), ("openapi", "info", "servers", "tags"))
        old, new = operations_of(self.old), operations_of(self.new)
        for place in old.keys() | new.keys():
            if place not in new:
                self.note("removed", "operation", subject_of(old[place]), before=place, breaking=True)
            elif place not in old:
                self.note("added", "operation", subject_of(new[place]), after=place, breaking=False)
            else:
                self.operations(subject_of(old[place]), old[place], new[place])
        old, new = (entries(document.get("components")) for document in (self.old, self.new))
        self.named("model", "", entries(old.get("schemas")), entries(new.get("schemas")))
        old, new = (entries(components.get("securitySchemes")) for components in (old, new))
        for name in self.named("security scheme", "", old, new):
            self.words(name, old[name], new[name], ())

    def operations(self, subject: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Compare two operations at one place."""
        self.changed("operation id", subject, old.get("operationId"), new.get("operationId"), breaking=True)
        self.words(subject, old, new, ("operationId", "parameters", "requestBody", "responses"))
        self.parameters(f"{subject}.parameters", *(self.by_place(*pair) for pair in self.pair(old, new, "parameters")))
        self.bodies(f"{subject}.body", *self.pair(old, new, "requestBody"))
        old, new = entries(old.get("responses")), entries(new.get("responses"))
        for status in old.keys() | new.keys():
            place = f"{subject}.responses.{status}"
            if status in old and status in new:
                before, after = (entries(resolved(*pair)) for pair in self.pair(old, new, status))
                self.words(place, before, after, ("content",))
                self.contents(place, before, after, "response")
            else:
                # Of errors, a client has to take any.
                kind: Kind = "added" if status in new else "removed"
                self.note(kind, "response", place, breaking=status.startswith("2"))

    def pair(self, old: dict[str, Any], new: dict[str, Any], key: str) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Give what is under a key in both, each with the document that it is of."""
        return (self.old, old.get(key)), (self.new, new.get(key))

    def by_place(self, document: dict[str, Any], parameters: Any) -> dict[tuple[str, str], dict[str, Any]]:
        """Give parameters by their names and places."""
        each = [entries(resolved(document, parameter)) for parameter in items(parameters)]
        return {(str(parameter.get("name")), str(parameter.get("in"))): parameter for parameter in each}

    def parameters(
        self,
        prefix: str,
        old: dict[tuple[str, str], dict[str, Any]],
        new: dict[tuple[str, str], dict[str, Any]],
    ) -> None:
        """Compare parameters, whose order is that of the generated arguments."""
        both = [key for key in old if key in new]
        order = [key for key in new if key in old]
        self.changed("order", prefix, [name for name, _ in both], [name for name, _ in order], breaking=True)
        for name, place in old.keys() - new.keys():
            self.note("removed", f"{place} parameter", f"{prefix}.{name}", breaking=True)
        for name, place in new.keys() - old.keys():
            required = new[name, place].get("required") is True
            what = f"required {place} parameter" if required else f"{place} parameter"
            self.note("added", what, f"{prefix}.{name}", breaking=required)
        for key in both:
            self.requirement(f"{prefix}.{key[0]}", old[key], new[key])
            self.words(f"{prefix}.{key[0]}", old[key], new[key], ("name", "in", "required", "schema", "content"))
            self.schemas(f"{prefix}.{key[0]}", old[key].get("schema"), new[key].get("schema"), "request")
            self.contents(f"{prefix}.{key[0]}", old[key], new[key], "request")

    def requirement(self, subject: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        """Compare whether something must be sent."""
        before, after = old.get("required") is True, new.get("required") is True
        self.changed("required", subject, before, after, breaking=after)

    def bodies(self, subject: str, old: tuple[Any, Any], new: tuple[Any, Any]) -> None:
        """Compare request bodies."""
        before, after = entries(resolved(*old)), entries(resolved(*new))
        if before and after:
            self.requirement(subject, before, after)
            self.words(subject, before, after, ("required", "content"))
            self.contents(subject, before, after, "request")
        elif before:
            self.note("removed", "request body", subject, breaking=True)
        elif after:
            self.note("added", "request body", subject, breaking=after.get("required") is True)

    def contents(self, subject: str, old: dict[str, Any], new: dict[str, Any], direction: Direction) -> None:
        """Compare what is sent or answered in each media type."""
        old, new = entries(old.get("content")), entries(new.get("content"))
        for media_type in self.named("media type", f"{subject}.", old, new):
            before, after = entries(old[media_type]), entries(new[media_type])
            self.words(subject, before, after, ("schema",))
            self.schemas(subject, before.get("schema"), after.get("schema"), direction)


def operations_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the operations by method and path, each with what its path says."""
    found = {}
    for path, path_item in entries(document.get("paths")).items():
        shared = {key: value for key, value in entries(path_item).items() if key not in METHODS}
        for method in METHODS:
            if operation := entries(entries(path_item).get(method)):
                parameters = [*items(shared.get("parameters")), *items(operation.get("parameters"))]
                found[f"{method.upper()} {path}"] = {**shared, **operation, "parameters": parameters}
    return found


def subject_of(operation: dict[str, Any]) -> str:
    """Name an operation."""
    return str(operation.get("operationId"))
