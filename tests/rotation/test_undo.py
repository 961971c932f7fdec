"""How a rotation that fails is undone: by itself, by its error, and without a token to do it."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from api_keys_client import (
    ApiKeysClient,
    ConfigurationError,
    CreatedKey,
    Outcome,
    OutcomeUnknownError,
    RotationError,
    ServerError,
)
from api_keys_client.sandbox import Fault, Sandbox
from api_keys_client.sandbox.faults import Dropped, Exchange
from tests.support.clients import Connect, requests
from tests.support.rotations import (
    Shelf,
    active,
    caught,
    changed,
    fail,
    refuse,
    rotation_error,
    settled,
    store,
    told_by,
)


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_one_who_knows_that_nothing_was_stored_undoes_it_and_can_do_so_again(
    sandbox: Sandbox, client: ApiKeysClient
) -> None:
    old_id = client.create("ci").id
    error = rotation_error(lambda: client.rotate(old_id, store=fail))
    assert active(sandbox) == {old_id, error.new_id}
    sandbox.queue(Fault.status(500), operation="deactivate", times=3)
    with pytest.raises(ServerError) as failure:
        settled(client, error.undo)
    assert (failure.value.key_id, failure.value.outcome) == (error.new_id, Outcome.UNKNOWN)
    settled(client, error.undo)
    assert active(sandbox) == {old_id}
    client.rotate(old_id, store=store)


def test_other_errors_have_nothing_to_undo(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci").id
    refused = rotation_error(lambda: client.rotate(old_id, store=refuse))
    unverified = rotation_error(lambda: client.rotate(old_id, store=store, verify=fail))
    failed = rotation_error(lambda: client.rotate(old_id, store=fail))
    pickled = pickle.loads(pickle.dumps(failed))
    assert (str(pickled), vars(pickled)) == (str(failed), {**vars(failed), "_undo": None})
    before = len(sandbox.requests)
    for error in (refused, unverified, pickled):
        with pytest.raises(RuntimeError, match="nothing to undo"):
            error.undo()
    assert len(sandbox.requests) == before


def test_a_cause_is_kept_and_its_words_are_not_repeated(client: ApiKeysClient) -> None:
    def leak(new: CreatedKey) -> None:
        raise RuntimeError(new.key.get_secret_value())

    old_id = client.create("ci").id
    error = rotation_error(lambda: client.rotate(old_id, store=leak))
    assert isinstance(error.__cause__, RuntimeError)
    assert str(error.__cause__) not in f"{error} {error!r} {vars(error)} {pickle.dumps(error)!r}"


def running_dry(token: str, good: int) -> Callable[[], str]:
    """A token's source that after so many requests has none."""
    given = iter([token] * good)
    return lambda: next(given, "")


@pytest.mark.parametrize("good", range(4))
def test_without_a_token_the_error_names_what_is_active(engine: Sandbox, connect: Connect, good: int) -> None:
    shelf = Shelf(connect(engine.url, token=engine.token).create("ci"))
    old_id = shelf.key_id
    client = connect(engine.url, token=running_dry(engine.token, good))
    error = caught(lambda: client.rotate(old_id, store=shelf))
    assert isinstance(error, ConfigurationError if good < 2 else RotationError)
    assert engine.accepts(shelf.secret)
    assert all(key_id in told_by(error) for key_id in active(engine) - {shelf.key_id})
    assert "is empty" in str(error)
    assert requests(engine) == ["create", "list", "create", "deactivate"][: good + 1]


def test_the_deadline_leaves_the_undo_its_time(sandbox: Sandbox, connect: Connect) -> None:
    client = connect(sandbox.url, token=sandbox.token, deadline=1.5)
    old_id = client.create("ci").id
    looked = threading.Event()

    def commit_once_it_was_looked_for(exchange: Exchange) -> Any:
        threading.Thread(target=lambda: looked.wait() and exchange.answer()).start()
        raise Dropped

    sandbox.queue(Fault("late", commit_once_it_was_looked_for), operation="create")
    sandbox.queue(changed(json.dumps), operation="list", times=2)
    sandbox.queue(changed(lambda _: looked.set()), operation="list")
    with pytest.raises(OutcomeUnknownError, match="has been deactivated"):
        client.rotate(old_id, store=store)
    assert len(sandbox.keys()) == 2
    assert active(sandbox) == {old_id}
