"""What only the site has: its examples run, the reference has every name, the diagrams are as drawn."""

from __future__ import annotations

import doctest
import pkgutil
import re
from pathlib import Path

import pytest

import api_keys_client
from api_keys_client import ApiKeysClient, stores
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.pages import PROJECT, Page
from tests.support.scripts import importing

with importing("drawings") as drawings:
    pass

TUTORIAL = Page("docs/tutorial.md")


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
