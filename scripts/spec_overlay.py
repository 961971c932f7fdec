"""Applies an overlay, as the OpenAPI Overlay Specification 1.0 has it, to a document.

JSONPath is python-jsonpath's. The actions are our own few lines: the one library for them that installs from
PyPI, oas-patch 0.6, passes over an action that matches nothing and lets several targets share one update's lists.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonpath
from failure import Failure


def read_overlay(path: Path) -> list[dict[str, Any]]:
    """Read the actions of an overlay. Stricter than the standard: each has a description, which is its reason."""
    try:
        overlay = json.loads(path.read_bytes())
        version, actions = overlay["overlay"], overlay["actions"]
        sound = version.startswith("1.0.") and actions and all(is_sound(action) for action in actions)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{path.name} is no overlay: {error!r}") from error
    if not sound:
        raise Failure(f"{path.name}: version 1.0 is needed, and for each action a target, a description and what to do")
    return list(actions)


def is_sound(action: dict[str, Any]) -> bool:
    """Tell whether an action says where, why and what."""
    where, why = action.get("target"), action.get("description")
    does = action.get("remove") is True or "update" in action
    return isinstance(where, str) and isinstance(why, str) and why != "" and does


def apply_actions(actions: list[dict[str, Any]], document: dict[str, Any]) -> list[str]:
    """Change the document in place; the targets that matched nothing are given back."""
    unmatched = []
    for action in actions:
        target = action["target"]
        try:
            matches = list(jsonpath.finditer(target, document, strict=True))
        except jsonpath.JSONPathError as error:
            raise Failure(f"the overlay's target is no JSONPath: {target}") from error
        if not matches:
            unmatched.append(target)
        for match in matches:
            if not isinstance(match.obj, (dict, list)):
                raise Failure(f"the overlay's target is neither an object nor a list: {target}")
            if action.get("remove") is not True:
                update(match.obj, action["update"], target)
            elif match.parent is not None:
                remove(match.parent.obj, match.obj)
            else:
                raise Failure("the overlay removes the whole document")
    return unmatched


def update(node: dict[str, Any] | list[Any], value: Any, target: str) -> None:
    """Merge into an object, or append to a list."""
    if isinstance(node, list):
        node.append(deepcopy(value))
    elif isinstance(value, dict):
        merge(node, value)
    else:
        raise Failure(f"the overlay's update of an object is none itself: {target}")


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
