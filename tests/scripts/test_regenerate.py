"""The generated files follow `openapi.json`, byte for byte, and a failure changes nothing."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / "scripts" / "regenerate.py"
SPECIFICATION = json.loads((PROJECT / "openapi.json").read_bytes())

# A machine that could hardly be less like another. Its Java would not even start with these options.
ELSEWHERE = {
    "LC_ALL": "tr_TR.ISO-8859-9",
    "TZ": "Asia/Kathmandu",
    "PATH": "/nonexistent",
    "JAVA_HOME": "/nonexistent",
    "JAVA_TOOL_OPTIONS": "-Duser.language=tr -XX:+NoSuchOption",
    "PYTHONIOENCODING": "ascii",
}


def regenerate(
    root: Path, *options: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--root", str(root), *options]
    return subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, encoding="utf-8", check=False
    )


def snapshot(root: Path) -> dict[str, bytes | None]:
    """Read everything below a folder, folders and hidden files too."""
    paths = [path for path in root.rglob("*") if "__pycache__" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in paths}


def generated_files(root: Path) -> dict[str, bytes | None]:
    package = {f"_generated/{path}": content for path, content in snapshot(root / "_generated").items()}
    return {**package, **{f"docs/{page.name}": page.read_bytes() for page in (root / "docs").glob("*.md")}}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder of another name, generated under another locale, timezone and Java configuration."""
    root = tmp_path_factory.mktemp("projects") / "añother folder"
    (root / "api_keys_client").mkdir(parents=True)
    shutil.copy(PROJECT / "api_keys_client" / "__init__.py", root / "api_keys_client")
    shutil.copy(PROJECT / "openapi.json", root)
    finished = regenerate(root, environment=ELSEWHERE)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    return root


@pytest.fixture
def project(elsewhere: Path, tmp_path: Path) -> Path:
    """A folder of the test's own, as it is after generating."""
    return shutil.copytree(elsewhere, tmp_path / "project")


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        yield importlib.import_module("regenerate")


@pytest.fixture(scope="module")
def changes(script: ModuleType) -> ModuleType:
    return sys.modules[script.substitute.__module__]


def test_the_repository_is_what_its_specification_gives() -> None:
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, encoding="utf-8", check=False
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_another_machine_gives_the_same_bytes(elsewhere: Path) -> None:
    assert generated_files(elsewhere) == generated_files(PROJECT)


def test_only_the_package_and_the_pages_are_written(elsewhere: Path) -> None:
    top = {path.name for path in elsewhere.iterdir()}
    assert top == {"_generated", "api_keys_client", "docs", "openapi.json"}
    assert all(b"\r" not in (content or b"") for content in snapshot(elsewhere).values())


def test_check_shows_every_difference_and_generating_removes_it(project: Path, elsewhere: Path) -> None:
    with (project / "_generated" / "rest.py").open("a", encoding="utf-8") as file:
        file.write("edited_by_hand = True\n")
    (project / "_generated" / "py.typed").unlink()
    (project / "_generated" / "models" / "stale.py").write_text("stale = True\n", encoding="utf-8")
    (project / "_generated" / "__pycache__").mkdir()
    (project / "_generated" / "__pycache__" / "rest.pyc").write_bytes(b"\0")
    (project / "docs" / "Stale.md").write_text("# Stale\n", encoding="utf-8")
    (project / "docs" / "guides").mkdir()
    (project / "docs" / "guides" / "written.md").write_text("# Written by hand\n", encoding="utf-8")
    before = snapshot(project)

    checked = regenerate(project, "--check")

    assert checked.returncode == 1
    assert len(checked.stderr.splitlines()) == 1
    changed = re.findall(r"^--- (\S+)\n\+\+\+ (\S+)$", checked.stdout, re.MULTILINE)
    assert changed == [
        ("_generated/models/stale.py", "/dev/null"),
        ("/dev/null", "_generated/py.typed"),
        ("_generated/rest.py", "_generated/rest.py"),
        ("docs/Stale.md", "/dev/null"),
    ]
    assert "\n-edited_by_hand = True\n" in checked.stdout
    assert snapshot(project) == before

    assert regenerate(project).returncode == 0

    assert generated_files(project) == generated_files(elsewhere)
    assert (project / "docs" / "guides" / "written.md").read_text(encoding="utf-8") == "# Written by hand\n"


def with_too_few_names(specification: dict[str, Any]) -> None:
    specification["components"]["schemas"]["APIKeysRolesEnum"]["x-enum-varnames"].pop()


def with_a_name_that_is_no_name(specification: dict[str, Any]) -> None:
    specification["components"]["schemas"]["APIKeysRolesEnum"]["x-enum-varnames"][0] = "NO NAME"


def with_a_schema_that_is_not_there(specification: dict[str, Any]) -> None:
    properties = specification["components"]["schemas"]["ApiKeyResponse"]["properties"]
    properties["owner"] = {"$ref": "#/components/schemas/Owner"}


def with_one_name_twice(specification: dict[str, Any]) -> None:
    names = specification["components"]["schemas"]["APIKeysRolesEnum"]["x-enum-varnames"]
    names[0] = names[1]


def with_a_model_that_cannot_be_written(specification: dict[str, Any]) -> None:
    # No file can have so long a name; the generator has written other models when it comes to this.
    model = {"type": "object", "properties": {"name": {"type": "string"}}}
    specification["components"]["schemas"]["X" * 255] = model


def without_operations(specification: dict[str, Any]) -> None:
    specification["paths"] = {}


