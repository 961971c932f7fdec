"""The project's pages: the README's examples run, its tables agree with the code, and all links lead somewhere."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

import _generated
import api_keys_client
from api_keys_client import ApiKeysClient, ApiKeysError, ConfigurationError, Outcome
from api_keys_client.sandbox import Sandbox

PROJECT = Path(__file__).parents[2]
README = PROJECT / "README.md"
PAGES = [README, *(PROJECT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG"))]

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
LINK = re.compile(r"\[[^]]*\]\(([^)]*)\)")
SPAN = re.compile(r"`([^`]+)`")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def section(title: str) -> str:
    """What is below a heading of the README, up to the next one of any level."""
    parts = re.split(r"^#{1,6} +(.+?) *$", text_of(README), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[title]


def table(title: str, first: str) -> list[list[str]]:
    """The rows of the table in a section whose header begins with this cell."""
    found: list[list[str]] = []
    for block in section(title).split("\n\n"):
        lines = [line.strip("| ").split("|") for line in block.strip().splitlines() if line.startswith("|")]
        if lines and lines[0][0].strip() == first:
            found = [[cell.strip() for cell in line] for line in lines[2:]]
    assert found, f"no table in {title!r} begins with {first!r}"
    return found


def named(title: str, first: str) -> list[str]:
    """What the first column of a table names."""
    return [row[0].strip("`") for row in table(title, first)]


def examples(title: str) -> list[str]:
    return [code for language, code in FENCED.findall(section(title)) if language == "python"]


def run(title: str, folder: Path, sandbox: Sandbox) -> str:
    """What a section's example prints, with the environment that the README tells to set and no other."""
    (code,) = examples(title)
    values = {"API_KEYS_BASE_URL": sandbox.url, "API_KEYS_TOKEN": sandbox.token}
    exported = {name: values[name] for name in re.findall(r"^export (\w+)=", section("Use"), re.MULTILINE)}
    assert exported
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "utf-8", **exported},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


def test_the_first_example_takes_a_key_through_its_life(engine: Sandbox, tmp_path: Path) -> None:
    printed = run("Use", tmp_path, engine).splitlines()
    (key,) = engine.keys()
    assert printed[0] == f"{key.id} nightly evaluation ['VALIDATION-USER']"
    assert printed[1].startswith("inactive since 20")
    assert key.deactivated_at is not None
    assert len(printed) == 2


def test_the_first_example_has_ten_lines_at_most() -> None:
    (code,) = examples("Use")
    assert len(code.splitlines()) <= 10


def test_the_example_of_an_error_shows_one(engine: Sandbox, tmp_path: Path) -> None:
    printed = run("Errors", tmp_path, engine).splitlines()
    assert "404" in printed[0]
    assert printed[1:] == ["rejected"]


def test_the_example_of_a_test_with_the_sandbox_passes(engine: Sandbox, tmp_path: Path) -> None:
    assert run("The sandbox", tmp_path, engine) == ""


def test_there_is_no_other_example() -> None:
    titles = [title for _, title in HEADING.findall(FENCED.sub("", text_of(README)))]
    assert [title for title in titles if examples(title)] == ["Use", "Errors", "The sandbox"]


