"""From a server's document to `openapi.json`: what is kept, corrected, named and written, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.support.spec_sources import Json, engine_document, json_content, large_document, list_of, operation, ref
from tests.support.syncing import (
    CHECKED_IN,
    Sync,
    assert_refused,
    fields,
    importing,
    project_in,
    schemas,
    syncing,
    with_sixth_role,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project_in(tmp_path)


@pytest.fixture
def sync(root: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Sync]:
    with syncing(root, capfd) as run:
        yield run


def test_the_engines_document_is_ours_plus_its_sixth_role(sync: Sync, root: Path) -> None:
    finished = sync(engine_document())
    assert (finished.code, finished.lines) == (3, ["added enum value APIKeysRolesEnum: TENANT-USER"])
    assert (root / "openapi.json").read_bytes() == with_sixth_role()

    written = (root / "openapi.json").stat()
    assert sync(engine_document()) == (0, "No changes.\n", "")
    assert (root / "openapi.json").stat() == written


def test_checking_writes_nothing(sync: Sync, root: Path) -> None:
    finished = sync(engine_document(), "--check")
    assert (finished.code, finished.lines) == (3, ["added enum value APIKeysRolesEnum: TENANT-USER"])
    assert finished.errors == ""
    assert (root / "openapi.json").read_bytes() == CHECKED_IN


def test_nothing_is_kept_but_ours_and_what_ours_refers_to(sync: Sync, root: Path) -> None:
    assert sync(large_document(150, 400)).code == 3
    assert (root / "openapi.json").read_bytes() == with_sixth_role()


def test_chains_and_circles_of_references_are_followed(sync: Sync, root: Path) -> None:
    document = engine_document()
    fields(document)["owner"] = {"anyOf": [ref("Owner"), {"type": "null"}], "title": "Owner"}
    schemas(document).update(
        Owner={"allOf": [ref("Person"), {"type": "object", "properties": {"keys": list_of("ApiKeyResponse")}}]},
        Person={"type": "object", "properties": {"team": {"oneOf": [ref("Team"), ref("Company")]}}},
        Team={"type": "object", "additionalProperties": ref("Owner")},
        Company={
            "type": "object",
            "properties": {"kind": {"type": "string"}},
            "discriminator": {"propertyName": "kind", "mapping": {"a": "#/components/schemas/Board", "b": "Branch"}},
        },
        Board={"type": "object", "properties": {"parent": ref("Board")}},
        Branch={"type": "object", "properties": {"parent": ref("Company")}},
        Unused={"type": "object", "properties": {"owner": ref("Owner"), "next": ref("Unused")}},
    )
    document["components"]["responses"] = {
        "Problem": {"description": "Problem", **json_content(ref("HTTPValidationError"))},
        "Unused": {"description": "Unused", **json_content(ref("Unused"))},
    }
    document["paths"]["/auth/api_keys/"]["get"]["responses"]["422"] = {"$ref": "#/components/responses/Problem"}
    assert sync(document).code == 3
    kept = json.loads((root / "openapi.json").read_bytes())["components"]
    new = {"Owner", "Person", "Team", "Company", "Board", "Branch"}
    assert kept["schemas"].keys() == json.loads(CHECKED_IN)["components"]["schemas"].keys() | new
    assert kept["responses"].keys() == {"Problem"}
    assert kept["securitySchemes"].keys() == {"API Key"}


@pytest.mark.parametrize(
    "target", ["{server}/other.json", "other.json#/Rule", "file:///etc/passwd", "#/paths", "#rule"]
)
@pytest.mark.parametrize("place", ["field", "data", "mapping", "path", "link", "dynamic", "id", "dialect", "property"])
def test_references_out_of_the_document_are_refused_and_never_followed(
    sync: Sync, root: Path, httpserver: HTTPServer, place: str, target: str
) -> None:
    document = engine_document()
    target = target.format(server=httpserver.url_for(""))
    posted = document["paths"]["/auth/api_keys/"]["post"]
    if place == "field":
        fields(document)["id"] = {"$ref": target}
    elif place == "data":
        fields(document)["roles"]["default"] = {"$ref": target}
    elif place == "property":
        schemas(document)["ApiKeyResponse"]["properties"] = {"$ref": target}
    elif place == "mapping":
        fields(document)["id"]["discriminator"] = {"propertyName": "id", "mapping": {"a": target}}
    elif place == "path":
        document["paths"]["/auth/api_keys/more"] = {"$ref": target}
    elif place == "link":
        posted["responses"]["200"]["links"] = {"next": {"operationRef": target}}
    else:
        fields(document)["id"][{"dynamic": "$dynamicRef", "id": "$id", "dialect": "$schema"}[place]] = target
    finished = sync(document)
    assert_refused(root, finished, repr(target))
    assert finished.output == ""
    assert httpserver.log == []


def test_what_is_not_kept_may_refer_to_anything(sync: Sync) -> None:
    document = engine_document()
    schemas(document)["Rule"]["properties"]["more"] = {"$ref": "other.json"}
    assert sync(document).code == 3


def test_names_that_are_words_elsewhere_are_only_names(sync: Sync, root: Path) -> None:
    document = engine_document()
    for name in ("$id", "mapping", "properties", "required", "security", "x-name", "default", "enum"):
        fields(document)[name] = {"title": "Named", "type": "string"}
    assert sync(document).code == 3
    written = fields(json.loads((root / "openapi.json").read_bytes()))
    assert [*written][-8:] == ["$id", "mapping", "properties", "required", "security", "x-name", "default", "enum"]
    assert [*written["default"]] == ["type", "title"]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            lambda made: fields(made).update(owner=ref("Owner")),
            "refers to #/components/schemas/Owner, which it does not",
        ),
        (lambda made: made["components"].pop("securitySchemes"), "#/components/securitySchemes/API Key"),
        (lambda made: made.pop("components"), "#/components/"),
        (lambda made: made.update(paths={}), "no operations tagged 'API Keys'"),
        (lambda made: made.update(paths=[]), "no operations tagged 'API Keys'"),
        (lambda made: fields(made)["id"].update(type="text"), "the result is not OpenAPI 3.1: "),
        (lambda made: made.pop("info"), "the result is not OpenAPI 3.1: the document: "),
        (lambda made: made.update(info=[]), "the result is not OpenAPI 3.1: "),
    ],
)
def test_a_document_that_is_broken_is_refused(
    sync: Sync, root: Path, edit: Callable[[Json], object], reason: str
) -> None:
    document = engine_document()
    edit(document)
    assert_refused(root, sync(document), reason)


def test_a_document_without_our_tag_is_refused(sync: Sync, root: Path) -> None:
    document = json.loads(json.dumps(engine_document()).replace('"tags": ["API Keys"]', '"tags": ["Keys"]'))
    assert_refused(root, sync(document), "the source has no operations tagged 'API Keys'")


def test_what_a_server_writes_stays_in_one_line(sync: Sync, root: Path) -> None:
    document = engine_document()
    fields(document)["owner"] = ref("Ow\x1b[2J\nner")
    finished = sync(document)
    assert_refused(root, finished, "#/components/schemas/Ow [2J ner")


def test_other_tags_of_an_operation_are_dropped(sync: Sync, root: Path) -> None:
    document = engine_document()
    document["paths"]["/auth/api_keys/"]["get"]["tags"] = ["Admin", "API Keys"]
    document["tags"] = [{"name": "Admin"}, {"name": "API Keys", "description": "Theirs"}]
    document["servers"] = [{"url": "https://engine.example"}]
    document["webhooks"] = {"made": {"post": operation("API Keys", "Made", "made", answer={})}}
    sync(document)
    assert (root / "openapi.json").read_bytes() == with_sixth_role()


def turned_around(node: Any) -> Any:
    """Every object's keys in the opposite order, and every list of required fields."""
    if isinstance(node, dict):
        return {
            key: value[::-1] if key == "required" and isinstance(value, list) else turned_around(value)
            for key, value in reversed(node.items())
        }
    return [turned_around(item) for item in node] if isinstance(node, list) else node


