"""From a server's document to ours: the overlay's actions, names for enums, and our order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripts import importing

with importing("spec_document") as script:
    pass

DOCUMENT = {
    "info": {"title": "Test", "contact": {"name": "A", "url": "b"}},
    "tags": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
    "paths": {"/a": {"get": {"tags": ["a"]}, "put": {"tags": ["a"]}}},
}


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    return tmp_path / "openapi.overlay.json"


def applied(overlay: Path, *actions: dict[str, Any]) -> tuple[Any, list[str]]:
    document = json.loads(json.dumps(DOCUMENT))
    overlay.write_text(json.dumps({"overlay": "1.0.0", "actions": actions}))
    unmatched: list[str] = script.apply_overlay(overlay, document)
    return document, unmatched


def test_an_update_merges_objects_and_appends_to_lists(overlay: Path) -> None:
    update = {"info": {"title": "New", "contact": {"url": None}}, "tags": [{"name": "d"}], "servers": []}
    document, _ = applied(overlay, {"target": "$", "update": update}, {"target": "$.tags", "update": ["e", "f"]})
    assert document["info"] == {"title": "New", "contact": {"name": "A", "url": None}}
    assert document["tags"][3:] == [{"name": "d"}, ["e", "f"]]
    assert document["servers"] == []


def test_targets_of_one_update_share_nothing(overlay: Path) -> None:
    both = {"target": "$.paths['/a'][*]", "update": {"parameters": [{"name": "x"}]}}
    document, _ = applied(overlay, both, {"target": "$.paths['/a'].get.parameters", "update": {"name": "y"}})
    assert len(document["paths"]["/a"]["get"]["parameters"]) == 2
    assert len(document["paths"]["/a"]["put"]["parameters"]) == 1


def test_what_matches_is_removed_and_nothing_that_is_only_equal(overlay: Path) -> None:
    document, _ = applied(overlay, {"target": "$.tags[?@.name != 'b']", "remove": True})
    assert document["tags"] == [{"name": "b"}]
    twice = {"target": "$.tags", "update": {"name": "a"}}
    document, _ = applied(overlay, twice, {"target": "$.tags[0, 1, 0]", "remove": True})
    assert document["tags"] == [{"name": "c"}, {"name": "a"}]
    document, _ = applied(overlay, {"target": "$.info.contact", "remove": True})
    assert document["info"] == {"title": "Test"}


def test_actions_come_in_turn_and_each_that_matches_nothing_is_told(overlay: Path) -> None:
    document, unmatched = applied(
        overlay,
        {"target": "$.info.contact", "remove": True},
        {"target": "$.info.contact", "update": {"name": "B"}},
        {"target": "$.tags[?@.name == 'z']", "remove": True},
    )
    assert document["info"] == {"title": "Test"}
    assert unmatched == ["$.info.contact", "$.tags[?@.name == 'z']"]


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ({"target": "$.info.title", "update": "New"}, "does not fit"),
        ({"target": "$.info", "update": "New"}, "does not fit"),
        ({"target": "$", "remove": True}, "does not fit"),
        ({"target": "$.info[", "remove": True}, "no JSONPath"),
        ({"target": "info", "remove": True}, "no JSONPath"),
    ],
)
def test_an_action_that_cannot_be_is_refused(overlay: Path, action: dict[str, Any], reason: str) -> None:
    with pytest.raises(script.Failure, match=reason):
        applied(overlay, action)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["DEFAULT-RULE-ADMIN", "task admin"], ["DEFAULT_RULE_ADMIN", "TASK_ADMIN"]),
        (["a-b", "a_b", "a-2", "A B"], ["A_B", "A_B_2", "A_2", "A_B_3"]),
        (["1st", "", "-", "_x_", "日本"], ["VALUE_1ST", "VALUE", "VALUE_2", "X", "VALUE_3"]),
    ],
)
def test_every_enum_value_gets_a_python_name_of_its_own(values: list[str], names: list[str]) -> None:
    assert script.enum_names(values) == names


def test_order_is_that_of_the_other_document_and_new_names_come_last() -> None:
    like = {"b": 1, "a": [{"d": 1, "c": 2}], "required": ["y", "x"], "gone": 0}
    made = script.arranged({"new": 0, "required": ["z", "x", "y"], "a": [{"c": 2, "d": 1}, {"f": 0}], "b": 1}, like)
    assert json.dumps(made) == ('{"b": 1, "a": [{"d": 1, "c": 2}, {"f": 0}], "required": ["y", "x", "z"], "new": 0}')
