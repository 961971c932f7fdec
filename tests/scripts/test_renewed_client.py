"""From a server's document to a client: each step as a person runs it, in a copy of the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import PROJECT
from tests.support.scripts import Json, changed_document, fields, operation, ref, schemas

LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "mutants", "dist", "build")

# These tests themselves, and the demo, which installs what it needs.
OTHERS = ("docs/test_demo.py", "scripts/test_renewed_client.py")

FIRST_CALL = """
import sys

def loaded(beginning):
    return sorted(name for name in sys.modules if name.startswith(beginning))

import api_keys_client
assert loaded("_generated") == []
from api_keys_client import ApiKeysClient
from api_keys_client.sandbox import Sandbox

with Sandbox() as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
    client.{call}
print(*loaded("_generated.models."), *loaded("_generated.api."))
"""


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, on the packages that are there."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )


def renew(folder: Path, document: Json, *options: str) -> Path:
    """Copy the project, and bring the copy up to date with a document by its own scripts."""
    root = shutil.copytree(PROJECT, folder / "project", ignore=LEFT_OUT)
    (folder / "source.json").write_text(json.dumps(document), encoding="utf-8")
    synced = run(root, "scripts/sync_spec.py", folder / "source.json", *options)
    assert (synced.returncode, synced.stderr.count("\n")) == (3, 1), synced.stderr
    generated = run(root, "scripts/regenerate.py")
    assert (generated.returncode, generated.stdout, generated.stderr) == (0, "", "")
    return root


def large_document(operations: int, models: int) -> Json:
    """The changed document with so many more operations and models; ten of these at a time make a circle."""
    document = changed_document()
    for number in range(models):
        following = {"anyOf": [ref(f"Model{number // 10 * 10 + (number + 1) % 10}"), {"type": "null"}]}
        kind = {"type": "string", "enum": ["a-b", "a_b", "1st", "class", ""]}
        schemas(document)[f"Model{number}"] = {"type": "object", "properties": {"next": following, "kind": kind}}
    for number in range(operations):
        made = operation(f"thing_{number}", tag="Things", answer=ref(f"Model{number * 10 % models}"))
        document["paths"][f"/things/{number}"] = {"post": made}
    return document


def adapt(root: Path) -> Path:
    """Do in a copy what the guide leaves to a person, for a new role."""
    commands = root / "api_keys_client" / "cli" / "create.py"
    source = commands.read_text(encoding="utf-8")
    assert source.count('"ORG-ADMIN")\n') == 1
    commands.write_text(source.replace('"ORG-ADMIN")\n', '"ORG-ADMIN", "TAKEN-OVER")\n'), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def renewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, brought up to date with an engine that has a role, a field and a parameter more."""
    document = changed_document("TAKEN-OVER")
    fields(document)["holder"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Holder"}
    limit = {"name": "limit", "in": "query", "required": False, "schema": {"type": "integer"}}
    document["paths"]["/auth/api_keys/"]["get"]["parameters"] = [limit]
    return renew(tmp_path_factory.mktemp("renewed"), document)


def test_only_what_is_new_is_generated(renewed: Path) -> None:
    changed = {
        path.name
        for path in (PROJECT / "_generated").rglob("*.py")
        if (renewed / path.relative_to(PROJECT)).read_bytes() != path.read_bytes()
    }
    assert changed == {"api_keys_api.py", "api_key_response.py", "api_keys_roles_enum.py"}


@pytest.mark.slow
def test_the_renewed_client_passes_its_tests(renewed: Path) -> None:
    adapt(renewed)
    where = run(renewed, "-c", "import _generated, api_keys_client as own; print(_generated.__file__, own.__file__)")
    assert [Path(path).parents[1] for path in where.stdout.split()] == [renewed, renewed]
    ignored = [f"--ignore=tests/{name}" for name in OTHERS]
    as_the_gate = ["--numprocesses", "auto", "--dist", "loadfile", "-m", "not slow"]
    finished = run(renewed, "-m", "pytest", "-q", "-p", "no:cacheprovider", *as_the_gate, *ignored)
    assert finished.returncode == 0, finished.stdout


@pytest.mark.slow
def test_of_150_operations_a_first_call_loads_only_the_models_that_it_needs(tmp_path: Path) -> None:
    root = renew(tmp_path, large_document(150, 400), "--all-operations")
    assert len([*(root / "_generated" / "models").glob("*.py")]) > 400
    # The generated class of the four operations imports the models of all four.
    models = ["api_key_response", "api_keys_roles_enum", "new_api_key_request"]
    expected = [*(f"_generated.models.{name}" for name in models), "_generated.api.api_keys_api"]
    for call in ("list()", "create('ci')", "deactivate(client.create().id)"):
        finished = run(root, "-c", FIRST_CALL.format(call=call))
        assert (finished.stdout.split(), finished.stderr) == (expected, "")
