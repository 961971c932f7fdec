"""scripts/mutation.py, over a project of two functions: a mutant that survives is told until the guide explains it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("mutmut") is None:
    pytest.skip("mutmut is not among what --lowest installs", allow_module_level=True)

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "scripts" / "mutation.py"
FILES = {
    "pyproject.toml": '[tool.mutmut]\nsource_paths = ["package"]\npytest_add_cli_args_test_selection = ["tests"]\n',
    "package/__init__.py": "",
    "package/numbers.py": """
class Pair:
    def larger(self, first, second):
        return first if first > second | 0 else second

def refuse():
    raise ValueError("no such number")
""",
    "tests/test_numbers.py": """
import pytest
from package.numbers import Pair, refuse

def test_larger():
    assert (Pair().larger(1, 2), Pair().larger(2, 1), Pair().larger(1, 0)) == (2, 2, 1)

def test_refuse():
    with pytest.raises(ValueError) as caught:
        refuse()
    assert "number" in str(caught.value).lower()
""",
}
ROW = "| `numbers.Pair.larger` | `return first if first > second \\| 0 else second` → `{}` |"
SURVIVES = ROW.format("return first if first >= second \\| 0 else second")
STALE = ROW.format("return first if first < second \\| 0 else second")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project: Path, guide: str) -> subprocess.CompletedProcess[str]:
    (project / "docs" / "guides").mkdir(parents=True, exist_ok=True)
    (project / "docs" / "guides" / "development.md").write_text(guide, encoding="utf-8")
    # Without the plugins of the environment, which take most of the time.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(SCRIPT), "--max-children", "1"]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )


def test_a_survivor_is_told_until_it_is_explained(project: Path) -> None:
    finished = run(project, f"| Where | Change | Why |\n|---|---|---|\n{STALE} why |\n")
    assert finished.returncode == 1
    assert finished.stderr == f"not explained: {SURVIVES}\nexplained, but killed or gone: {STALE}\n"

    finished = run(project, f"Text.\n\n{SURVIVES} it is the same |\n")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.endswith("2 only in the words of a message or a repr, 1 others\n")


def test_tests_that_fail_without_a_mutant_are_shown(project: Path) -> None:
    (project / "tests" / "test_numbers.py").write_text("def test_nothing(): assert 'what' == 'wrong'\n")
    finished = run(project, "")
    assert finished.returncode == 1
    assert "assert 'what' == 'wrong'" in finished.stderr
