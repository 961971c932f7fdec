"""From a server's document to `openapi.json`: what is kept, corrected, named, reported and written."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from pytest_httpserver import HTTPServer
from spec_sources import ROLES, Json, engine_document, json_content, large_document, list_of, operation, ref

from api_keys_client import ApiKeyResponse, CreatedKey

PROJECT = Path(__file__).parents[1]
SCRIPTS = PROJECT / "scripts"
CHECKED_IN = (PROJECT / "openapi.json").read_bytes()
GUIDE = PROJECT / "docs" / "guides" / "spec-changes.md"


class Finished(NamedTuple):
    """What a run of the script came to."""

    code: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """The changes, as the report for people has them."""
        return [line.strip() for line in self.output.splitlines() if line.startswith("  ")]


Sync = Callable[..., Finished]


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        yield importlib.import_module("sync_spec")


@pytest.fixture(scope="module")
def needs(script: ModuleType) -> ModuleType:
    return sys.modules["wrapper_needs"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with what the script needs of a project."""
    made = tmp_path / "project"
    made.mkdir()
    (made / "openapi.json").write_bytes(CHECKED_IN)
    (made / "openapi.overlay.json").write_bytes((PROJECT / "openapi.overlay.json").read_bytes())
    return made


@pytest.fixture
def sync(script: ModuleType, root: Path, capfd: pytest.CaptureFixture[str]) -> Sync:
    """Runs the script on a document, in the root."""

    def run(document: Json, *options: str) -> Finished:
        source = root.parent / "source.json"
        source.write_text(json.dumps(document), encoding="utf-8")
        code = script.main([str(source), "--root", str(root), *options])
        printed = capfd.readouterr()
        return Finished(code, printed.out, printed.err)

    return run


def with_sixth_role() -> bytes:
    """Today's document plus the role that the engine has and the contract has not."""
    document = json.loads(CHECKED_IN)
    document["components"]["schemas"]["APIKeysRolesEnum"]["enum"].append("TENANT-USER")
    document["components"]["schemas"]["APIKeysRolesEnum"]["x-enum-varnames"].append("TENANT_USER")
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def assert_refused(root: Path, finished: Finished, reason: str) -> None:
    assert finished.code == 1
    assert finished.errors.count("\n") == 1
    assert finished.errors.startswith("sync_spec: ")
    assert reason in finished.errors
    assert (root / "openapi.json").read_bytes() == CHECKED_IN
    assert sorted(path.name for path in root.iterdir()) == ["openapi.json", "openapi.overlay.json"]


def schemas(document: Json) -> Any:
    return document["components"]["schemas"]


def fields(document: Json) -> Any:
    return schemas(document)["ApiKeyResponse"]["properties"]


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


def test_an_operation_of_another_id_breaks_and_does_not_generate(sync: Sync, root: Path) -> None:
    document = engine_document()
    document["paths"]["/auth/api_keys/{api_key_id}"]["get"]["operationId"] = "get_api_key"
    finished = sync(document)
    assert finished.code == 4
    old = "get_api_key_auth_api_keys__api_key_id__get"
    assert finished.lines[:2] == [
        f"changed operation id {old}: {old} -> get_api_key",
        "touches Calls.get in api_keys_client/_calls.py",
    ]
    command = [sys.executable, str(SCRIPTS / "regenerate.py"), "--root", str(root)]
    generated = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert generated.returncode == 1
    assert generated.stderr == (
        f"regenerate: openapi.json: there is no {old}, on which Calls.get in api_keys_client/_calls.py relies\n"
    )
    assert not (root / "_generated").exists()


