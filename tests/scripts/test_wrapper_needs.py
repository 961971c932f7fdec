"""What the wrapper needs of the contract: the list in scripts/wrapper_needs.py and the wrapper's code agree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from api_keys_client import ApiKeyResponse, CreatedKey
from tests.support.syncing import PROJECT, importing


@pytest.fixture(scope="module")
def needs() -> Iterator[ModuleType]:
    with importing("wrapper_needs") as module:
        yield module


def test_what_the_wrapper_needs_is_what_its_code_uses(needs: ModuleType) -> None:
    needed = {subject for subjects in needs.NEEDS.values() for subject in subjects}
    calls = (PROJECT / "api_keys_client" / "_core" / "operations.py").read_text(encoding="utf-8")
    operations = {subject for subject in needed if "__" in subject and "." not in subject}
    serializers = re.findall(r"api\._(\w+)_serialize", calls)
    assert sorted(re.sub("_+", "_", name) for name in operations) == sorted(serializers)
    assert {f"ApiKeyResponse.{name}" for name in CreatedKey.__annotations__} < needed

    contract = ast.parse((PROJECT / "api_keys_client" / "_core" / "generated.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(contract) if isinstance(node, ast.ImportFrom) and node.module == "_generated"]
    imported = {alias.name for node in imports for alias in node.names}
    models = {subject for subject in needed if "__" not in subject and "." not in subject}
    assert models == imported - {"APIKeysApi", "ApiClient", "Configuration"}


@pytest.mark.parametrize(
    "module",
    ["_async/executor", "_core/operations", "_async/client", "_core/policy", "_async/rotation", "_core/markers"],
)
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
        assert re.search(rf"^ *(class|async def|def) {name.rpartition('.')[2]}\b", source, re.MULTILINE), users


def test_a_change_touches_those_who_need_a_part_or_the_whole_of_it(needs: ModuleType) -> None:
    client, create = (
        "AsyncApiKeysClient in api_keys_client/_async/client.py",
        "Operations.create in api_keys_client/_core/operations.py",
    )
    assert {client, create} <= {*needs.touched_by("ApiKeyResponse")}
    assert client in needs.touched_by("ApiKeyResponse.roles")
    assert client in needs.touched_by("ApiKeyResponse.roles.*")
    assert create in needs.touched_by("ApiKeyResponse.created_at")
    assert client not in needs.touched_by("ApiKeyResponse.created_at")
    assert needs.touched_by("ApiKeyResponseOfAnother") == []
