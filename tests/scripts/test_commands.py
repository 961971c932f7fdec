"""The commands around Python: what they do in which order, from any folder, and what they say when they can't.

`scripts/test` cannot run inside of the tests that it runs, so it gets a Python here that writes down what it was told.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("the scripts are for a POSIX shell", allow_module_level=True)

PROJECT = Path(__file__).parents[2]
PYPROJECT = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
TOOLS = ("cat", "cmp", "cp", "dirname", "env", "git", "ln", "mkdir", "mktemp", "rm", "sh")

RECORDING_PYTHON = """#!/bin/sh
echo "$* ($#)" >>"$RECORD"
case "$*" in
    *"${FAILS:-nothing fails}"*) echo "what is wrong"; exit 3 ;;
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    "-m build "*) mkdir -p "$4"; echo >"$4/api_keys_client.whl" ;;
esac
"""


class Checkout:
    """A copy of the scripts in a folder whose name has a space, on a path with a few tools and no uv."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.record = folder / "record"
        self.temporary = folder / "temporary"
        self.elsewhere = folder / "elsewhere"
        self.tools = folder / "tools"
        for made in (self.root, self.temporary, self.elsewhere, self.tools):
            made.mkdir()
        shutil.copytree(PROJECT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(PROJECT / ".ci", self.root / ".ci")
        shutil.copy(PROJECT / "pyproject.toml", self.root)
        subprocess.run(["git", "init", "--quiet", self.root], check=True)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found
            (self.tools / tool).symlink_to(found)

    def set_up(self, group: str, python: str, place: str = ".venv") -> None:
        """Leave an environment as an earlier run would."""
        binaries = self.root / place / "bin"
        binaries.mkdir(parents=True, exist_ok=True)
        for program in ("python", "zizmor"):
            write_program(binaries / program, python)
        stamp = f"{self.root}\n{PYPROJECT}"
        (self.root / place / f"installed-{group}").write_text(stamp)

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.tools), "TMPDIR": str(self.temporary), "RECORD": str(self.record)}
        return subprocess.run(
            [str(self.root / command[0]), *command[1:]],
            cwd=self.elsewhere,
            env={**environment, **variables},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def told(self) -> list[str]:
        """What the recording Python was told, but for the question whether it works."""
        return [line for line in self.record.read_text(encoding="utf-8").splitlines() if line != "-c  (2)"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def write_program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def kinds(told: list[str]) -> list[str]:
    """Each command by the words that say what it does."""
    known = [*STEPS, *TESTS, *ALL_TESTS, *TEN_TIMES]
    return [next((step for step in known if line.startswith(step)), line) for line in told]


STEPS = [
    "-m ruff check",
    "-m ruff format --check",
    "-m mypy",
    "-m basedpyright",
    "-c from importlinter.cli",
    "--offline --quiet .github",
    "scripts/regenerate.py --check",
    "scripts/unasync.py --check",
    "scripts/api_breaks.py",
    "-m build",
    "-m venv",
    "-m pip install",
    "scripts/try_installed.py",
    "-m sphinx",
]
PARALLEL = "-m pytest --numprocesses auto --dist loadfile"
TESTS = [f"{PARALLEL} --cov --cov-report term -m not slow ("]
ALL_TESTS = [f"{PARALLEL} --cov --cov-report term -m  ("]
TEN_TIMES = [f"{PARALLEL} -p randomly -m not slow ("] * 10 + [
    "-m pytest tests/client/test_threads.py tests/client/test_processes.py tests/rotation/test_races.py"
] * 10


@pytest.mark.parametrize("command", ["scripts/test", ".ci/run"])
def test_every_check_runs_once_and_the_tests_last(checkout: Checkout, command: str) -> None:
    if command == ".ci/run":
        bash = shutil.which("bash")
        assert bash
        (checkout.tools / "bash").symlink_to(bash)
    checkout.set_up("dev", RECORDING_PYTHON)
    finished = checkout.run(command)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert kinds(checkout.told()) == STEPS + TESTS
    assert len(finished.stdout.splitlines()) == len(STEPS) + 1
    assert list(checkout.temporary.iterdir()) == []
    assert not (checkout.root / "dist").exists()


def test_without_git_it_says_that_the_public_api_is_not_compared(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".git")
    checkout.set_up("dev", RECORDING_PYTHON)
    finished = checkout.run("scripts/test")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert kinds(checkout.told()) == [step for step in STEPS if "api_breaks" not in step] + TESTS
    assert (
        "Public API: not compared, because the git history is not here: git fetch --unshallow --tags"
        in finished.stdout.splitlines()
    )


def test_the_quick_checks_are_the_first_and_some_tests(checkout: Checkout) -> None:
    checkout.set_up("dev", RECORDING_PYTHON)
    finished = checkout.run("scripts/test", "--quick")
    assert (finished.returncode, finished.stderr) == (0, "")
    *told, last = checkout.told()
    assert kinds(told) == [*STEPS[:5], "scripts/unasync.py --check"]
    assert last.startswith(f"{PARALLEL} tests/unit tests/")
    assert all((PROJECT / name).exists() for name in last.split() if name.startswith("tests/"))
    assert list(checkout.temporary.iterdir()) == []


def test_arguments_are_for_pytest_alone(checkout: Checkout) -> None:
    checkout.set_up("dev", RECORDING_PYTHON)
    finished = checkout.run("scripts/test", "-k", "two words")
    assert (finished.returncode, finished.stderr) == (0, "")
    *told, last = checkout.told()
    assert kinds(told) == STEPS
    assert last == "-m pytest -k two words (4)"
    assert list(checkout.temporary.iterdir()) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_failing_check_is_the_last_and_shows_why(checkout: Checkout, step: str) -> None:
    checkout.set_up("dev", RECORDING_PYTHON)
    finished = checkout.run("scripts/test", FAILS=step)
    assert finished.returncode != 0
    assert "what is wrong" in finished.stdout + finished.stderr
    if step in STEPS:
        assert finished.stderr.splitlines()[-1] == f"test: failed: {finished.stdout.splitlines()[-1]}"
    assert kinds(checkout.told())[-1] == step
    assert list(checkout.temporary.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["-k", "name"]], ids=["all", "some"])
def test_failing_tests_fail_the_command(checkout: Checkout, arguments: list[str]) -> None:
    checkout.set_up("dev", RECORDING_PYTHON)
    finished = checkout.run("scripts/test", *arguments, FAILS="-m pytest")
    assert finished.returncode == 3
    assert finished.stdout.endswith("what is wrong\n")
    assert "pytest" in checkout.told()[-1]


class TestLowest:
    def test_runs_the_tests_alone_in_an_environment_of_its_own(self, checkout: Checkout) -> None:
        checkout.set_up("test", RECORDING_PYTHON, place=".venv-lowest")
        finished = checkout.run("scripts/test", "--lowest", "-k", "two words")
        assert (finished.returncode, finished.stderr) == (0, "")
        assert checkout.told() == ["-m pytest -k two words (4)"]
        assert not (checkout.root / ".venv").exists()

    @pytest.mark.parametrize("tool", ["pip", "uv"])
    def test_installs_the_lowest_versions_that_the_package_names(self, checkout: Checkout, tool: str) -> None:
        checkout.set_up("test", RECORDING_PYTHON, place=".venv-lowest")
        (checkout.root / ".venv-lowest" / "installed-test").unlink()
        if tool == "uv":
            write_program(checkout.tools / "uv", RECORDING_PYTHON)
        finished = checkout.run("scripts/test", "--lowest")
        assert (finished.returncode, finished.stderr) == (0, "Setting up .venv-lowest (test) ...\n")
        *installed, tested = checkout.told()
        package, constraints, everything = installed[-3:]
        assert "--no-deps --editable . (" in package
        assert constraints == "scripts/lowest.py (1)"
        assert "--editable .[async,cli,sandbox,testing] --group test --constraint .venv-lowest/lowest.txt" in everything
        assert tested == f"{PARALLEL} -m not slow (8)"
        assert (checkout.root / ".venv-lowest" / "installed-test").exists()

    def test_begins_with_the_oldest_python(self, checkout: Checkout) -> None:
        for name in ("python3", "python3.11", "python3.12"):
            program = f'#!/bin/sh\necho {name} >>"$RECORD"\nexit 1\n'
            write_program(checkout.tools / name, program)
        assert checkout.run("scripts/test", "--lowest").returncode != 0
        assert checkout.told() == ["python3.11", "python3.12", "python3"]

    def test_pins_every_dependency_and_extra(self) -> None:
        declared = re.findall(
            r"^(?:dependencies|async|cli|sandbox|testing) = \[(.*?)\]$", PYPROJECT, re.DOTALL | re.MULTILINE
        )
        bounds = [bound for listed in declared for bound in re.findall(r'"([\w-]+)>=([\w.]+)"', listed)]
        command = [sys.executable, str(PROJECT / "scripts" / "lowest.py")]
        finished = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
        assert sorted(finished.stdout.splitlines()) == sorted(f"{name}=={version}" for name, version in bounds)
        assert len(bounds) >= 9


class TestFull:
    def test_adds_what_takes_long(self, checkout: Checkout) -> None:
        checkout.set_up("dev", RECORDING_PYTHON)
        checkout.set_up("browser", RECORDING_PYTHON)
        checkout.set_up("test", RECORDING_PYTHON, place=".venv-lowest")
        write_program(checkout.root / "scripts" / "mutation", RECORDING_PYTHON.replace("$*", "mutation $*"))
        finished = checkout.run("scripts/test", "--full")
        assert (finished.returncode, finished.stderr) == (0, "")
        gate = [*STEPS, *ALL_TESTS]
        lowest = f"{PARALLEL} -m not slow (8)"
        site = ["-m sphinx", "scripts/docs.py docs/_build (2)"]
        longer = [*TEN_TIMES, lowest, *site, "scripts/release.py --check (2)", "mutation  (0)"]
        assert kinds(checkout.told()) == gate + longer
        assert list(checkout.temporary.iterdir()) == []

    @pytest.mark.parametrize("fails", ["-p randomly", "test_races", "scripts/release.py"])
    def test_stops_at_the_first_failure(self, checkout: Checkout, fails: str) -> None:
        checkout.set_up("dev", RECORDING_PYTHON)
        checkout.set_up("browser", RECORDING_PYTHON)
        checkout.set_up("test", RECORDING_PYTHON, place=".venv-lowest")
        finished = checkout.run("scripts/test", "--full", FAILS=fails)
        assert finished.returncode != 0
        assert finished.stderr.splitlines()[-1] == f"test: failed: {finished.stdout.splitlines()[-1]}"
        assert fails in checkout.told()[-1]
        assert len([told for told in checkout.told() if fails in told]) == 1

    def test_takes_no_arguments(self, checkout: Checkout) -> None:
        checkout.set_up("dev", RECORDING_PYTHON)
        finished = checkout.run("scripts/test", "--full", "-k", "name")
        assert (finished.returncode, finished.stderr) == (1, "test: --full takes no arguments\n")

    def test_the_races_are_there(self) -> None:
        named = re.findall(r"tests/\w+/\w+\.py", (PROJECT / "scripts" / "test").read_text(encoding="utf-8"))
        assert len(named) >= 2
        assert [name for name in named if not (PROJECT / name).is_file()] == []


def test_the_demo_runs_from_another_folder(checkout: Checkout) -> None:
    checkout.set_up("demo", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    finished = checkout.run("scripts/demo", PYTHONIOENCODING="utf-8")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "The life of an API key" in finished.stdout
    assert "No engine was touched" in finished.stdout


def test_without_a_python_that_is_new_enough_it_says_so(checkout: Checkout) -> None:
    write_program(checkout.tools / "python3", "#!/bin/sh\nexit 1\n")
    finished = checkout.run("scripts/demo")
    assert finished.returncode != 0
    assert len(finished.stderr.splitlines()) == 1
    assert finished.stderr.startswith("demo: no Python 3.11 or newer found")


def test_without_venv_it_says_what_to_install(checkout: Checkout) -> None:
    write_program(
        checkout.tools / "python3",
        f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"\n',
    )
    finished = checkout.run("scripts/demo")
    assert finished.returncode != 0
    assert len(finished.stderr.splitlines()) == 1
    assert "apt install python3-venv" in finished.stderr
    assert not (checkout.root / ".venv").exists()
