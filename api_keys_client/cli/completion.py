"""Completion in the shell: `--install-completion` and `--show-completion`, on top of what click gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from api_keys_client.cli.errors import CliError


class _Shell(NamedTuple):
    complete: type[ShellComplete]
    script: str
    """Where in the user's home the script goes."""
    start_file: str | None = None
    """What the shell reads when it starts, if that has to load the script."""
    line: str = ""
    """The line there that loads it."""


_SHELLS = {
    "bash": _Shell(BashComplete, ".bash_completions/api-keys.sh", ".bashrc", "source ~/.bash_completions/api-keys.sh"),
    "zsh": _Shell(ZshComplete, ".zfunc/_api-keys", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    "fish": _Shell(FishComplete, ".config/fish/completions/api-keys.fish"),
}


def completion_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the two options to a command."""
    show = _option(
        "--show-completion", _show, "Show completion for the current shell, to copy it or customize the installation."
    )
    return _option("--install-completion", _install, "Install completion for the current shell.")(show(function))


def _option(
    name: str, act: Callable[[str, _Shell, str], str], text: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes an option that ends the program with what `act` gives for the user's shell and its script."""

    def called(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if not wanted or context.resilient_parsing:
            return
        shell = Path(os.environ.get("SHELL", "")).name
        if shell not in _SHELLS:
            raise CliError(f"completion is there for {', '.join(_SHELLS)}, and SHELL names none of them.")
        script = _SHELLS[shell].complete(context.command, {}, "api-keys", "_API_KEYS_COMPLETE").source()
        sys.stdout.write(act(shell, _SHELLS[shell], script) + "\n")
        context.exit()

    return click.option(name, is_flag=True, is_eager=True, expose_value=False, callback=called, help=text)


def _show(_name: str, _shell: _Shell, script: str) -> str:
    return script


def _install(name: str, shell: _Shell, script: str) -> str:
    place = Path.home() / shell.script
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{script}\n", encoding="utf-8")
        if shell.start_file:
            with (Path.home() / shell.start_file).open("a+", encoding="utf-8", errors="surrogateescape") as opened:
                opened.seek(0)
                before = opened.read()
                if shell.line not in before.splitlines():
                    opened.write(("" if before.endswith("\n") or not before else "\n") + shell.line + "\n")
    except OSError as error:
        problem = f"completion could not be installed: {error.strerror}."
        raise CliError(problem, "Copy it yourself: --show-completion") from None
    return f"{name} completion is installed in {place}. It takes effect in a new terminal."
