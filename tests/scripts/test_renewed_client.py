"""From a server's document to a client: each step as a person runs it, in a copy of the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.spec_sources import PROJECT, Json, engine_document, large_document

LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "dist", "build")

# Not about the client: the scripts, the sandbox, and these tests themselves.
OTHERS = ("docs/test_demo.py", "sandbox", "scripts", "typing")

REFUSED = """
from api_keys_client import ApiKeysClient, InvalidRequestError, Outcome, Role
from api_keys_client.sandbox import Sandbox

with Sandbox(profile="engine") as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
    for roles in (["TENANT-USER"], [Role.TENANT_USER]):
        try:
            client.create("ci", roles=roles)
        except InvalidRequestError as error:
            print(error.status, error.outcome is Outcome.REJECTED, error.detail)
    assert client.list() == []
"""

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


def adapt(root: Path) -> Path:
    """Do in a copy what the guide leaves to a person, for a new role."""
    commands = root / "api_keys_client" / "_cli_create.py"
    source = commands.read_text(encoding="utf-8")
    assert source.count('"ORG-ADMIN")\n') == 1
    commands.write_text(source.replace('"ORG-ADMIN")\n', '"ORG-ADMIN", "TENANT-USER")\n'), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def renewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, brought up to date with the engine's own document."""
    return renew(tmp_path_factory.mktemp("renewed"), engine_document())


def test_only_the_role_is_new_and_the_reference_page_stays_as_it_is(renewed: Path) -> None:
    page = (renewed / "docs" / "APIKeysApi.md").read_bytes()
    assert page == (PROJECT / "docs" / "APIKeysApi.md").read_bytes()
    for path in sorted((PROJECT / "_generated").rglob("*.py")):
        new = (renewed / path.relative_to(PROJECT)).read_text(encoding="utf-8")
        added = "    TENANT_USER = 'TENANT-USER'\n"
        assert new.count(added) == (path.name == "api_keys_roles_enum.py")
        assert new.replace(added, "") == path.read_text(encoding="utf-8")


def test_a_role_that_cannot_be_assigned_is_refused_with_the_servers_reason(renewed: Path) -> None:
    finished = run(renewed, "-c", REFUSED)
    reason = "Roles ['TENANT-USER'] cannot be assigned via this endpoint; use the tenant signup flow."
    assert (finished.stdout, finished.stderr) == (f"400 True {reason}\n" * 2, "")


@pytest.mark.slow
def test_the_renewed_client_passes_its_tests(renewed: Path) -> None:
    adapt(renewed)
    where = run(renewed, "-c", "import _generated, api_keys_client as own; print(_generated.__file__, own.__file__)")
    assert [Path(path).parents[1] for path in where.stdout.split()] == [renewed, renewed]
    ignored = [f"--ignore=tests/{name}" for name in OTHERS]
    finished = run(renewed, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ignored)
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
