"""docs/guides/lifetimes.md: its examples run, and the commands of its policy do what they say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from api_keys_client.sandbox import Sandbox
from tests.support.cli_runs import active, made, within
from tests.support.pages import Page
from tests.support.rotations import made_by_hand

GUIDE = Page("docs/guides/lifetimes.md")
LIFE, TRY = GUIDE.examples
FILES = [code for language, code in GUIDE.blocks if language in ("text", "yaml")]


def test_a_life(engine: Sandbox, run: Callable[[str], list[str]]) -> None:
    printed = run(GUIDE.examples[LIFE][0])
    assert printed[0].endswith("+00:00")
    assert [key.is_active for key in engine.keys()] == [False, True]


def test_a_try(run: Callable[[str], list[str]]) -> None:
    (printed,) = run(GUIDE.examples[TRY][0])
    assert printed.startswith("nightly evaluation (made ")


def commands(file: str) -> Iterator[list[str]]:
    """The runs of api-keys in a file of the policy, without what the shell sets for them."""
    if not file.startswith(("apiVersion", "name")):
        yield [word for word in shlex.split(file)[5:] if "=" not in word]
        return
    found: list[Any] = [yaml.safe_load(file)]
    for value in found:
        if isinstance(value, dict):
            found += value.values()
            yield from (value[name] for name in ("command",) if name in value)
            yield from (shlex.split(value[name]) for name in ("run",) if "api-keys " in value.get(name, ""))
        elif isinstance(value, list):
            found += value


@pytest.mark.parametrize("file", FILES, ids=["crontab", "kubernetes", "workflow"])
def test_a_policy_sweeps(engine: Sandbox, file: str) -> None:
    gone = made_by_hand(engine, "ci (made 2020-01-01T00:00:00Z, ends 2020-01-02T00:00:00Z #0123456789ab)")
    kept = made(engine, "ci")
    swept = [command for command in commands(file) if command[:2] == ["api-keys", "sweep"]]
    assert len(swept) == 1
    run = within(engine, *re.sub(r"--token-file \S+", "", shlex.join(swept[0][1:])).split())
    assert (run.code, run.out.split("\t")[0]) == (0, gone)
    assert active(engine) == [kept]
    assert "Forbid" in file or "CronJob" not in file