def test_another_field_in_an_answer_does_not_break(sync: Sync, root: Path) -> None:
    document = engine_document()
    fields(document)["owner"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Owner"}
    finished = sync(document)
    assert finished.code == 3
    assert "added field ApiKeyResponse.owner: string | null" in finished.lines
    assert [*fields(json.loads((root / "openapi.json").read_bytes()))][-1] == "owner"


def test_a_seventh_role_gets_its_name(sync: Sync, root: Path) -> None:
    document = engine_document()
    schemas(document)["APIKeysRolesEnum"]["enum"].insert(2, "ORG-OWNER")
    finished = sync(document)
    assert finished.code == 3
    assert "added enum value APIKeysRolesEnum: ORG-OWNER" in finished.lines
    roles = schemas(json.loads((root / "openapi.json").read_bytes()))["APIKeysRolesEnum"]
    assert roles["enum"] == [*ROLES[:2], "ORG-OWNER", *ROLES[2:]]
    assert roles["x-enum-varnames"] == [role.replace("-", "_") for role in roles["enum"]]


def test_a_role_that_is_gone_breaks(sync: Sync) -> None:
    document = engine_document()
    schemas(document)["APIKeysRolesEnum"]["enum"].remove("ORG-ADMIN")
    finished = sync(document)
    assert finished.code == 4
    assert finished.lines[0] == "removed enum value APIKeysRolesEnum: ORG-ADMIN"
    assert "touches checked_roles in api_keys_client/_arguments.py" in finished.lines


def test_an_answers_field_that_is_gone_is_told_although_the_overlay_no_longer_fits(sync: Sync, root: Path) -> None:
    document = engine_document()
    del fields(document)["is_active"]
    schemas(document)["ApiKeyResponse"]["required"].remove("is_active")
    finished = sync(document)
    assert_refused(root, finished, "the server has moved: $.components.schemas.ApiKeyResponse.properties.is_active\n")
    named = "Targets of the overlay that match nothing:\n  $.components.schemas.ApiKeyResponse.properties.is_active\n"
    assert finished.output.endswith(named)
    assert finished.lines[0] == "removed field ApiKeyResponse.is_active: boolean"
    assert "touches Attempts in api_keys_client/_attempts.py" in finished.lines


def test_a_required_parameter_that_is_new_breaks(sync: Sync) -> None:
    document = engine_document()
    parameter = {"name": "tenant", "in": "query", "required": True, "schema": {"type": "string"}}
    document["paths"]["/auth/api_keys/"]["get"]["parameters"] = [parameter]
    finished = sync(document)
    assert finished.code == 4
    assert finished.lines[:2] == [
        "added required query parameter get_all_active_api_keys_auth_api_keys__get.parameters.tenant",
        "touches Calls.list in api_keys_client/_calls.py",
    ]


def test_the_report_as_json(sync: Sync) -> None:
    document = engine_document()
    del document["paths"]["/auth/api_keys/deactivate/{api_key_id}"]["delete"]["responses"]["200"]
    finished = sync(document, "--json", "--check")
    assert (finished.code, finished.errors) == (4, "")
    report = json.loads(finished.output)
    name = "deactivate_api_key_auth_api_keys_deactivate__api_key_id__delete"
    assert report == {
        "result": "breaking",
        "error": None,
        "changes": [
            {
                "kind": "removed",
                "what": "response",
                "subject": f"{name}.responses.200",
                "before": None,
                "after": None,
                "breaking": True,
                "touches": ["Calls.deactivate in api_keys_client/_calls.py"],
            },
            {
                "kind": "added",
                "what": "enum value",
                "subject": "APIKeysRolesEnum",
                "before": None,
                "after": "TENANT-USER",
                "breaking": False,
                "touches": [],
            },
        ],
    }
    failed = sync({}, "--json")
    assert failed.code == 1
    reason = failed.errors.removeprefix("sync_spec: ").strip()
    assert json.loads(failed.output) == {"result": "failed", "error": reason, "changes": []}


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
def test_every_enum_value_gets_a_python_name_of_its_own(
    script: ModuleType, values: list[str], names: list[str]
) -> None:
    assert importlib.import_module("spec_document").enum_names(values) == names
    assert all(name.isidentifier() for name in names)


def test_what_the_wrapper_needs_is_what_its_code_uses(needs: ModuleType) -> None:
    needed = {subject for subjects in needs.NEEDS.values() for subject in subjects}
    calls = (PROJECT / "api_keys_client" / "_calls.py").read_text(encoding="utf-8")
    operations = {subject for subject in needed if "__" in subject and "." not in subject}
    serializers = re.findall(r"api\._(\w+)_serialize", calls)
    assert sorted(re.sub("_+", "_", name) for name in operations) == sorted(serializers)
    assert {f"ApiKeyResponse.{name}" for name in CreatedKey.__annotations__} < needed

    contract = ast.parse((PROJECT / "api_keys_client" / "_contract.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(contract) if isinstance(node, ast.ImportFrom) and node.module == "_generated"]
    imported = {alias.name for node in imports for alias in node.names}
    models = {subject for subject in needed if "__" not in subject and "." not in subject}
    assert models == imported - {"APIKeysApi", "ApiClient", "Configuration"}


@pytest.mark.parametrize("module", ["_attempts", "_calls", "_client", "_outcome", "_rotate", "rotation"])
def test_the_fields_that_a_module_uses_are_needed(needs: ModuleType, module: str) -> None:
    path = f"api_keys_client/{module}.py"
    code = ast.parse((PROJECT / path).read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(code) if isinstance(node, ast.Attribute)}
    needed = {subject for users, subjects in needs.NEEDS.items() if users.endswith(path) for subject in subjects}
    expected = {f"ApiKeyResponse.{name}" for name in used.intersection(ApiKeyResponse.model_fields)}
    assert expected
    assert expected == {subject for subject in needed if re.match(r"ApiKeyResponse\.(?!key$)", subject)}


def test_the_code_that_needs_something_is_there(needs: ModuleType) -> None:
    for users in needs.NEEDS:
        name, path = users.split(" in ")
        source = (PROJECT / path).read_text(encoding="utf-8")
        assert re.search(rf"^ *(class|def) {name.rpartition('.')[2]}\b", source, re.MULTILINE), users


def test_a_change_touches_those_who_need_a_part_or_the_whole_of_it(needs: ModuleType) -> None:
    client, create = "ApiKeysClient in api_keys_client/_client.py", "Calls.create in api_keys_client/_calls.py"
    assert {client, create} <= {*needs.touched_by("ApiKeyResponse")}
    assert client in needs.touched_by("ApiKeyResponse.roles")
    assert client in needs.touched_by("ApiKeyResponse.roles.*")
    assert create in needs.touched_by("ApiKeyResponse.created_at")
    assert client not in needs.touched_by("ApiKeyResponse.created_at")
    assert needs.touched_by("ApiKeyResponseOfAnother") == []


def test_the_guide_shows_what_the_script_prints(sync: Sync) -> None:
    document = engine_document()
    document["paths"]["/auth/api_keys/"]["get"]["parameters"] = [
        {"name": "tenant", "in": "query", "required": True, "schema": {"type": "string"}}
    ]
    assert sync(document).output in GUIDE.read_text(encoding="utf-8")
