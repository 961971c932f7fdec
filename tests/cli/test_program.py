"""`api-keys` as a program: what it needs to start, what it loads, and what it is made of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import api_keys_client
from api_keys_client import Role
from api_keys_client.cli.create import ROLES
from api_keys_client.cli.errors import _IN_OPTIONS
from tests.support.cli_runs import Ran, environment, within

PACKAGE = Path(api_keys_client.__file__).parent
HEAVY = {"pydantic", "urllib3", "aiohttp", "_generated"}
COMMANDS = ("list", "get", "create", "deactivate", "rotate", "sweep", "config", "doctor", "sandbox", "version")


def started(code: str, *arguments: str, **further: str | None) -> Ran:
    """A run inside a Python that does this before it, and then names the heavy modules that are loaded."""
    text = f"""
import atexit, sys
from api_keys_client.cli import main
atexit.register(lambda: print("loaded:", *sorted({HEAVY} & sys.modules.keys()), file=sys.stderr))
{code}
sys.exit(main(sys.argv[1:]))
"""
    finished = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        env=environment(None, **further),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Ran(finished.returncode, finished.stdout, finished.stderr)


@pytest.mark.parametrize(
    ("missing", "command", "extra"),
    [("click", "doctor", "cli"), ("rich", "doctor", "cli"), ("werkzeug", "sandbox", "sandbox")],
)
def test_without_its_extra_it_says_how_to_get_it(missing: str, command: str, extra: str) -> None:
    # The only way to have this Python without a package that it has: an entry that stops its import.
    run = started(f"sys.modules[{missing!r}] = None", command)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("api-keys: ")
    assert f"pip install 'api-keys-client[{extra}]'" in run.err
    assert "Traceback" not in run.err


def test_help_and_version_fit_and_load_nothing_heavy() -> None:
    each = started(f"for name in {COMMANDS}: name == 'sandbox' or main([name, '--help'])", "--help")
    assert (each.code, each.err) == (0, "loaded:\n")
    assert [f"Usage: api-keys {name} " in each.out for name in COMMANDS if name != "sandbox"] == [True] * 9
    assert max(map(len, each.out.splitlines())) <= 80
    assert started("", "--version") == (0, f"api-keys {api_keys_client.__version__}\n", "loaded:\n")
    assert "pydantic" in started("import pydantic", "--version").err


def test_help_names_every_command_and_no_box_goes_into_a_pipe() -> None:
    run = within(None, "--help", FORCE_COLOR="1")
    assert within(None, "-h") == within(None) == within(None, "--help")
    listed = run.out.partition("Commands:\n")[2].splitlines()[: len(COMMANDS)]
    assert [line.split()[0] for line in listed] == [*COMMANDS]
    for name, usage in {"rotate": "ID [CMD]...", "get": "ID", "deactivate": "[ID]...", "list": ""}.items():
        assert within(None, name, "--help").out.splitlines()[0] == f"Usage: api-keys {name} [OPTIONS] {usage}".rstrip()
    assert run.out.isascii()
    assert "\x1b" not in run.out


def completed(typed: str) -> dict[str, str]:
    """The variables with which a shell asks for the end of what is typed."""
    return {"_API_KEYS_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}


def test_completion_offers_what_fits_and_loads_nothing_heavy() -> None:
    for typed, offered in {
        "api-keys de": "deactivate",
        "api-keys list --ro": "--role",
        "api-keys list --role TASK": "TASK-ADMIN",
        "api-keys create --role ORG-ADMIN --ou": "--output",
        "api-keys rotate an-id --leftovers de": "deactivate",
        "api-keys rotate an-id --to-env-file a b --ke": "--keep-old",
        "api-keys deactivate an-id another --le": "--leaked",
        "api-keys --vers": "--version",
    }.items():
        assert within(None, **completed(typed)) == (0, f"plain,{offered}\n", ""), typed
    run = started("", **completed("api-keys create --role ORG-AU"))
    assert run == (0, "plain,ORG-AUDITOR\n", "loaded:\n")


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
    shown = within(None, "--show-completion", **home).out
    assert "_API_KEYS_COMPLETE" in shown
    if start:
        (tmp_path / start).write_text("alias ll='ls -l'")
    for _ in range(2):
        run = within(None, "--install-completion", **home)
        assert run.code == 0
        assert str(tmp_path / script) in run.out
    assert (tmp_path / script).read_text() == shown
    if start:
        kept, added = (tmp_path / start).read_text().splitlines()
        assert kept == "alias ll='ls -l'"
        assert script.partition("/")[0] in added


def test_completion_for_another_shell_is_refused(tmp_path: Path) -> None:
    for shell in ("/bin/tcsh", None):
        run = within(None, "--install-completion", SHELL=shell, HOME=str(tmp_path))
        assert run == (2, "", "api-keys: completion is there for bash, zsh, fish, and SHELL names none of them.\n")
    assert list(tmp_path.iterdir()) == []


def test_the_roles_spelled_out_are_those_there_are() -> None:
    assert [*ROLES] == [role.value for role in Role]


def test_every_python_word_that_is_translated_is_still_said() -> None:
    texts = [module.read_text(encoding="utf-8") for module in PACKAGE.rglob("*.py") if module.parent.name != "cli"]
    said = "".join(texts)
    assert [word for word in _IN_OPTIONS if word not in said] == []
