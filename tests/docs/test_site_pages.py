"""The pages that only the site has: the tutorial runs, the reference has every name, the diagrams are as drawn."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import api_keys_client
from tests.support.pages import PROJECT, Page
from tests.support.syncing import importing

with importing("drawings") as drawings:
    pass

TUTORIAL = Page("docs/tutorial.md")


def test_the_tutorial_runs_as_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typed = "\n".join(code for language, code in TUTORIAL.blocks if language == "pycon")
    test = doctest.DocTestParser().get_doctest(typed, {}, "tutorial", str(TUTORIAL.path), 0)
    assert len(test.examples) > 20
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert told == []


def test_the_reference_has_every_public_name() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (PROJECT / "docs" / "reference").glob("*.md"))
    assert {*re.findall(r"^\.\. auto(?:class|exception|function|data):: (\w+)", pages, re.MULTILINE)} == {
        *api_keys_client.__all__
    }


def test_the_diagrams_are_what_the_script_draws() -> None:
    assert [path.name for path, drawing in drawings.drawn() if path.read_text(encoding="utf-8") != drawing] == []
