"""docs/guides/testing.md: its examples run, and its tables are what the code has."""

from __future__ import annotations

import inspect
import re

import pytest

from api_keys_client.sandbox import Fault, Operation, Sandbox
from tests.support.pages import Page

pytest_plugins = ["pytester"]

GUIDE = Page("docs/guides/testing.md")
EXAMPLES = [example for examples in GUIDE.examples.values() for example in examples]
PLUGINS = ("api_keys_client", "anyio", "pytest_asyncio.plugin", "pytest_httpserver")


def test_the_examples_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = [f"-p{name}" for name in PLUGINS]
    options = ("-Werror", "--strict-markers", "-o", "asyncio_default_fixture_loop_scope=function", "-pno:cacheprovider")
    pytester.makepyfile(**{f"test_{number}": example for number, example in enumerate(EXAMPLES)})
    result = pytester.runpytest_subprocess(*plugins, *options)
    written = len(re.findall(r"^(?:async )?def test_", "".join(EXAMPLES), re.MULTILINE))
    again = len(re.findall(r"^@both_profiles", "".join(EXAMPLES), re.MULTILINE))
    assert written > 10
    result.assert_outcomes(passed=written + again)


def test_every_fault_is_in_its_table() -> None:
    documented = GUIDE.first("| Fault |")
    assert {f"Fault.{name}" for name in vars(Fault) if isinstance(vars(Fault)[name], staticmethod)} == {
        call.split("(")[0] for call in documented
    }
    for call in documented:
        name, listed = re.fullmatch(r"Fault\.(\w+)\((.*)\)", call).groups()  # type: ignore[union-attr]
        parameters = inspect.signature(getattr(Fault, name)).parameters.values()
        assert [part.split("=")[0] for part in listed.split(", ")] == [each.name for each in parameters]
        defaults = [str(each.default) for each in parameters if each.default is not inspect.Parameter.empty]
        assert re.findall(r"=(\w+)", listed) == defaults


def test_the_arguments_of_the_marker_are_those_of_the_sandbox() -> None:
    *rows, faults = GUIDE.rows("| Argument |")
    for name, default, _ in rows:
        assert eval(default.strip("`")) == inspect.signature(Sandbox).parameters[name.strip("`")].default
    assert re.findall(r'"(\w+)"', faults[2]) == [*Operation.__args__]  # type: ignore[attr-defined]


def test_what_the_sandbox_knows_is_there() -> None:
    public = {name for name in {*vars(Sandbox), *Sandbox.__annotations__} if not name.startswith("_")}
    documented = {name for row in GUIDE.rows("| | |") for name in re.findall(r"`(\w+)", row[0])}
    assert public - documented == {"start", "stop", "application", "respond"}
    assert documented <= public
