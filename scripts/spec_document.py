"""What becomes of a server's document: only the operations of a tag, what they refer to, named enums, one order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from failure import Failure
from wrapper_needs import METHODS, entries, items, resolved

# Under these words an object's keys are names that somebody chose, and not words of the standard.
NAMING = """
$defs callbacks content dependentSchemas encoding examples headers links mapping parameters pathItems paths
patternProperties properties requestBodies responses schemas scopes securitySchemes variables webhooks
"""
# Under these is data of the API's, in which no key is a word of the standard.
DATA = ("const", "default", "enum", "example", "value")
UNFOLLOWED = ("$id", "$schema", "$anchor", "$dynamicAnchor", "$dynamicRef")

# The order in which words of the standard are written; any other comes after them.
WORDS = """
openapi info servers tags $ref url name in type scheme bearerFormat format anyOf oneOf allOf items title summary
description version operationId default enum x-enum-varnames properties required schema content paths
get put post delete options head patch trace components schemas securitySchemes parameters requestBody responses
security
"""
KEPT = ("openapi", "info", "security")
NAMING_WORDS = frozenset(NAMING.split())
ORDER = {word: rank for rank, word in enumerate(WORDS.split())}


def keep_tagged(document: dict[str, Any], tag: str | None) -> dict[str, Any]:
    """Keep the operations with a tag, or all for None, and the components that they refer to.

    Where the server was and how it sorts its pages is no part of a contract: servers and tags are the overlay's.
    """
    kept: dict[str, Any] = {key: value for key, value in document.items() if key in KEPT}
    kept["paths"] = {}
    for path, given in entries(document.get("paths")).items():
        path_item = inlined(document, entries(given))
        wanted = {
            method: {**operation, "tags": [tag]} if tag else operation
            for method in METHODS
            if (operation := entries(path_item.get(method))) and (not tag or tag in items(operation.get("tags")))
        }
        if wanted:
            shared = {key: value for key, value in path_item.items() if key not in METHODS}
            kept["paths"][path] = {**shared, **wanted}
    if not kept["paths"]:
        raise Failure("the source has no operations" + (f" tagged {tag!r}" if tag else ""))
    if components := referred_to(kept, entries(document.get("components"))):
        kept["components"] = components
    return kept


def inlined(document: dict[str, Any], path_item: dict[str, Any]) -> dict[str, Any]:
    """Put what a path refers to in its place."""
    if "$ref" in path_item:
        component_of(str(path_item["$ref"]))
    given = {key: value for key, value in path_item.items() if key != "$ref"}
    return {**entries(resolved(document, path_item)), **given}


def referred_to(document: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Find the components that a document refers to, directly or through others."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [document]
    while waiting:
        for kind, name in references(waiting.pop(), entries(components.get("schemas"))):
            if name in found.get(kind, {}):
                continue
            if name not in entries(components.get(kind)):
                raise Failure(f"the source refers to #/components/{kind}/{name}, which it does not have")
            found.setdefault(kind, {})[name] = components[kind][name]
            waiting.append(components[kind][name])
    # In the source's own order, not in that of the search.
    return {
        kind: {name: component for name, component in entries(components[kind]).items() if name in found[kind]}
        for kind in components
        if kind in found
    }


def references(node: Any, schemas: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name, by kind and name, the components that are referred to below a node."""
    # In data too: validators and generators follow a reference wherever they see one.
    yield from (component_of(obj["$ref"]) for obj in all_objects(node) if isinstance(obj.get("$ref"), str))
    for obj in objects(node):
        if unfollowed := [key for key in UNFOLLOWED if isinstance(obj.get(key), str)]:
            raise Failure(f"the source uses {unfollowed[0]}, which is not followed: {obj[unfollowed[0]]!r:.200}")
        if isinstance(obj.get("operationRef"), str):
            yield component_of(obj["operationRef"])
        for value in entries(obj.get("mapping")).values():
            yield ("schemas", value) if value in schemas else component_of(str(value))
        for requirement in items(obj.get("security")):
            yield from (("securitySchemes", name) for name in entries(requirement))


def component_of(reference: str) -> tuple[str, str]:
    """Give the kind and the name of what a reference leads to, or into."""
    match = re.match(r"#/components/([^/]+)/([^/]+)", reference)
    if match is None:
        raise Failure(f"the source refers to {reference!r:.200}: only its own components are followed, none fetched")
    kind, name = (unquote(part).replace("~1", "/").replace("~0", "~") for part in match.groups())
    return kind, name


def all_objects(node: Any) -> Iterator[dict[str, Any]]:
    """Go through all objects, whatever their keys are."""
    if isinstance(node, dict):
        yield node
    for item in node.values() if isinstance(node, dict) else items(node):
        yield from all_objects(item)


def objects(node: Any, *, naming: bool = False) -> Iterator[dict[str, Any]]:
    """Go through the objects whose keys are words of the standard."""
    if isinstance(node, list):
        for item in node:
            yield from objects(item)
    elif isinstance(node, dict):
        if not naming:
            yield node
        for key, value in node.items():
            if naming or not is_data(key, value):
                yield from objects(value, naming=not naming and key in NAMING_WORDS)


def is_data(key: str, value: Any) -> bool:
    """Tell whether what is under a word of the standard, or under an extension, is data."""
    return key in DATA or key.startswith("x-") or (key == "examples" and isinstance(value, list))


def name_enums(document: dict[str, Any]) -> None:
    """Give each model that is an enum of strings its names, in place."""
    for schema in entries(entries(document.get("components")).get("schemas")).values():
        values = items(entries(schema).get("enum"))
        if values and all(isinstance(value, str) for value in values):
            schema["x-enum-varnames"] = enum_names(values)


def enum_names(values: list[str]) -> list[str]:
    """Derive one name per value, each a Python name and no two the same."""
    names: list[str] = []
    for value in values:
        plain = re.sub("[^0-9A-Z]+", "_", value.upper()).strip("_")
        name = plain if plain[:1].isalpha() else f"VALUE_{plain}".rstrip("_")
        candidates = (name if number == 1 else f"{name}_{number}" for number in range(1, len(values) + 2))
        names.append(next(candidate for candidate in candidates if candidate not in names))
    return names


def arranged(node: Any, like: Any, *, naming: bool = False) -> Any:
    """Put keys in one order: words of the standard in ours, names as another document has them and then as they come.

    So a server that only sorts its document anew changes nothing.
    """
    if isinstance(node, list):
        likes = items(like)
        return [arranged(item, likes[index] if index < len(likes) else None) for index, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    like = entries(like)
    order = {name: rank for rank, name in enumerate(like)} if naming else ORDER
    made = {}
    for key in sorted(node, key=lambda key: order.get(key, len(order))):
        value = node[key]
        if not naming and key == "required" and isinstance(value, list):
            places = {name: rank for rank, name in enumerate(items(like.get(key)))}
            made[key] = sorted(value, key=lambda name: places.get(name, len(places)))
        elif naming or not is_data(key, value):
            made[key] = arranged(value, like.get(key), naming=not naming and key in NAMING_WORDS)
        else:
            made[key] = value
    return made


def written(document: dict[str, Any]) -> bytes:
    """Write a document as it is checked in."""
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
