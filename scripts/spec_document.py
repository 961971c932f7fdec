"""From a server's document to ours: the operations of a tag, the overlay's corrections, named enums, and our order.

The overlay is as the OpenAPI Overlay Specification 1.0 has it. JSONPath is python-jsonpath's; the actions are our own
few lines, because the one library for them, oas-patch 0.6, passes over an action that matches nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonpath
from failure import Failure
from openapi_spec_validator import OpenAPIV31SpecValidator

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
KEPT = ("openapi", "info", "security")


def parse(name: str, content: bytes) -> dict[str, Any]:
    """Take the JSON of an object apart."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Failure(f"{name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Failure(f"{name} is not an OpenAPI document")
    return document


def validate(name: str, document: dict[str, Any]) -> None:
    """Refuse what is not OpenAPI 3.1."""
    text = json.dumps(document)
    # The server's name of a security scheme has a space, which the standard doesn't allow.
    for scheme in document.get("components", {}).get("securitySchemes", {}):
        text = text.replace(f"{json.dumps(scheme)}: ", f"{json.dumps(re.sub('[^a-zA-Z0-9._-]', '_', scheme))}: ")
    try:
        error = next(OpenAPIV31SpecValidator(json.loads(text)).iter_errors(), None)
    except Exception as stumble:
        # What is far from valid is more than the validator itself can take.
        raise Failure(f"{name} is not OpenAPI 3.1: {type(stumble).__name__}: {stumble!s:.300}") from stumble
    if error is not None:
        place = "/".join(map(str, error.absolute_path)) or "the document"
        # Some validators go on with the whole document.
        raise Failure(f"{name} is not OpenAPI 3.1: {place}: {error.message.splitlines()[0]:.300}")


def keep_tagged(document: dict[str, Any], tag: str | None) -> dict[str, Any]:
    """Keep the operations with a tag, or all for None, and the components that they refer to.

    Where the server was and how it sorts its pages is no part of a contract: servers and tags are the overlay's.
    """
    kept: dict[str, Any] = {key: value for key, value in document.items() if key in KEPT}
    kept["paths"] = {}
    for path, path_item in entries(document.get("paths")).items():
        wanted = {
            method: {**operation, "tags": [tag]} if tag else operation
            for method in METHODS
            if (operation := entries(entries(path_item).get(method)))
            and (not tag or tag in items(operation.get("tags")))
        }
        if wanted:
            shared = {key: value for key, value in path_item.items() if key not in METHODS}
            kept["paths"][path] = {**shared, **wanted}
    if not kept["paths"]:
        raise Failure("the source has no operations" + (f" tagged {tag!r}" if tag else ""))
    components = entries(document.get("components"))
    found: set[tuple[str, str]] = set()
    waiting: list[Any] = [kept]
    while waiting:
        for kind, name in {*references(waiting.pop())} - found:
            if name not in entries(components.get(kind)):
                raise Failure(f"the source refers to #/components/{kind}/{name}, which it does not have")
            found.add((kind, name))
            waiting.append(components[kind][name])
    for kind, each in components.items():
        if used := {name: component for name, component in entries(each).items() if (kind, name) in found}:
            kept.setdefault("components", {})[kind] = used
    return kept


def references(node: Any) -> Iterator[tuple[str, str]]:
    """Name, by kind and name, the components that are referred to below a node."""
    if isinstance(node, dict):
        mapping = entries(node.get("mapping")) if isinstance(node.get("propertyName"), str) else {}
        for reference in (node.get("$ref"), *mapping.values()):
            if isinstance(reference, str):
                match = re.match(r"#/components/([^/]+)/([^/]+)", reference)
                if match is None:
                    reason = "only its own components are followed, none fetched"
                    raise Failure(f"the source refers to {reference!r:.200}: {reason}")
                yield match[1], match[2]
        for requirement in items(node.get("security")):
            yield from (("securitySchemes", name) for name in entries(requirement))
    for value in node.values() if isinstance(node, dict) else items(node):
        yield from references(value)


def apply_overlay(path: Path, document: dict[str, Any]) -> list[str]:
    """Change the document in place; the targets that matched nothing are given back."""
    unmatched = []
    for action in json.loads(path.read_bytes())["actions"]:
        target = action["target"]
        try:
            matches = list(jsonpath.finditer(target, document, strict=True))
        except jsonpath.JSONPathError as error:
            raise Failure(f"the overlay's target is no JSONPath: {target}") from error
        if not matches:
            unmatched.append(target)
        for match in matches:
            if action.get("remove") is True and match.parent is not None:
                remove(match.parent.obj, match.obj)
            elif isinstance(match.obj, list):
                match.obj.append(deepcopy(action["update"]))
            elif isinstance(match.obj, dict) and isinstance(action.get("update"), dict):
                merge(match.obj, action["update"])
            else:
                raise Failure(f"the overlay's action does not fit its target: {target}")
    return unmatched


def merge(node: dict[str, Any], value: dict[str, Any]) -> None:
    """Merge objects entry by entry and append lists; anything else takes the place of what was there."""
    for key, new in value.items():
        old = node.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            merge(old, new)
        elif isinstance(old, list) and isinstance(new, list):
            old.extend(deepcopy(new))
        else:
            node[key] = deepcopy(new)


def remove(parent: Any, node: Any) -> None:
    """Remove a node by what it is: indexes shift while a list gets shorter."""
    if isinstance(parent, list):
        parent[:] = [item for item in parent if item is not node]
    else:
        for key in [key for key, item in parent.items() if item is node]:
            del parent[key]


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


def arranged(node: Any, like: Any) -> Any:
    """Put keys, and the names of what is required, in another document's order; new ones come last, as they come.

    So a server that only sorts its document anew changes nothing.
    """
    if isinstance(node, list):
        return [arranged(item, one) for item, one in zip_longest(node, items(like)[: len(node)])]
    if not isinstance(node, dict):
        return node
    like = entries(like)
    made = {key: arranged(node[key], like.get(key)) for key in in_order(node, like)}
    if isinstance(made.get("required"), list):
        made["required"] = in_order(made["required"], items(like.get("required")))
    return made


def in_order(names: Iterable[Any], like: Iterable[Any]) -> list[Any]:
    """Put names in the order that they have elsewhere."""
    places = {name: place for place, name in enumerate(like)}
    return sorted(names, key=lambda name: places.get(name, len(places)))


def resolved(document: dict[str, Any], node: Any) -> Any:
    """Follow references within the document, as far as they lead."""
    followed: set[str] = set()
    while isinstance(node, dict) and isinstance(reference := node.get("$ref"), str) and reference not in followed:
        followed.add(reference)
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = entries(node).get(unquote(part).replace("~1", "/").replace("~0", "~"))
    return node


def entries(value: Any) -> dict[str, Any]:
    """Give an object's entries; none for what is no object."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Give a list's items; none for what is no list."""
    return value if isinstance(value, list) else []
