"""The pytest plugin's fixtures, as a user's own tests meet them."""

from __future__ import annotations

import pytest

from tests.support.plugin_runs import IN_PROCESS, OPTIONS, run, without_others, write

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _other_plugins_stay_away(monkeypatch: pytest.MonkeyPatch) -> None:
    without_others(monkeypatch)


class TestSandbox:
    def test_is_one_server_that_is_empty_for_each_test(self, pytester: pytest.Pytester) -> None:
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

    def test_is_what_the_marker_says(self, pytester: pytest.Pytester) -> None:
        source = """
            from api_keys_client.sandbox import Fault

            def profile(client):
                return "spec" if client.get(client.create().id).created_at.tzinfo else "engine"

            def test_default(api_keys_client):
                assert profile(api_keys_client) == "engine"

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

            @pytest.mark.parametrize("expected", [
                "engine",
                pytest.param("spec", marks=pytest.mark.api_keys_sandbox(profile="spec")),
            ])
            def test_for_one_parameter(api_keys_client, expected):
                assert profile(api_keys_client) == expected
        """
        run(pytester, source).assert_outcomes(passed=6)

    def test_marker_is_listed(self, pytester: pytest.Pytester) -> None:
        pytester.runpytest_inprocess(*IN_PROCESS, "--markers").stdout.fnmatch_lines(
            ["@pytest.mark.api_keys_sandbox(profile='engine', *"]
        )

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ("'spec'", "*takes profile=, limit= and faults= only*"),
            ("profiles='spec'", "*takes profile=, limit= and faults= only*"),
            ("profile='specification'", "*the profile is one of engine, spec*"),
            ("limit=-1", "*the limit cannot be negative*"),
            ("limit='many'", "*cannot be obeyed*"),
            ("faults=Fault.drop()", "*faults= is a list of faults*"),
            ("faults=[Fault.drop]", "*a fault is what one of the functions of Fault gives*"),
            ("faults=[('creates', Fault.drop())]", "*the operation is one of create, list, get, deactivate*"),
        ],
    )
    def test_marker_that_makes_no_sense_is_an_error(
        self, pytester: pytest.Pytester, arguments: str, complaint: str
    ) -> None:
        imported = "from api_keys_client.sandbox import Fault"
        source = f"{imported}\n@pytest.mark.api_keys_sandbox({arguments})\ndef test_it(api_keys_sandbox): pass"
        result = run(pytester, source)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([complaint])
        result.stdout.no_fnmatch_line("*pytest_plugin.py*")


class TestUnmetFault:
    def test_fails_the_test_and_is_named(self, pytester: pytest.Pytester) -> None:
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
        """
        result = run(pytester, source)
        result.assert_outcomes(passed=3, errors=2)
        result.stdout.fnmatch_lines(
            [
                "queued, but met by no request: Fault.drop(committed=False) for get",
                "queued, but met by no request: Fault.garbage(committed=True) for deactivate, "
                "Fault.garbage(committed=True) for deactivate",
            ]
        )

    def test_is_no_news_of_a_test_that_did_not_come_to_its_end(self, pytester: pytest.Pytester) -> None:
        source = """
            from api_keys_client.sandbox import Fault

            @pytest.fixture
            def queue(api_keys_sandbox):
                api_keys_sandbox.queue(Fault.drop())

            def test_failed(queue):
                raise ZeroDivisionError

            def test_skipped(queue):
                pytest.skip("no reason")

            @pytest.fixture
            def broken(queue):
                raise ZeroDivisionError

            def test_not_begun(broken):
                pass
        """
        run(pytester, source).assert_outcomes(failed=1, skipped=1, errors=1)

    def test_is_met_in_the_teardown_of_a_fixture_too(self, pytester: pytest.Pytester) -> None:
        source = """
            from api_keys_client.sandbox import Fault

            @pytest.fixture
            def key(api_keys_client):
                key = api_keys_client.create()
                yield key
                api_keys_client.deactivate(key.id)

            def test_it(api_keys_sandbox, key):
                api_keys_sandbox.queue(Fault.status(503), operation="deactivate")
        """
        run(pytester, source).assert_outcomes(passed=1)


def test_xdist_gives_each_worker_its_own(pytester: pytest.Pytester) -> None:
    source = """
        from pathlib import Path

        @pytest.mark.parametrize("turn", range(8))
        def test_it(api_keys_sandbox, api_keys_client, worker_id, turn):
            assert api_keys_client.list() == []
            key = api_keys_client.create("x")
            assert [found.id for found in api_keys_client.list()] == [key.id]
            Path(worker_id).write_text(api_keys_sandbox.url)
    """
    write(pytester, source).runpytest_subprocess(*OPTIONS, "-p", "xdist", "-n", "2").assert_outcomes(passed=8)
    first, second = (path.read_text() for path in pytester.path.glob("gw*"))
    assert first != second


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