def anchors(page: Path) -> set[str]:
    """What a fragment can lead to, by GitHub's rules for headings that don't repeat."""
    headings = [title for _, title in HEADING.findall(FENCED.sub("", text_of(page)))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, fragment = link.partition("#")
    target = page.parent / path if path else page
    return target.is_file() and (not fragment or fragment in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_resolve(page: Path) -> None:
    links = [link for link in LINK.findall(FENCED.sub("", text_of(page))) if not link.startswith("https://")]
    assert [link for link in links if not leads_somewhere(page, link)] == []
    assert links or page.name == "SECURITY.md" or page.name == "CHANGELOG.md"


def test_the_generated_pages_find_what_they_link_to() -> None:
    wanted = {f"documentation-for-{subject}" for subject in ("api-endpoints", "models", "authorization")}
    assert wanted <= anchors(README)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_scripts_that_are_named_can_be_run(page: Path) -> None:
    scripts = set(re.findall(r"\./(scripts/\w+)", text_of(page)))
    assert [script for script in scripts if not os.access(PROJECT / script, os.X_OK)] == []
    assert scripts or page.name == "SECURITY.md"


def test_the_configuration_names_every_argument_and_its_default() -> None:
    parameters = inspect.signature(ApiKeysClient).parameters
    assert named("Configuration", "Argument") == list(parameters)
    for name, environment, default, _ in table("Configuration", "Argument"):
        parameter = parameters[name.strip("`")]
        if environment:
            assert parameter.default is None
        else:
            assert ast.literal_eval(default.strip("`")) == parameter.default


def environment_of(argument: str) -> list[str]:
    (row,) = [row for row in table("Configuration", "Argument") if row[0] == f"`{argument}`"]
    return SPAN.findall(row[1])


def test_the_base_url_comes_from_where_the_readme_says(engine: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = [row for row in table("Configuration", "Argument") if row[0] == "`base_url`"]
    with ApiKeysClient(token="a-token") as client:
        assert ast.literal_eval(row[2].strip("`")) in repr(client)
    (variable,) = environment_of("base_url")
    monkeypatch.setenv(variable, engine.url)
    with ApiKeysClient(token=engine.token) as client:
        assert client.list() == []


def test_the_token_comes_from_where_the_readme_says(engine: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="no token"):
        ApiKeysClient(engine.url)
    # From the last on: each takes precedence over those that are set already.
    for variable in reversed(environment_of("token")):
        monkeypatch.setenv(variable, engine.token)
        with ApiKeysClient(engine.url) as client:
            assert client.list() == []
        monkeypatch.setenv(variable, "not-the-token")


def test_the_proxy_comes_from_where_the_readme_says(monkeypatch: pytest.MonkeyPatch) -> None:
    *proxies, exempt = environment_of("proxy")
    for variable in proxies:
        scheme = "http" if variable == "HTTP_PROXY" else "https"
        monkeypatch.setenv(variable, "socks5://proxy.example")
        with pytest.raises(ConfigurationError, match="proxy"):
            ApiKeysClient(f"{scheme}://engine.example", token="a-token", allow_http=True)
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example")
    monkeypatch.setenv(exempt, "engine.example")
    ApiKeysClient("https://engine.example", token="a-token").close()


def public_errors() -> set[str]:
    public = {name: getattr(api_keys_client, name) for name in api_keys_client.__all__}
    return {name for name, value in public.items() if isinstance(value, type) and issubclass(value, ApiKeysError)}


def test_every_error_is_in_the_table() -> None:
    documented = named("Errors", "Error")
    assert len(documented) == len(set(documented))
    assert {"ApiKeysError", *documented} == public_errors()


def test_every_outcome_is_in_the_table() -> None:
    assert named("Errors", "`outcome`") == [outcome.value for outcome in Outcome]


def test_the_attributes_of_errors_are_those_of_the_readme() -> None:
    (listed,) = re.findall(r"attributes \(([^)]*)\)", section("Errors"))
    assert set(SPAN.findall(listed)) == {*vars(ApiKeysError("")), "next_step"}
    assert "retry_after" in vars(api_keys_client.RateLimitedError(""))


def check_named(module: ModuleType, span: str) -> None:
    """Fail unless a name such as `Class.method(argument=...)` is the module's, with these arguments."""
    path, arguments = re.fullmatch(r"([\w.]+)(\(.*\))?", span).groups()  # type: ignore[union-attr]
    value: Any = module
    for name in path.split("."):
        is_model = isinstance(value, type) and issubclass(value, BaseModel)
        value = value.model_fields[name] if is_model else getattr(value, name)
    for name in re.findall(r"(\w+)=", arguments or ""):
        assert name in inspect.signature(value).parameters


def test_the_table_from_the_generated_client_names_what_exists() -> None:
    rows = table("From the generated client to this one", "In `_generated`")
    # Every generated method takes this argument.
    complete = {"_request_timeout=...": "APIKeysApi.get_api_key_auth_api_keys_api_key_id_get(_request_timeout=...)"}
    for row in rows:
        for module, cell in zip((_generated, api_keys_client), row, strict=False):
            spans: list[str] = SPAN.findall(cell)
            (span,) = (complete.get(span, span) for span in spans)
            check_named(module, span)
    operations = {name for name in vars(_generated.APIKeysApi) if re.fullmatch(r"[a-z]\w*_(get|post|delete)", name)}
    assert operations == {row[0].strip("`").split(".")[1] for row in rows if row[0].startswith("`APIKeysApi.")}


def test_the_endpoints_are_those_of_the_contract() -> None:
    contract = json.loads(text_of(PROJECT / "openapi.json"))
    wanted = {f"{method.upper()} {path}" for path, methods in contract["paths"].items() for method in methods}
    rows = table("Documentation for API endpoints", "Request")
    assert {row[0].strip("`") for row in rows} == wanted
    assert len(rows) == len(wanted)


def test_the_models_are_those_that_have_pages() -> None:
    pages = {f"docs/{page.name}" for page in (PROJECT / "docs").glob("*.md")} - {"docs/APIKeysApi.md"}
    assert set(LINK.findall(section("Documentation for models"))) == pages
