"""The guides to testing, lifetimes and observability: their examples run, and what they name is there."""

from __future__ import annotations

import inspect
import logging
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from api_keys_client.sandbox import Fault, Sandbox
from tests.support.cli_runs import active, made, within
from tests.support.pages import Page
from tests.support.rotations import made_by_hand

pytest_plugins = ["pytester"]

TESTING = Page("docs/guides/testing.md")
PLUGINS = ("api_keys_client", "anyio", "pytest_asyncio.plugin", "pytest_httpserver")
LIFETIMES = Page("docs/guides/lifetimes.md")
LIFE, TRY = (examples[0] for examples in LIFETIMES.examples.values())
FILES = [code for language, code in LIFETIMES.blocks if language in ("text", "yaml")]
COUNT, SPANS = (examples[0] for examples in Page("docs/guides/observability.md").examples.values())


def test_the_examples_of_tests_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    written = [example for examples in TESTING.examples.values() for example in examples]
    plugins = [f"-p{name}" for name in PLUGINS]
    options = ("-Werror", "--strict-markers", "-o", "asyncio_default_fixture_loop_scope=function", "-pno:cacheprovider")
    pytester.makepyfile(**{f"test_{number}": example for number, example in enumerate(written)})
    result = pytester.runpytest_subprocess(*plugins, *options)
    # What is for both profiles runs twice.
    tests = re.findall(r"^(?:(?:async )?def test_|@both_profiles)", "".join(written), re.MULTILINE)
    assert len(tests) > 10
    result.assert_outcomes(passed=len(tests))


def test_every_fault_is_in_its_table() -> None:
    documented = TESTING.first("| Fault |")
    assert {f"Fault.{name}" for name in vars(Fault) if isinstance(vars(Fault)[name], staticmethod)} == {
        call.split("(")[0] for call in documented
    }
    for call in documented:
        name, listed = re.fullmatch(r"Fault\.(\w+)\((.*)\)", call).groups()  # type: ignore[union-attr]
        parameters = inspect.signature(getattr(Fault, name)).parameters.values()
        assert [part.split("=")[0] for part in listed.split(", ")] == [each.name for each in parameters]
        defaults = [str(each.default) for each in parameters if each.default is not inspect.Parameter.empty]
        assert re.findall(r"=(\w+)", listed) == defaults


def test_a_life(engine: Sandbox, run: Callable[[str], list[str]]) -> None:
    assert run(LIFE)[0].endswith("+00:00")
    assert [key.is_active for key in engine.keys()] == [False, True]


def test_a_try(run: Callable[[str], list[str]]) -> None:
    (printed,) = run(TRY)
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
    (swept,) = [command for command in commands(file) if command[:2] == ["api-keys", "sweep"]]
    run = within(engine, *re.sub(r"--token-file \S+", "", shlex.join(swept[1:])).split())
    assert (run.code, run.out.split("\t")[0]) == (0, gone)
    assert active(engine) == [kept]


def test_retries_are_counted(engine: Sandbox, run: Callable[[str], list[str]]) -> None:
    engine.queue(Fault.status(503), operation="list")
    engine.queue(Fault.drop(), operation="list")
    log = logging.getLogger("api_keys_client")
    before = log.level
    try:
        assert run(COUNT) == ["{('list', 503): 1, ('list', 'reset'): 1}"]
    finally:
        log.setLevel(before)
        log.handlers.clear()


def test_each_attempt_is_a_span(engine: Sandbox, run: Callable[[str], list[str]]) -> None:
    engine.queue(Fault.status(503), operation="list")
    assert run(SPANS) == ["GET 503", "GET 200"]
