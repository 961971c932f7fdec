"""docs/guides/observability.md: its examples run."""

from __future__ import annotations

import logging
from collections.abc import Callable

from api_keys_client.sandbox import Fault, Sandbox
from tests.support.pages import Page

COUNT, SPANS = (examples[0] for examples in Page("docs/guides/observability.md").examples.values())


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
