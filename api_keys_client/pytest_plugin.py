"""Fixtures for testing code that uses this client: a local server, and clients on it. See docs/guides/testing.md.

pytest loads this module in every run, used or not; what the fixtures need is imported when one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from api_keys_client import ApiKeysClient, AsyncApiKeysClient
    from api_keys_client.sandbox import Profile, Sandbox

_MARKER = "api_keys_sandbox"
_passed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Registers the option of `api_keys_client.conformance`, which pytest has to know before it meets that package."""
    parser.addoption(
        "--api-keys-url",
        metavar="URL",
        help="test this deployment with api_keys_client.conformance; the token is in API_KEYS_TOKEN or BEARER_TOKEN",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(profile='engine', limit=1000, faults=()): what the fixture api_keys_sandbox is to be; a fault may "
        "be a pair, ('create', fault), to wait for that operation.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Remembers whether the test itself came to its end: one that did not is told of no unmet fault."""
    item.stash[_passed] = False
    yield
    item.stash[_passed] = True


@pytest.fixture(scope="session")
def _api_keys_sandboxes() -> Iterator[Callable[..., Sandbox]]:
    try:
        # Late: most runs of pytest need none of what it brings.
        from api_keys_client.sandbox import Sandbox
    except ImportError as error:
        raise _unavailable("api_keys_sandbox", "testing", error) from None
    running: dict[tuple[Profile, int], Sandbox] = {}

    def sandbox(profile: Profile = "engine", limit: int = 1000) -> Sandbox:
        if (profile, limit) not in running:
            running[profile, limit] = Sandbox(profile=profile, limit=limit).start()
        return running[profile, limit]

    yield sandbox
    for started in running.values():
        started.stop()


@pytest.fixture
def api_keys_sandbox(request: pytest.FixtureRequest, _api_keys_sandboxes: Callable[..., Sandbox]) -> Iterator[Sandbox]:
    """Gives a running `Sandbox` without keys, as the marker of the same name wants it.

    A fault that was queued and never met fails the test.
    """
    options = _marked(request.node)
    faults = options.pop("faults", ())
    try:
        sandbox = _api_keys_sandboxes(**options)
        for each in faults:
            operation, fault = each if isinstance(each, tuple) else (None, each)
            sandbox.queue(fault, operation=operation)
    except (TypeError, ValueError) as error:
        text = f"the marker {_MARKER} cannot be obeyed: {error}"
        raise pytest.fail.Exception(text, pytrace=False) from None
    try:
        yield sandbox
        unmet = [f"{fault} for {name}" if name else repr(fault) for name, fault in sandbox._queued]
    finally:
        sandbox.reset()
    if unmet and request.node.stash.get(_passed, False):
        pytest.fail(f"queued, but met by no request: {', '.join(unmet)}", pytrace=False)


@pytest.fixture
def api_keys_client(api_keys_sandbox: Sandbox) -> Iterator[ApiKeysClient]:
    """Gives an `ApiKeysClient` on the `api_keys_sandbox`."""
    # Late: it was loaded for the sandbox at most.
    from api_keys_client import ApiKeysClient

    with ApiKeysClient(api_keys_sandbox.url, token=api_keys_sandbox.token) as client:
        yield client


@pytest.fixture
def async_api_keys_client(api_keys_sandbox: Sandbox) -> Iterator[AsyncApiKeysClient]:
    """Gives an `AsyncApiKeysClient` on the `api_keys_sandbox`, for whatever event loop the test runs it on."""
    try:
        # Late: aiohttp is no small thing, and not everyone has it.
        import asyncio

        from api_keys_client import AsyncApiKeysClient
    except ImportError as error:
        raise _unavailable("async_api_keys_client", "async,testing", error) from None
    client = AsyncApiKeysClient(api_keys_sandbox.url, token=api_keys_sandbox.token)
    yield client
    # Leaves the closing to the event loop that the test used, if that one runs again.
    asyncio.run(client.close())


def _marked(node: pytest.Item) -> dict[str, Any]:
    """Gives what the test's markers say: the one nearest to it has the last word on each of its arguments."""
    options: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers(_MARKER))):
        if marker.args or not {*marker.kwargs} <= {"profile", "limit", "faults"}:
            pytest.fail(f"the marker {_MARKER} takes profile=, limit= and faults= only", pytrace=False)
        options.update(marker.kwargs)
    return options


def _unavailable(fixture: str, extras: str, error: ImportError) -> BaseException:
    reason = error.__cause__ or error
    text = f"the fixture {fixture} needs more: pip install 'api-keys-client[{extras}]' ({reason})"
    return pytest.fail.Exception(text, pytrace=False)
