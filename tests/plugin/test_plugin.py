"""The pytest plugin, as a user's own tests meet it: its fixtures, its marker, and what it loads."""

from __future__ import annotations

from textwrap import dedent

import pytest

pytest_plugins = ["pytester"]
HEAVY = {"aiohttp", "asyncio", "pydantic", "urllib3", "werkzeug"}
OPTIONS = ("-W", "error", "--strict-markers", "--strict-config", "-p", "no:cacheprovider", "-p", "api_keys_client")


@pytest.fixture(autouse=True)
def _other_plugins_stay_away(monkeypatch: pytest.MonkeyPatch) -> None:
    # Some bring by themselves what is heavy.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def write(pytester: pytest.Pytester, source: str) -> pytest.Pytester:
    """A test file in which pytest and all our public names are imported."""
    pytester.makepyfile(f"import pytest\nfrom api_keys_client import *\n{dedent(source)}")
    return pytester


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    # In this process the package is there already, which older pytests warn of.
    options = (*OPTIONS, "-W", "ignore::pytest.PytestAssertRewriteWarning")
    return write(pytester, source).runpytest_inprocess(*options)


def test_the_sandbox_is_one_server_that_is_empty_for_each_test(pytester: pytest.Pytester) -> None:
    source = """
        urls = set()

        @pytest.mark.parametrize("turn", range(3))
        def test_life(api_keys_sandbox, api_keys_client, turn):
            urls.add(api_keys_sandbox.url)
            assert api_keys_sandbox.keys() == api_keys_sandbox.requests == api_keys_client.list() == []
            key = api_keys_client.create("x")
            assert api_keys_sandbox.accepts(key.key.get_secret_value())

        def test_urls():
            assert len(urls) == 1
    """
    run(pytester, source).assert_outcomes(passed=4)


def test_the_sandbox_is_what_the_marker_says(pytester: pytest.Pytester) -> None:
    source = """
        from api_keys_client.sandbox import Fault

        def profile(client):
            return "spec" if client.get(client.create().id).created_at.tzinfo else "engine"

        @pytest.mark.api_keys_sandbox(profile="spec", limit=1)
        class TestSpec:
            def test_profile_and_limit(self, api_keys_client):
                assert profile(api_keys_client) == "spec"
                with pytest.raises(KeyLimitReachedError):
                    api_keys_client.create()

            @pytest.mark.api_keys_sandbox(limit=2, faults=[Fault.status(403)])
            def test_the_nearest_marker_wins_for_each_argument(self, api_keys_client):
                with pytest.raises(PermissionDeniedError):
                    api_keys_client.list()
                assert profile(api_keys_client) == "spec"
                api_keys_client.create()
                with pytest.raises(KeyLimitReachedError):
                    api_keys_client.create()

        @pytest.mark.api_keys_sandbox(faults=[("create", Fault.status(403)), Fault.status(401)])
        def test_a_fault_for_one_operation(api_keys_client):
            with pytest.raises(AuthenticationError):
                api_keys_client.list()
            with pytest.raises(PermissionDeniedError):
                api_keys_client.create()

    """
    run(pytester, source).assert_outcomes(passed=3)


def test_a_marker_that_makes_no_sense_is_an_error(pytester: pytest.Pytester) -> None:
    complaints = {
        "'spec'": "*takes profile=, limit= and faults= only*",
        "profile='specification'": "*the profile is one of engine, spec*",
        "limit='many'": "*cannot be obeyed*",
        "faults=Fault.drop()": "*cannot be obeyed: 'Fault' object is not iterable*",
        "faults=[Fault.drop]": "*a fault is what one of the functions of Fault gives*",
        "faults=[('creates', Fault.drop())]": "*the operation is one of create, list, get, deactivate*",
    }
    test = "@pytest.mark.api_keys_sandbox({})\ndef test_{}(api_keys_sandbox): pass\n"
    tests = [test.format(arguments, number) for number, arguments in enumerate(complaints)]
    result = run(pytester, "from api_keys_client.sandbox import Fault\n" + "".join(tests))
    result.assert_outcomes(errors=len(tests))
    result.stdout.fnmatch_lines([*complaints.values()])
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_an_unmet_fault_fails_the_test_and_is_named(pytester: pytest.Pytester) -> None:
    source = """
        from api_keys_client.sandbox import Fault

        @pytest.mark.api_keys_sandbox(faults=[("create", Fault.status(503)), ("get", Fault.drop())])
        def test_marked(api_keys_client):
            with pytest.raises(OutcomeUnknownError):
                api_keys_client.create()

        def test_queued(api_keys_sandbox, api_keys_client):
            api_keys_sandbox.queue(Fault.garbage(), operation="deactivate", times=2)
            api_keys_client.list()

        def test_after_it(api_keys_sandbox):
            assert api_keys_sandbox.unmet == []

        @pytest.fixture
        def key(api_keys_client):
            key = api_keys_client.create()
            yield key
            api_keys_client.deactivate(key.id)

        def test_met_in_the_teardown_of_a_fixture(api_keys_sandbox, key):
            api_keys_sandbox.queue(Fault.status(503), operation="deactivate")

        def test_that_fails_for_another_reason(api_keys_sandbox):
            api_keys_sandbox.queue(Fault.drop())
            raise ZeroDivisionError

        def test_that_is_skipped(api_keys_sandbox):
            api_keys_sandbox.queue(Fault.drop())
            pytest.skip("no reason")
    """
    result = run(pytester, source)
    result.assert_outcomes(passed=4, errors=2, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "queued, but met by no request: Fault.drop(committed=False) for get",
            "queued, but met by no request: Fault.garbage(committed=True) for deactivate, "
            "Fault.garbage(committed=True) for deactivate",
        ]
    )


def test_no_secret_is_in_the_output(pytester: pytest.Pytester) -> None:
    source = """
        import asyncio
        from pathlib import Path
        from api_keys_client.sandbox import Fault

        @pytest.fixture
        def key(api_keys_sandbox, api_keys_client):
            key = api_keys_client.create("x")
            Path("secrets").write_text(f"{api_keys_sandbox.token} {key.key.get_secret_value()}")
            return key

        def test_values(api_keys_sandbox, api_keys_client, async_api_keys_client, key):
            assert (api_keys_sandbox, api_keys_client, async_api_keys_client, key) == ()

        @pytest.mark.api_keys_sandbox(faults=[Fault.status(503), ("list", Fault.drop())])
        def test_errors(api_keys_sandbox, api_keys_client, async_api_keys_client):
            with pytest.raises(OutcomeUnknownError):
                api_keys_client.create("x")
            asyncio.run(async_api_keys_client.with_options(token=api_keys_sandbox.token).get("no id"))

        def test_a_refused_token(async_api_keys_client):
            async_api_keys_client.with_options(token=Path("secrets").read_text())

        def test_a_token_that_cannot_be_had(async_api_keys_client):
            asyncio.run(async_api_keys_client.with_options(token=lambda: 1 // 0).list())
    """
    options = ("-vv", "--showlocals", "--full-trace", "--setup-show")
    result = write(pytester, source).runpytest_subprocess(*OPTIONS, *options)
    result.assert_outcomes(failed=4)
    output = "\n".join(result.outlines + result.errlines)
    token, secret = (pytester.path / "secrets").read_text().split()
    assert "ZeroDivisionError" in output
    assert token not in output
    assert secret not in output


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

        def test_sandbox(api_keys_sandbox): pass
        def test_sync(api_keys_client): pass
        def test_async(async_api_keys_client): pass
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
