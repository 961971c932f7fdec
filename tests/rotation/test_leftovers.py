"""What a rotation that failed leaves: it is undone, or the next rotation names it, keeps it or ends it."""

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
    InvalidRequestError,
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
    left_over,
    made_by_hand,
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


def test_leftovers_are_named_and_nothing_is_done(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci").id
    left = {left_over(sandbox, old_id), left_over(sandbox, old_id)}
    client.create("neighbour")
    before = len(sandbox.requests)
    error = rotation_error(lambda: client.rotate(old_id, store=store))
    assert (error.stage, error.old_id, error.new_id) == ("leftovers", old_id, None)
    assert set(error.leftovers) == left
    assert all(key_id in str(error) for key_id in left)
    assert "Nothing was changed" in str(error)
    assert error.outcome is Outcome.NOT_SENT
    assert requests(sandbox)[before:] == ["list"]


def test_leftovers_are_kept(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci").id
    left = left_over(sandbox, old_id)
    new_id = client.rotate(old_id, store=store, leftovers="keep").new.id
    assert active(sandbox) == {left, new_id}
    assert rotation_error(lambda: client.rotate(new_id, store=store)).leftovers == [left]


def test_leftovers_end_with_the_old_key_but_not_before_the_new_one_is_stored(
    sandbox: Sandbox, client: ApiKeysClient
) -> None:
    old_id = client.create("ci").id
    left = {left_over(sandbox, old_id), left_over(sandbox, old_id)}
    neighbour = client.create("neighbour").id
    seen: list[set[str]] = []

    def look(_: CreatedKey) -> None:
        seen.append(active(sandbox))

    new_id = client.rotate(old_id, store=look, verify=look, leftovers="deactivate").new.id
    assert seen == [{old_id, *left, neighbour, new_id}] * 2
    assert active(sandbox) == {new_id, neighbour}


@pytest.mark.parametrize("use", [refuse, fail])
def test_no_leftover_ends_when_nothing_is_stored_for_sure(
    sandbox: Sandbox, client: ApiKeysClient, use: Callable[[CreatedKey], None]
) -> None:
    old_id = client.create("ci").id
    left = left_over(sandbox, old_id)
    rotation_error(lambda: client.rotate(old_id, store=use, leftovers="deactivate"))
    assert {old_id, left} <= active(sandbox)


def test_a_leftover_that_cannot_be_ended_is_named(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci").id
    left = left_over(sandbox, old_id)
    sandbox.queue(Fault("healthy", lambda exchange: exchange.answer()), operation="deactivate")
    sandbox.queue(Fault.status(403, "no"), operation="deactivate")
    error = rotation_error(lambda: client.rotate(old_id, store=store, leftovers="deactivate"))
    assert error.stage == "deactivate"
    assert error.leftovers == [left]
    assert f"{left}: deactivate {left}: the server answered 403 Forbidden: no. Deactivate them." in str(error)
    assert active(sandbox) == {left, error.new_id}


def test_a_forged_marker_ends_no_key_that_it_names(sandbox: Sandbox, client: ApiKeysClient) -> None:
    victim = client.create("victim")
    mine = made_by_hand(sandbox, f"mine (replaces {victim.id} #000000000000)")
    error = rotation_error(lambda: client.rotate(mine, store=store))
    assert (error.stage, error.leftovers) == ("leftovers", [victim.id])
    assert "may be wrong" in str(error)
    rotation = client.rotate(mine, store=store, leftovers="deactivate")
    assert rotation.left_active == [victim.id]
    assert sandbox.accepts(victim.key.get_secret_value())


def test_one_who_knows_names_those_to_end(sandbox: Sandbox, client: ApiKeysClient) -> None:
    first = client.create("ci").id
    second = client.rotate(first, store=store, description="other words", keep_old=True).new.id
    rotation = client.rotate(second, store=store, leftovers=[first])
    assert rotation.left_active == []
    assert active(sandbox) == {rotation.new.id}


def test_only_leftovers_can_be_named(sandbox: Sandbox, client: ApiKeysClient) -> None:
    neighbour, old = client.create("neighbour").id, client.create("ci").id
    before = len(sandbox.requests)
    error = rotation_error(lambda: client.rotate(old, store=store, leftovers=[neighbour]))
    assert (error.stage, error.leftovers) == ("leftovers", [])
    assert neighbour in str(error)
    assert requests(sandbox)[before:] == ["list"]
    for wrong in (neighbour, "all", 7, [neighbour, "x"]):
        with pytest.raises(InvalidRequestError):
            client.rotate(old, store=store, leftovers=wrong)  # type: ignore[arg-type]


def test_some_may_be_named_only_if_all_others_are_known_of(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old = client.create("ci").id
    left = [made_by_hand(sandbox, f"ci (replaces {old} #{number:012})") for number in range(2)]
    error = rotation_error(lambda: client.rotate(old, store=store, leftovers=left[:1]))
    assert set(error.leftovers) == set(left)