def with_an_operation_of_another_id(specification: dict[str, Any]) -> None:
    specification["paths"]["/auth/api_keys/"]["get"]["operationId"] = "list_api_keys"


def with_an_operation_of_another_tag(specification: dict[str, Any]) -> None:
    specification["paths"]["/auth/api_keys/"]["post"]["tags"] = ["Keys"]


def without_its_parameter(specification: dict[str, Any]) -> None:
    del specification["paths"]["/auth/api_keys/{api_key_id}"]["get"]["parameters"]


def with_another_body(specification: dict[str, Any]) -> None:
    content = specification["paths"]["/auth/api_keys/"]["post"]["requestBody"]["content"]
    content["application/json"]["schema"] = {"$ref": "#/components/schemas/ApiKeyResponse"}


def without_a_model(specification: dict[str, Any]) -> None:
    specification["components"]["schemas"]["ApiKeyResponse"]["properties"]["roles"] = {"type": "array", "items": {}}
    specification["components"]["schemas"]["NewApiKeyRequest"]["properties"]["roles"] = {"type": "array", "items": {}}
    del specification["components"]["schemas"]["APIKeysRolesEnum"]


def without_a_field(specification: dict[str, Any]) -> None:
    del specification["components"]["schemas"]["ApiKeyResponse"]["properties"]["is_active"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_too_few_names, "x-enum-varnames"),
        (with_a_name_that_is_no_name, "does not compile: _generated/models/api_keys_roles_enum.py"),
        (with_a_schema_that_is_not_there, "#/components/schemas/Owner is referred to"),
        (with_one_name_twice, "cannot be imported: TypeError"),
        (with_a_model_that_cannot_be_written, "the generator failed: .*Could not generate model"),
        (without_operations, "there is no create_api_key_auth_api_keys__post, on which Operations.create in "),
        (
            with_an_operation_of_another_id,
            "there is no get_all_active_api_keys_auth_api_keys__get, on which",
        ),
        (with_an_operation_of_another_tag, "there is no create_api_key_auth_api_keys__post.tags.API Keys, on which"),
        (without_its_parameter, "__get.parameters.api_key_id, on which Operations.get in .*/operations.py relies"),
        (with_another_body, "__post.body.NewApiKeyRequest, on which Operations.create in .*/operations.py relies"),
        (without_a_model, "there is no APIKeysRolesEnum, on which replace in .*/_async/rotation.py relies"),
        (without_a_field, "there is no ApiKeyResponse.is_active, on which Executor in .*/_async/executor.py relies"),
    ],
)
def test_a_specification_that_fails_changes_nothing(
    project: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    specification = json.loads(json.dumps(SPECIFICATION))
    change(specification)
    (project / "openapi.json").write_text(json.dumps(specification), encoding="utf-8")
    assert_fails_and_changes_nothing(project, reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"openapi": ', "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an OpenAPI document"),
        (b'{"swagger": "2.0"}', "not an OpenAPI document"),
    ],
)
def test_what_is_no_specification_changes_nothing(project: Path, content: bytes, reason: str) -> None:
    (project / "openapi.json").write_bytes(content)
    assert_fails_and_changes_nothing(project, reason)


def test_no_specification_changes_nothing(project: Path) -> None:
    (project / "openapi.json").unlink()
    assert_fails_and_changes_nothing(project, "No such file .*openapi.json")


def test_a_replacement_that_fails_is_undone(project: Path) -> None:
    # A folder where the last page should go: by then the package and the other pages are in place.
    (project / "docs" / "ValidationError.md").unlink()
    (project / "docs" / "ValidationError.md").mkdir()
    (project / "docs" / "ValidationError.md" / "kept").touch()
    (project / "_generated" / "rest.py").write_text("old = True\n", encoding="utf-8")
    assert_fails_and_changes_nothing(project, r"ValidationError\.md")


def assert_fails_and_changes_nothing(project: Path, reason: str) -> None:
    before = snapshot(project)
    finished = regenerate(project)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert re.fullmatch(rf"regenerate: .*{reason}.*\n", finished.stderr)
    assert snapshot(project) == before


def test_the_version_is_the_packages(script: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / "api_keys_client" / "__init__.py"
    source.parent.mkdir()
    source.write_text('"""A package."""\n\n__version__ = "1.2.3rc4"\n', encoding="utf-8")
    assert script.read_version(tmp_path) == "1.2.3rc4"
    source.write_text("version = 1\n", encoding="utf-8")
    with pytest.raises(script.Failure, match="has no version"):
        script.read_version(tmp_path)


@pytest.mark.parametrize(
    ("times", "text", "result"),
    [
        (1, "old", "new"),
        (2, "old old", "new new"),
        (None, "old", "new"),
        (None, "old old", "new new"),
        (1, "", None),
        (1, "old old", None),
        (2, "old", None),
        (None, "", None),
    ],
)
def test_a_substitution_matches_as_often_as_it_says(
    changes: ModuleType, times: int | None, text: str, result: str | None
) -> None:
    tree = {"_generated/a.py": text.encode(), "docs/A.md": b"old"}
    substitution = changes.Substitution("renewal", "_generated/*.py", "age", (changes.Edit("old", "new", times),))
    if result is None:
        with pytest.raises(changes.Failure, match=r"substitution 'renewal' no longer matches"):
            changes.substitute(tree, (substitution,))
    else:
        changes.substitute(tree, (substitution,))
        assert tree == {"_generated/a.py": result.encode(), "docs/A.md": b"old"}
