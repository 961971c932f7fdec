"""docs/guides/testing.md: its examples run, and its tables are what the code has; the links, of server.md too."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from api_keys_client.sandbox import Fault, Operation, Sandbox

pytest_plugins = ["pytester"]

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
GUIDE = (GUIDES / "testing.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
PLUGINS = ("api_keys_client", "anyio", "pytest_asyncio.plugin", "pytest_httpserver")


def rows(header: str) -> list[list[str]]:
    """The rows of the table with this header."""
    table = GUIDE[GUIDE.index(f"{header}\n") :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


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
    documented = {row[0].strip("`") for row in rows("| Fault | What happens to the request |")}
    assert {f"Fault.{name}" for name in vars(Fault) if isinstance(vars(Fault)[name], staticmethod)} == {
        call.split("(")[0] for call in documented
    }
    for call in documented:
        name, listed = re.fullmatch(r"Fault\.(\w+)\((.*)\)", call).groups()  # type: ignore[union-attr]
        parameters = inspect.signature(getattr(Fault, name)).parameters.values()
        assert [part.split("=")[0] for part in listed.split(", ")] == [each.name for each in parameters]
        defaults = [str(each.default) for each in parameters if each.default is not inspect.Parameter.empty]
        assert re.findall(r"=(\w+)", listed) == defaults


def test_the_operations_are_named() -> None:
    (row,) = [row for row in rows("| Argument | Default | |") if row[0] == "`faults`"]
    assert re.findall(r'"(\w+)"', row[2]) == [*Operation.__args__]  # type: ignore[attr-defined]


def test_the_defaults_of_the_marker_are_those_of_the_sandbox() -> None:
    parameters = inspect.signature(Sandbox).parameters
    for name, default, _ in rows("| Argument | Default | |")[:2]:
        assert eval(default.strip("`")) == parameters[name.strip("`")].default


def test_what_the_sandbox_knows_is_there() -> None:
    public = {name for name in {*vars(Sandbox), *Sandbox.__annotations__} if not name.startswith("_")}
    documented = {name for row in rows("| | |") for name in re.findall(r"`(\w+)", row[0])}
    assert public - documented == {"start", "stop", "application", "respond"}
    assert documented <= public


@pytest.mark.parametrize("page", ["testing.md", "server.md"])
def test_the_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)]*)\)", (GUIDES / page).read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("https://")]
    assert local
    for link in local:
        path, _, fragment = link.partition("#")
        headings = re.findall(r"^#+ (.+)$", (GUIDES / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert not fragment or fragment in [heading.lower().replace(" ", "-") for heading in headings]
