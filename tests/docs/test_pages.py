"""The README, the settings and the site: examples run, every name is there, and what all pages have in common."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import os
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import api_keys_client
from api_keys_client import ApiKeysClient, ConfigurationError, stores
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.pages import PROJECT, SPAN, Page, all_pages
from tests.support.scripts import importing

with importing("drawings") as drawings:
    pass

TUTORIAL = Page("docs/tutorial.md")
README = Page("README.md")
SETTINGS = Page("docs/guides/settings.md")


def test_the_first_example_takes_a_key_through_its_life(engine: Sandbox, run: Callable[[str], list[str]]) -> None:
    exported = re.findall(r"^export (\w+)=", README.section("Use"), re.MULTILINE)
    assert exported == ["API_KEYS_BASE_URL", "API_KEYS_TOKEN"]
    (example,) = README.examples["Use"]
    assert len(example.splitlines()) <= 10
    first, last = run(example)
    (key,) = engine.keys()
    assert first == f"{key.id} nightly evaluation ['VALIDATION-USER']"
    assert last.startswith("inactive since 20")
    assert key.deactivated_at is not None


def test_the_only_other_example_is_that_of_the_sandbox(run: Callable[[str], list[str]]) -> None:
    assert [*README.examples] == ["Use", "The sandbox"]
    (example,) = README.examples["The sandbox"]
    assert run(example) == []


def test_it_is_read_in_a_few_minutes() -> None:
    assert len(README.text.split()) <= 700


def test_it_has_every_guide_endpoint_and_model() -> None:
    contract = json.loads((PROJECT / "openapi.json").read_text())
    endpoints = {f"{method.upper()} {path}" for path, methods in contract["paths"].items() for method in methods}
    assert set(SPAN.findall(README.section("Documentation for API endpoints"))) == {*endpoints, "APIKeysApi"}
    for page in [*(PROJECT / "docs").glob("[A-Z]*.md"), *(PROJECT / "docs" / "guides").glob("*.md")]:
        assert f"({page.relative_to(PROJECT)}" in README.text


def test_the_links_of_every_page_lead_somewhere() -> None:
    broken = {page.path.name: links for page in all_pages() if (links := page.broken_links())}
    # The agreed reference page fixes this link, and no heading has an anchor with a space.
    assert broken.pop("APIKeysApi.md") == ["../README.md#API Key"] * 4
    assert broken == {}


def test_the_scripts_that_any_page_names_can_be_run() -> None:
    scripts = {script for page in all_pages() for script in re.findall(r"\./(scripts/\w+)", page.text)}
    assert {"scripts/demo", "scripts/test"} <= scripts
    assert [script for script in scripts if not os.access(PROJECT / script, os.X_OK)] == []


ARGUMENTS = {row[0].strip("`"): row for row in SETTINGS.rows("| Argument |")}


def test_the_settings_name_every_argument_and_its_default() -> None:
    parameters = inspect.signature(ApiKeysClient).parameters
    assert [*ARGUMENTS] == [*parameters]
    for name, (_, environment, default, _) in ARGUMENTS.items():
        given = parameters[name].default
        assert given is None if environment else ast.literal_eval(default.strip("`")) == given


def test_address_and_token_come_from_where_the_settings_say(engine: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    (address,) = SPAN.findall(ARGUMENTS["base_url"][1])
    with ApiKeysClient(token="a-token") as client:
        assert ast.literal_eval(ARGUMENTS["base_url"][2].strip("`")) in repr(client)
    monkeypatch.setenv(address, engine.url)
    with pytest.raises(ConfigurationError, match="no token"):
        ApiKeysClient()
    # From the last on: each takes precedence over those that are set already.
    for variable in reversed(SPAN.findall(ARGUMENTS["token"][1])):
        monkeypatch.setenv(variable, engine.token)
        with ApiKeysClient() as client:
            assert client.list() == []
        monkeypatch.setenv(variable, "not-the-token")


class AnyKeyAtAnyTime(doctest.OutputChecker):
    """Takes any id and any time for those on the page."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        want, got = (re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "an id", text) for text in (want, got))
        want, got = (re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*", "a time", text) for text in (want, got))
        return super().check_output(want, got, optionflags)


def test_the_tutorial_runs_as_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typed = "\n".join(code for language, code in TUTORIAL.blocks if language == "pycon")
    test = doctest.DocTestParser().get_doctest(typed, {}, "tutorial", str(TUTORIAL.path), 0)
    assert len(test.examples) > 20
    told: list[str] = []
    doctest.DocTestRunner(AnyKeyAtAnyTime(), optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert told == []


EXAMPLES = [
    example
    for given in (ApiKeysClient, api_keys_client.ApiKeysError, api_keys_client.key_id_from_secret, Fault, Sandbox)
    for example in doctest.DocTestFinder(exclude_empty=True).find(given, given.__name__, module=False)
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_the_example_of_a_docstring_runs(
    engine: Sandbox, example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    with ApiKeysClient(engine.url, token=engine.token) as client:
        key = client.create("nightly evaluation")
        names = {"client": client, "key": key, "secret": key.key, "sandbox": engine, "Sandbox": Sandbox, "Fault": Fault}
        example.globs = {**{name: getattr(api_keys_client, name) for name in api_keys_client.__all__}, **names}
        example.globs["stores"] = stores
        doctest.DocTestRunner().run(example, out=told.append)
    assert told == []


def test_the_reference_has_every_public_name() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (PROJECT / "docs" / "reference").glob("*.md"))
    assert {*re.findall(r"^\.\. (?:auto)?(?:class|exception|function|data):: (\w+)", pages, re.MULTILINE)} == {
        *api_keys_client.__all__
    }
    public = {name for _, name, _ in pkgutil.iter_modules(api_keys_client.__path__) if not name.startswith("_")}
    assert {name for name in public if f"api_keys_client.{name}" not in pages} == {"cli", "conformance"}
    assert re.findall(r"``([A-Z_]+)``", pages) == [*api_keys_client.Role.__members__]


def test_the_diagrams_are_what_the_script_draws() -> None:
    assert [path.name for path, drawing in drawings.drawn() if path.read_text(encoding="utf-8") != drawing] == []
