"""Chooses the server: both of the sandbox's profiles, or with --api-keys-url a deployment.

How a deployment differs from docs/guides/server.md is told at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import get_args

import pytest
from pydantic import SecretStr

from api_keys_client import ApiKeysError, ConfigurationError
from api_keys_client.conformance.deployment import Compare, Deployment, obey_interrupts
from api_keys_client.conformance.facts import FACTS, fits
from api_keys_client.sandbox import Profile, Sandbox

REAL = pytest.StashKey[Deployment]()
SEEN = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--api-keys-url") and hasattr(config, "workerinput"):
        pytest.exit("a deployment is tested by one process, which can clean up when it is interrupted", returncode=4)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        profiles = [None] if metafunc.config.getoption("--api-keys-url") else get_args(Profile)
        ids = [profile or "deployment" for profile in profiles]
        metafunc.parametrize("server", profiles, ids=ids, indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    with ExitStack() as stack:
        if request.param is None:
            token = SecretStr(os.environ.get("API_KEYS_TOKEN") or os.environ.get("BEARER_TOKEN") or "")
            if not token:
                pytest.exit("there is no token in API_KEYS_TOKEN or BEARER_TOKEN", returncode=4)
            try:
                deployment = Deployment(str(request.config.getoption("--api-keys-url")), token)
                request.config.stash[REAL] = deployment
                request.config.stash[SEEN] = {}
                obey_interrupts()
                deployment.active_ids()
            except ConfigurationError as error:
                pytest.exit(f"the deployment cannot be tested: {error}", returncode=4)
            except ApiKeysError as error:
                pytest.exit(f"the deployment cannot be tested: {error}", returncode=1)
        else:
            sandbox = stack.enter_context(Sandbox(profile=request.param))
            deployment = Deployment(sandbox.url, SecretStr(sandbox.token), request.param)
        yield deployment
        deployment.end()


@pytest.fixture
def deployment(server: Deployment) -> Iterator[Deployment]:
    """Gives the server; what a test made on it is deactivated after it."""
    yield server
    server.tidy()


@pytest.fixture
def compare(request: pytest.FixtureRequest, deployment: Deployment) -> Compare:
    """Compares what was seen with a line of the guide's tables: on a sandbox it must be so, elsewhere it is noted."""

    def compare(name: str, seen: object) -> None:
        fact = FACTS[name]
        if deployment.profile is None:
            request.config.stash[SEEN][name] = str(seen)
        else:
            assert fits(seen, fact.engine if deployment.profile == "engine" else fact.spec)

    return compare


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # Not raised by the fixture, which after an interruption ends so late that pytest would show its own error for it.
    real = session.config.stash.get(REAL, None)
    if real and real.leftovers and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if REAL not in config.stash:
        return
    deployment, seen = config.stash[REAL], config.stash[SEEN]
    terminalreporter.section(f"{deployment.url} beside the engine of docs/guides/server.md")
    differing = [("Fact", "The engine", "Here")]
    for fact in FACTS.values():
        here = seen.get(fact.name, fact.engine)
        if not fits(here, fact.engine):
            differing.append((fact.name, fact.engine, f"{here} (as in the contract)" if here == fact.spec else here))
    if len(differing) > 1:
        widths = [max(map(len, column)) for column in zip(*differing, strict=True)]
        for row in differing:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            terminalreporter.write_line(line.rstrip())
    terminalreporter.write_line(f"{len(differing) - 1} of {len(seen)} facts differ; {len(FACTS) - len(seen)} not seen.")
    for leftover in deployment.leftovers:
        terminalreporter.write_line(leftover, red=True)
