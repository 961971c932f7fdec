"""`api-keys` as a program: what it needs to start, what it loads, and what it is made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import api_keys_client
from api_keys_client import Role
from api_keys_client.cli.common import _IN_OPTIONS
from api_keys_client.cli.create import ROLES
from tests.support.cli_runs import Ran, environment, piped

PACKAGE = Path(api_keys_client.__file__).parent
HEAVY = {"pydantic", "urllib3", "aiohttp", "_generated"}
COMMANDS = ("list", "get", "create", "deactivate", "rotate", "doctor", "sandbox", "version")


def started(code: str, *arguments: str, **further: str | None) -> Ran:
    """A run inside a Python that does this before it, and then names the heavy modules that are loaded."""
    text = f"""
import atexit, sys
{code}
atexit.register(lambda: print("loaded:", *sorted({HEAVY} & sys.modules.keys()), file=sys.stderr))
from api_keys_client.cli import main
sys.exit(main(sys.argv[1:]))
"""
    finished = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        env=environment(None, **further),
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )
    return Ran(finished.returncode, finished.stdout, finished.stderr)


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_extra_it_says_how_to_get_it(missing: str) -> None:
    # The only way to have this Python without a package that it has: an entry that stops its import.
    run = started(f"sys.modules[{missing!r}] = None", "doctor")
    assert run.code == 2
    assert run.out == ""
    assert run.err.splitlines()[:2] == [
        f"api-keys: its extra is not installed ({missing} is missing).",
        "Install it: pip install 'api-keys-client[cli]'",
    ]


def test_another_missing_module_is_not_taken_for_the_extra() -> None:
    run = started("sys.modules['inspect'] = None", "list")
    assert "ModuleNotFoundError" in run.err
    assert "extra" not in run.err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], [], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    # The sandbox's own options are read by the sandbox.
    if arguments[:1] == ["sandbox"]:
        arguments = ["--help"]
    run = started("", *arguments)
    assert (run.code, run.err) == (0, "loaded:\n")
    assert run.out.startswith("Usage: api-keys" if arguments != ["--version"] else "api-keys 0.")
    assert max(map(len, run.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("api-keys de", "deactivate"),
        ("api-keys list --ro", "--role"),
        ("api-keys list --role TASK", "TASK-ADMIN"),
        ("api-keys create --role ORG-AU", "ORG-AUDITOR"),
        ("api-keys create --role ORG-ADMIN --ou", "--output"),
        ("api-keys rotate an-id --leftovers de", "deactivate"),
        ("api-keys rotate an-id --to-env-file a b --ke", "--keep-old"),
        ("api-keys deactivate an-id another --le", "--leaked"),
        ("api-keys --vers", "--version"),
    ],
)
def test_completion_loads_nothing_heavy(typed: str, offered: str) -> None:
    run = started("", _API_KEYS_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=str(len(typed.split()) - 1))
    assert (run.code, run.out.split(), run.err) == (0, [f"plain,{offered}"], "loaded:\n")


def test_the_measure_of_what_is_loaded_sees_a_heavy_module() -> None:
    assert "pydantic" in started("import pydantic", "--version").err


@pytest.mark.parametrize(
    ("shell", "script", "start"),
    [
        ("bash", ".bash_completions/api-keys.sh", ".bashrc"),
        ("zsh", ".zfunc/_api-keys", ".zshrc"),
        ("fish", ".config/fish/completions/api-keys.fish", None),
    ],
)
def test_completion_is_shown_and_installed_once(shell: str, script: str, start: str | None, tmp_path: Path) -> None:
    home = {"SHELL": f"/bin/{shell}", "HOME": str(tmp_path)}
    shown = piped(None, "--show-completion", **home).out
    assert "_API_KEYS_COMPLETE" in shown
    if start:
        (tmp_path / start).write_text("alias ll='ls -l'")
    for _ in range(2):
        run = piped(None, "--install-completion", **home)
        assert run.code == 0
        assert str(tmp_path / script) in run.out
    assert (tmp_path / script).read_text() == shown
    if start:
        kept, added = (tmp_path / start).read_text().splitlines()
        assert kept == "alias ll='ls -l'"
        assert script.partition("/")[0] in added


@pytest.mark.parametrize("shell", ["/bin/tcsh", None])
def test_completion_for_another_shell_is_refused(shell: str | None, tmp_path: Path) -> None:
    run = piped(None, "--install-completion", SHELL=shell, HOME=str(tmp_path))
    assert run.code == 2
    assert run.err == "api-keys: completion is there for bash, zsh, fish, and SHELL names none of them.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_what_is_typed(tmp_path: Path) -> None:
    home = {"SHELL": "bash", "HOME": str(tmp_path)}
    piped(None, "--install-completion", **home)
    typed = "COMP_WORDS=(api-keys rotate an-id --leftovers de); COMP_CWORD=4; _api_keys_completion api-keys"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    finished = subprocess.run(
        ["bash", "-c", f'. "$HOME/.bashrc"; {typed}; echo "${{COMPREPLY[@]}}"'],
        env={**environment(None, **home), "PATH": path},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert finished.stdout == "deactivate\n"


def test_the_version_is_the_package_s() -> None:
    assert piped(None, "--version").out == f"api-keys {api_keys_client.__version__}\n"


def test_help_names_every_command_and_no_box_goes_into_a_pipe() -> None:
    run = piped(None, "--help", FORCE_COLOR="1")
    assert [line.split()[0] for line in run.out.partition("Commands:\n")[2].splitlines()[: len(COMMANDS)]] == [
        *COMMANDS
    ]
    assert run.out.isascii()
    assert "\x1b" not in run.out


def test_help_calls_an_argument_by_its_name_alone() -> None:
    for name, usage in {"rotate": "ID [CMD]...", "get": "ID", "deactivate": "[ID]...", "list": ""}.items():
        assert piped(None, name, "--help").out.splitlines()[0] == f"Usage: api-keys {name} [OPTIONS] {usage}".rstrip()


def test_the_roles_spelled_out_are_those_there_are() -> None:
    assert [*ROLES] == [role.value for role in Role]


def test_every_python_word_that_is_translated_is_still_said() -> None:
    texts = [module.read_text(encoding="utf-8") for module in PACKAGE.rglob("*.py") if module.parent.name != "cli"]
    said = "".join(texts)
    # Where the name is filled in.
    filled_in = {"from token= ": "The token from {name} ", "timeout= is": "{name}= is"}
    assert [word for word, _ in _IN_OPTIONS if filled_in.get(word, word) not in said] == []
