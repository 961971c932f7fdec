"""docs/guides/lifetimes.md: its examples run."""

from __future__ import annotations

from collections.abc import Callable

from api_keys_client.sandbox import Sandbox
from tests.support.pages import Page

LIFE, TRY = Page("docs/guides/lifetimes.md").examples


def test_a_life(engine: Sandbox, run: Callable[[str], list[str]]) -> None:
    printed = run(Page("docs/guides/lifetimes.md").examples[LIFE][0])
    assert printed[0].endswith("+00:00")
    assert [key.is_active for key in engine.keys()] == [False, True]


def test_a_try(run: Callable[[str], list[str]]) -> None:
    (printed,) = run(Page("docs/guides/lifetimes.md").examples[TRY][0])
    assert printed.startswith("nightly evaluation (made ")
