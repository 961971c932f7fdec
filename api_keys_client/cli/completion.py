"""Completion in the shell: `--install-completion` and `--show-completion`, on top of what click gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from api_keys_client.cli.errors import CliError

_PROGRAM = "api-keys"
_VARIABLE = "_API_KEYS_COMPLETE"
# Of each shell: where its script goes, the file that it reads when it starts, and the line there that loads the script.
_PLACES = {
    "bash": (".bash_completions/api-keys.sh", ".bashrc", "source ~/.bash_completions/api-keys.sh"),
    "zsh": (".zfunc/_api-keys", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    "fish": (".config/fish/completions/api-keys.fish", "", ""),
}


def completion_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the two options to a command."""
    show = click.option(
        "--show-completion",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show,
        help="Show completion for the current shell, to copy it or customize the installation.",
    )
    install = click.option(
        "--install-completion",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_install,
        help="Install completion for the current shell.",
    )
    return install(show(function))


def _show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        sys.stdout.write(_script(context, _shell()) + "\n")
        context.exit()


def _install(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    shell = _shell()
    place, start, line = _PLACES[shell]
    script = Path.home() / place
    try:
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(_script(context, shell) + "\n", encoding="utf-8")
        if start:
            start_file = Path.home() / start
            before = start_file.read_text(encoding="utf-8") if start_file.exists() else ""
            if line not in before.splitlines():
                with start_file.open("a", encoding="utf-8") as opened:
                    opened.write(("" if before.endswith("\n") or not before else "\n") + line + "\n")
    except (OSError, UnicodeError) as error:
        problem = getattr(error, "strerror", None) or "it is no text"
        raise CliError(
            f"completion could not be installed: {problem}.", "Copy it yourself: --show-completion"
        ) from None
    sys.stdout.write(f"{shell} completion is installed in {script}. It takes effect in a new terminal.\n")
    context.exit()


def _script(context: click.Context, shell: str) -> str:
    kind = get_completion_class(shell)
    if kind is None:
        raise CliError(f"this version of click completes nothing in {shell}.")
    return kind(context.command, {}, _PROGRAM, _VARIABLE).source()


def _shell() -> str:
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in _PLACES:
        raise CliError(f"completion is there for {', '.join(_PLACES)}, and SHELL names none of them.")
    return shell
