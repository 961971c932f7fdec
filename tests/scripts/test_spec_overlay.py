"""The overlay: the actions of the standard, each with a reason, and none that matches nothing."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
DOCUMENT = {
    "info": {"title": "Test", "contact": {"name": "A", "url": "b"}},
    "tags": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
    "paths": {"/a": {"get": {"tags": ["a"]}, "put": {"tags": ["a"]}}},
}


@pytest.fixture(scope="module")
def overlay() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROJECT / "scripts")
        yield importlib.import_module("spec_overlay")


def applied(overlay: ModuleType, *actions: dict[str, Any]) -> tuple[Any, list[str]]:
    document = json.loads(json.dumps(DOCUMENT))
    unmatched: list[str] = overlay.apply_actions(list(actions), document)
    return document, unmatched


def test_an_update_merges_objects_and_appends_to_the_lists_in_them(overlay: ModuleType) -> None:
    update = {"info": {"title": "New", "contact": {"url": None}}, "tags": [{"name": "d"}], "servers": []}
    document, _ = applied(overlay, {"target": "$", "update": update})
    assert document["info"] == {"title": "New", "contact": {"name": "A", "url": None}}
    assert [tag["name"] for tag in document["tags"]] == ["a", "b", "c", "d"]
    assert document["servers"] == []


def test_an_update_of_a_list_is_one_more_item(overlay: ModuleType) -> None:
    document, _ = applied(overlay, {"target": "$.tags", "update": ["d", "e"]})
    assert document["tags"][3:] == [["d", "e"]]


def test_targets_of_one_update_share_nothing(overlay: ModuleType) -> None:
    first = {"target": "$.paths['/a'][*]", "update": {"parameters": [{"name": "x"}]}}
    second = {"target": "$.paths['/a'].get.parameters", "update": {"name": "y"}}
    document, _ = applied(overlay, first, second)
    assert len(document["paths"]["/a"]["get"]["parameters"]) == 2
    assert len(document["paths"]["/a"]["put"]["parameters"]) == 1
    assert first["update"] == {"parameters": [{"name": "x"}]}
    third = {"target": "$.paths['/a'][*].tags", "update": {"name": "z"}}
    document, _ = applied(overlay, third, {"target": "$.paths['/a'].get.tags[1]", "update": {"name": "zz"}})
    assert document["paths"]["/a"]["put"]["tags"] == ["a", {"name": "z"}]


def test_what_matches_is_removed(overlay: ModuleType) -> None:
    document, _ = applied(overlay, {"target": "$.tags[?@.name != 'b']", "remove": True})
    assert document["tags"] == [{"name": "b"}]
    document, _ = applied(overlay, {"target": "$.info.contact", "remove": True, "update": {"name": "B"}})
    assert document["info"] == {"title": "Test"}
    document, _ = applied(overlay, {"target": "$.tags[0, 1, 0]", "remove": True})
    assert document["tags"] == [{"name": "c"}]


def test_what_is_only_equal_is_not_removed(overlay: ModuleType) -> None:
    twice = {"target": "$.tags", "update": {"name": "a"}}
    document, _ = applied(overlay, twice, {"target": "$.tags[0]", "remove": True})
    assert [tag["name"] for tag in document["tags"]] == ["b", "c", "a"]


def test_actions_come_one_after_the_other(overlay: ModuleType) -> None:
    removal = {"target": "$.info.contact", "remove": True}
    document, unmatched = applied(overlay, removal, {"target": "$.info", "update": {"contact": {"name": "B"}}})
    assert document["info"]["contact"] == {"name": "B"}
    assert unmatched == []


def test_every_action_that_matches_nothing_is_told(overlay: ModuleType) -> None:
    actions: list[dict[str, Any]] = [
        {"target": "$.tags[?@.name == 'z']", "remove": True},
        {"target": "$.info", "update": {}},
        {"target": "$.info.licence", "update": {"name": "MIT"}},
    ]
    document, unmatched = applied(overlay, *actions)
    assert unmatched == ["$.tags[?@.name == 'z']", "$.info.licence"]
    assert document == DOCUMENT


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ({"target": "$.info.title", "update": "New"}, "neither an object nor a list"),
        ({"target": "$.info.title", "remove": True}, "neither an object nor a list"),
        ({"target": "$.info", "update": "New"}, "none itself"),
        ({"target": "$", "remove": True}, "the whole document"),
        ({"target": "$.info[", "remove": True}, r"no JSONPath: \$\.info\["),
        ({"target": "info", "remove": True}, "no JSONPath: info"),
        ({"target": "", "remove": True}, "no JSONPath"),
        ({"target": "$.info ^ $.tags", "remove": True}, "no JSONPath"),
    ],
)
def test_an_action_that_cannot_be_is_refused(overlay: ModuleType, action: dict[str, Any], reason: str) -> None:
    with pytest.raises(overlay.Failure, match=reason):
        applied(overlay, action)


ACTION = {"target": "$", "description": "Because.", "update": {}}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        json.dumps({"overlay": "1.0.0"}).encode(),
        json.dumps({"overlay": "1.0.0", "actions": []}).encode(),
        json.dumps({"overlay": "1.0.0", "actions": ["$"]}).encode(),
        json.dumps({"overlay": "2.0.0", "actions": [ACTION]}).encode(),
        json.dumps({"overlay": 1.0, "actions": [ACTION]}).encode(),
        *(
            json.dumps({"overlay": "1.0.0", "actions": [{**ACTION, **change}]}).encode()
            for change in ({"target": None}, {"description": ""}, {"description": None})
        ),
        json.dumps({"overlay": "1.0.0", "actions": [{"target": "$", "description": "Because."}]}).encode(),
        json.dumps(
            {"overlay": "1.0.0", "actions": [{"target": "$", "description": "Because.", "remove": "yes"}]}
        ).encode(),
    ],
)
def test_what_is_no_overlay_is_refused(overlay: ModuleType, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "openapi.overlay.json"
    path.write_bytes(content)
    with pytest.raises(overlay.Failure, match=r"^openapi\.overlay\.json"):
        overlay.read_overlay(path)


def test_ours_is_read(overlay: ModuleType) -> None:
    assert len(overlay.read_overlay(PROJECT / "openapi.overlay.json")) > 1
