"""The README, the guides to settings and to the generated layer, and what all pages have in common."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
from collections.abc import Callable

import pytest

from api_keys_client import ApiKeysClient, ConfigurationError
from api_keys_client.sandbox import Sandbox
from tests.support.pages import PROJECT, SPAN, Page, all_pages

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
