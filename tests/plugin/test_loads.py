"""What the pytest plugin loads, and what it says where an extra is missing."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from tests.support.plugin_runs import OPTIONS, without_others

pytest_plugins = ["pytester"]
HEAVY = {"aiohttp", "asyncio", "pydantic", "urllib3", "werkzeug"}


@pytest.fixture(autouse=True)
def _other_plugins_stay_away(monkeypatch: pytest.MonkeyPatch) -> None:
    without_others(monkeypatch)


def loaded_by(code: str) -> set[str]:
    """The modules that the last line of a program loads."""
    *before, last = code.splitlines()
    program = "\n".join(["import sys", *before, "before = {*sys.modules}", last, "print(*{*sys.modules} - before)"])
    command = [sys.executable, "-c", program]
    return {*subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()}


def test_the_entry_point_loads_nothing_but_itself() -> None:
    find = "import pytest\nfrom importlib.metadata import entry_points\n"
    loaded = loaded_by(find + "(entry,) = entry_points(group='pytest11', name='api_keys_client')\nentry.load()")
    assert loaded == {"api_keys_client", "api_keys_client.pytest_plugin"}


def test_nothing_heavy_is_loaded_until_a_fixture_asks_for_it(pytester: pytest.Pytester) -> None:
    source = f"""
        import sys

        HEAVY = {HEAVY}

        def test_without():
            assert HEAVY & sys.modules.keys() == set()
            assert "api_keys_client.pytest_plugin" in sys.modules

        def test_sync(api_keys_client):
            assert HEAVY & sys.modules.keys() == HEAVY - {{"aiohttp", "asyncio"}}

        def test_async(async_api_keys_client):
            assert HEAVY & sys.modules.keys() == HEAVY
    """
    pytester.makepyfile(dedent(source))
    pytester.runpytest_subprocess(*OPTIONS).assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("missing", "extras", "failing"), [("werkzeug", "testing", 3), ("aiohttp", "async,testing", 1)]
)
def test_without_an_extra_only_its_fixtures_fail_and_say_what_to_install(
    pytester: pytest.Pytester, missing: str, extras: str, failing: int
) -> None:
    source = f"""
        import sys

        # What Python itself takes for a module that is not there.
        sys.modules[{missing!r}] = None

        def test_without():
            assert "api_keys_client.pytest_plugin" in sys.modules

        def test_sandbox(api_keys_sandbox):
            pass

        def test_sync(api_keys_client):
            pass

        def test_async(async_api_keys_client):
            pass
    """
    pytester.makepyfile(dedent(source))
    result = pytester.runpytest_subprocess(*OPTIONS)
    result.assert_outcomes(passed=4 - failing, errors=failing)
    hint = f" needs more: pip install 'api-keys-client[{extras}]' ("
    # At its beginning: where CI is set, pytest's summary says each reason again in full.
    reasons = [line.partition(hint)[2] for line in result.outlines if line.startswith("the fixture ") and hint in line]
    assert [missing in reason for reason in reasons] == [True] * failing
    # Nothing else of how it came to that.
    assert "During handling" not in str(result.stdout)
