"""The generated files follow `openapi.json`, byte for byte, and a contract that fails changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pages import PROJECT
from tests.support.scripts import CHECKED_IN, SCRIPTS, Json, fields, importing, ref, schemas

with importing("regenerate") as script, importing("substitutions") as changes:
    Failure = script.Failure

# A machine that could hardly be less like another. Its Java would not even start with these options.
ELSEWHERE = {
    "LC_ALL": "tr_TR.ISO-8859-9",
    "TZ": "Asia/Kathmandu",
    "PATH": "/nonexistent",
    "JAVA_HOME": "/nonexistent",
    "JAVA_TOOL_OPTIONS": "-Duser.language=tr -XX:+NoSuchOption",
    "PYTHONIOENCODING": "ascii",
}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder of another name, generated under another locale, timezone and Java configuration."""
    root = tmp_path_factory.mktemp("projects") / "añother folder"
    shutil.copytree(PROJECT / "api_keys_client", root / "api_keys_client", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "openapi.json", root)
    command = [sys.executable, str(SCRIPTS / "regenerate.py"), "--root", str(root)]
    finished = subprocess.run(command, env={**os.environ, **ELSEWHERE}, capture_output=True, check=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, b"", b"")
    return root


@pytest.fixture
def project(elsewhere: Path, tmp_path: Path) -> Path:
    """A folder of the test's own, as it is after generating."""
    return shutil.copytree(elsewhere, tmp_path / "project")


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_another_machine_gives_the_same_bytes_and_writes_nothing_else(elsewhere: Path) -> None:
    assert script.read_tree(elsewhere) == script.read_tree(PROJECT)
    assert {path.name for path in elsewhere.iterdir()} == {"_generated", "api_keys_client", "docs", "openapi.json"}
    assert all(b"\r" not in content for content in snapshot(elsewhere).values())


def test_check_shows_every_difference_and_generating_removes_it(
    project: Path, elsewhere: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (project / "_generated" / "rest.py").open("a", encoding="utf-8") as file:
        file.write("edited_by_hand = True\n")
    (project / "_generated" / "py.typed").unlink()
    (project / "_generated" / "models" / "stale.py").write_text("stale = True\n", encoding="utf-8")
    (project / "docs" / "Stale.md").write_text("# Stale\n", encoding="utf-8")
    (project / "docs" / "guides").mkdir()
    (project / "docs" / "guides" / "written.md").write_text("# Written by hand\n", encoding="utf-8")
    (project / "docs" / "index.md").write_text("# Written by hand\n", encoding="utf-8")
    before = snapshot(project)

    assert script.main(["--check", "--root", str(project)]) == 1

    printed = capfd.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert re.findall(r"^--- (\S+)\n\+\+\+ (\S+)$", printed.out, re.MULTILINE) == [
        ("_generated/models/stale.py", "/dev/null"),
        ("/dev/null", "_generated/py.typed"),
        ("_generated/rest.py", "_generated/rest.py"),
        ("docs/Stale.md", "/dev/null"),
    ]
    assert "\n-edited_by_hand = True\n" in printed.out
    assert snapshot(project) == before
    script.write_tree(project, script.read_tree(elsewhere))
    assert script.read_tree(project) == script.read_tree(elsewhere)
    assert (project / "docs" / "guides" / "written.md").exists()
    assert (project / "docs" / "index.md").exists()


def edited(edit: Callable[[Json], object]) -> bytes:
    specification = json.loads(CHECKED_IN)
    edit(specification)
    return json.dumps(specification).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an OpenAPI document"),
        (
            edited(lambda made: schemas(made)["APIKeysRolesEnum"]["x-enum-varnames"].pop()),
            "cannot be imported: .*SyntaxError: .*roles_enum.py",
        ),
        (
            edited(lambda made: fields(made).update(owner=ref("Owner"))),
            "/components/schemas/Owner. does not exist",
        ),
        (
            edited(lambda made: made["paths"]["/auth/api_keys/"]["get"].update(operationId="list")),
            "AttributeError: .*operations.py",
        ),
    ],
    ids=["deep", "list", "names", "reference", "operation"],
)
def test_a_contract_that_fails_changes_nothing(
    project: Path, content: bytes, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "openapi.json").write_bytes(content)
    before = snapshot(project)
    assert script.main(["--root", str(project)]) == 1
    assert re.fullmatch(rf"regenerate: .*{reason}.*\n", capfd.readouterr().err)
    assert snapshot(project) == before


def test_a_substitution_that_no_longer_matches_is_named_with_its_reason() -> None:
    tree = {"_generated/a.py": b"old old", "docs/A.md": b"old"}
    substitution = changes.Substitution("it is old", "_generated/*.py", {"old": "new"})
    changes.substitute(tree, (substitution,))
    assert tree == {"_generated/a.py": b"new new", "docs/A.md": b"old"}
    with pytest.raises(Failure, match=r"no 'old' into _generated/\*\.py, to be replaced because it is old"):
        changes.substitute(tree, (substitution,))
