"""What the log is told of a call, and that a log which fails changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from api_keys_client import ApiKeysClient
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.pages import Page

FIELDS = {*Page("docs/guides/observability.md").first("| Field |")}


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name.startswith("api_keys_")}


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_each_attempt_and_each_retry_has_a_line(
    sandbox: Sandbox, client: ApiKeysClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "api_keys_client")
    sandbox.queue(Fault.status(503), operation="list")
    sandbox.queue(Fault.drop(), operation="list")
    client.list()
    records = [record for record in caplog.records if record.name == "api_keys_client"]
    assert [record.levelname for record in records] == ["DEBUG", "INFO", "DEBUG", "INFO", "DEBUG"]
    assert [fields(record).get("api_keys_status") for record in records] == [503, 503, None, None, 200]
    assert [fields(record).get("api_keys_failure") for record in records] == [None, None, "reset", "reset", None]
    assert [fields(record)["api_keys_attempt"] for record in records] == [1, 1, 2, 2, 3]
    assert records[1].getMessage().startswith("list is tried again in ")
    assert {name for record in records for name in fields(record)} == FIELDS


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise ZeroDivisionError

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == self.level:
            raise ZeroDivisionError
        return True


@pytest.fixture(params=["handler", "filter", "filter of the handler"])
def broken_log(request: pytest.FixtureRequest) -> Iterator[None]:
    log = logging.getLogger("api_keys_client")
    broken, level = Broken(), log.level
    log.setLevel(logging.DEBUG)
    if request.param == "filter":
        log.addFilter(broken.emit)  # type: ignore[arg-type]  # what it returns is never seen
    else:
        if request.param == "filter of the handler":
            broken.setLevel(logging.DEBUG)
        log.addHandler(broken)
    yield
    log.setLevel(level)
    log.handlers.clear()
    log.filters.clear()


@pytest.mark.usefixtures("broken_log")
def test_a_log_that_fails_changes_nothing(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.status(429), operation="create")
    kept = client.create("kept")
    with client.temporary_key("temporary"):
        assert len(client.list()) == 2
    assert {key.id for key in sandbox.keys() if key.is_active} == {kept.id}