def test_the_servers_order_changes_nothing(sync: Sync, root: Path) -> None:
    assert sync(turned_around(engine_document())).code == 3
    assert (root / "openapi.json").read_bytes() == with_sixth_role()


def test_without_a_checked_in_document_nothing_is_written(sync: Sync, root: Path) -> None:
    (root / "openapi.json").unlink()
    assert sync(engine_document()).code == 1
    assert not (root / "openapi.json").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"<<<<<<< ours\n", b"\xff"])
def test_a_checked_in_document_that_is_broken_is_named(sync: Sync, root: Path, content: bytes) -> None:
    (root / "openapi.json").write_bytes(content)
    finished = sync(engine_document())
    assert finished.code == 1
    assert finished.errors.startswith("sync_spec: openapi.json is not ")
    assert (root / "openapi.json").read_bytes() == content


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["DEFAULT-RULE-ADMIN", "task admin"], ["DEFAULT_RULE_ADMIN", "TASK_ADMIN"]),
        (["a-b", "a_b", "A B"], ["A_B", "A_B_2", "A_B_3"]),
        (["a", "a-2", "A"], ["A", "A_2", "A_3"]),
        (
            ["1st", "", "-", "_x_", "__y__", "日本", "é"],
            ["VALUE_1ST", "VALUE", "VALUE_2", "X", "Y", "VALUE_3", "VALUE_4"],
        ),
    ],
)
def test_every_enum_value_gets_a_python_name_of_its_own(values: list[str], names: list[str]) -> None:
    with importing("spec_document") as script:
        assert script.enum_names(values) == names
    assert all(name.isidentifier() for name in names)
