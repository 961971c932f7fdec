"""The pytest plugin's async client, on every event loop that a test may have."""

from __future__ import annotations

import pytest

from tests.support.plugin_runs import OPTIONS, without_others, write

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _other_plugins_stay_away(monkeypatch: pytest.MonkeyPatch) -> None:
    without_others(monkeypatch)


def test_async_client_runs_on_any_event_loop(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        import asyncio
        import gc

        idle = asyncio.new_event_loop()

        def test_asyncio_run(async_api_keys_client):
            created = asyncio.run(async_api_keys_client.create("x"))
            assert created.description == "x"

        def test_asyncio_run_with_the_client_closed_there(async_api_keys_client):
            async def use():
                async with async_api_keys_client as client:
                    await client.list()

            asyncio.run(use())

        def test_a_loop_that_stays_open(async_api_keys_client):
            idle.run_until_complete(async_api_keys_client.list())

        async def refused(view):
            with pytest.raises(AuthenticationError):
                await view.list()

        def test_a_view_with_a_token_of_its_own(async_api_keys_client):
            asyncio.run(refused(async_api_keys_client.with_options(token="wrong").with_options(deadline=5)))

        def test_a_view_on_a_loop_that_stays_open(async_api_keys_client):
            view = async_api_keys_client.with_options(deadline=5)
            idle.run_until_complete(refused(view.with_options(token=lambda: "wrong")))

        def test_a_view_with_a_bad_token(async_api_keys_client):
            with pytest.raises(ConfigurationError):
                async_api_keys_client.with_options(token="two words")

        def test_no_call(async_api_keys_client):
            pass

        def test_no_asyncio(async_api_keys_client):
            with pytest.raises(ConfigurationError, match="no asyncio event loop"):
                async_api_keys_client.list().send(None)

        @pytest.mark.asyncio
        async def test_pytest_asyncio(async_api_keys_client):
            await async_api_keys_client.deactivate((await async_api_keys_client.create("x")).id)

        @pytest.mark.asyncio(loop_scope="session")
        @pytest.mark.parametrize("turn", [1, 2])
        async def test_pytest_asyncio_with_a_loop_for_all(async_api_keys_client, turn):
            assert await async_api_keys_client.list() == []
            await async_api_keys_client.create("x")

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_anyio(async_api_keys_client, anyio_backend):
            async with async_api_keys_client.temporary_key("x") as key:
                assert key.key

        def test_nothing_was_left_open():
            idle.run_until_complete(idle.shutdown_asyncgens())
            idle.close()
            gc.collect()
    """
    # Says what was left open, which is then an error.
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    options = ("-p", "anyio", "-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")
    result = write(pytester, source).runpytest_subprocess(*OPTIONS, *options)
    result.assert_outcomes(passed=13)
    assert result.errlines == []
