"""A pytest of its own for each test of the plugin."""

from __future__ import annotations

from textwrap import dedent

import pytest

OPTIONS = ("-W", "error", "--strict-markers", "--strict-config", "-p", "no:cacheprovider", "-p", "api_keys_client")
# In this process the package is there already, which older pytests warn of.
IN_PROCESS = (*OPTIONS, "-W", "ignore::pytest.PytestAssertRewriteWarning")


def without_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other plugins stay away: some bring by themselves what is heavy."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def write(pytester: pytest.Pytester, source: str) -> pytest.Pytester:
    """A test file in which pytest and all our public names are imported."""
    pytester.makepyfile(f"import pytest\nfrom api_keys_client import *\n{dedent(source)}")
    return pytester


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    return write(pytester, source).runpytest_inprocess(*IN_PROCESS)
