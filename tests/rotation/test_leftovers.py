"""Keys that a rotation before left: they are named, kept, or ended; one that only a description names is doubted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api_keys_client import ApiKeysClient, CreatedKey, InvalidRequestError, Outcome
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.clients import requests
from tests.support.rotations import active, fail, left_over, made_by_hand, refuse, rotation_error, store


def test_they_are_named_and_nothing_is_done(sandbox: Sandbox, client: ApiKeysClient) -> None:
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


def test_they_are_kept(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci").id
    left = left_over(sandbox, old_id)
    new_id = client.rotate(old_id, store=store, leftovers="keep").new.id
    assert active(sandbox) == {left, new_id}
    assert rotation_error(lambda: client.rotate(new_id, store=store)).leftovers == [left]


def test_they_end_with_the_old_key_but_not_before_the_new_one_is_stored(
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
def test_none_ends_when_nothing_is_stored_for_sure(
    sandbox: Sandbox, client: ApiKeysClient, use: Callable[[CreatedKey], None]
) -> None:
    old_id = client.create("ci").id
    left = left_over(sandbox, old_id)
    rotation_error(lambda: client.rotate(old_id, store=use, leftovers="deactivate"))
    assert {old_id, left} <= active(sandbox)


def test_one_that_cannot_be_ended_is_named(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci").id
    left = left_over(sandbox, old_id)
    sandbox.queue(Fault("healthy", lambda exchange: exchange.answer()), operation="deactivate")
    sandbox.queue(Fault.status(403, "no"), operation="deactivate")
    error = rotation_error(lambda: client.rotate(old_id, store=store, leftovers="deactivate"))
    assert error.stage == "deactivate"
    assert error.leftovers == [left]
    assert f"{left}: deactivate {left}: the server answered 403 Forbidden: no. Deactivate them." in str(error)
    assert active(sandbox) == {left, error.new_id}


def test_a_forged_mark_ends_no_key_that_it_names(sandbox: Sandbox, client: ApiKeysClient) -> None:
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
