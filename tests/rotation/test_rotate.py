"""What a rotation does when nothing goes wrong, and how the old key is kept."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from api_keys_client import ApiKeysClient, CreatedKey, Outcome, Role
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.clients import requests
from tests.support.rotations import Shelf, active, left_over, rotation_error, settled, store


def test_it_puts_a_new_key_in_place_of_the_old_one(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old = client.create("nightly 🔑 (ci)", ["TASK-ADMIN", "ORG-AUDITOR"])
    shelf = Shelf(old)
    before = len(sandbox.requests)
    rotation = client.rotate(old.id.upper(), store=shelf)
    assert requests(sandbox)[before:] == ["list", "create", "deactivate", "get"]
    assert (rotation.old.id, rotation.old.is_active, rotation.old.key) == (old.id, True, None)
    assert rotation.new.roles == ["TASK-ADMIN", "ORG-AUDITOR"]
    mark = rf"nightly 🔑 \(ci\) \(replaces {old.id}, made [0-9TZ:-]{{20}} #[0-9a-f]{{12}}\)"
    assert re.fullmatch(mark, rotation.new.description or "")
    assert shelf.secret == rotation.new.key.get_secret_value()
    assert sandbox.accepts(shelf.secret)
    assert active(sandbox) == {rotation.new.id}
    assert [record.id for record in client.list("nightly 🔑 (ci)")] == [rotation.new.id]


def test_the_old_key_works_until_the_new_one_is_stored(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old = client.create("ci")
    steps: list[tuple[str, bool, bool]] = []

    def see(step: str, new: CreatedKey) -> None:
        secrets = (old.key.get_secret_value(), new.key.get_secret_value())
        steps.append((step, *map(sandbox.accepts, secrets)))  # type: ignore[arg-type]  # two booleans

    client.rotate(old.id, store=partial(see, "store"), verify=partial(see, "verify"))
    assert steps == [("verify", True, True), ("store", True, True)]
    assert not sandbox.accepts(old.key.get_secret_value())


@pytest.mark.parametrize("description", [None, "", "ci", "a (temporary #xyz)", "x" * 500, "zwei\nZeilen"])
def test_the_mark_of_a_replacement_is_replaced(
    sandbox: Sandbox, client: ApiKeysClient, description: str | None
) -> None:
    first = client.create(description)
    second = client.rotate(first.id, store=store).new
    third = client.rotate(second.id, store=store).new
    words = f"{description} " if description else ""
    assert re.fullmatch(
        re.escape(words) + rf"\(replaces {second.id}, made [0-9TZ:-]{{20}} #\w{{12}}\)", third.description or ""
    )
    # By it a creation that was cut off is found: no two may have the same.
    assert (second.description or "")[-14:] != (third.description or "")[-14:]
    assert active(sandbox) == {third.id}


@pytest.mark.parametrize(
    ("arguments", "words", "roles"),
    [
        ({}, "ci ", ["TASK-ADMIN"]),
        ({"description": "other"}, "other ", ["TASK-ADMIN"]),
        ({"description": ""}, "", ["TASK-ADMIN"]),
        ({"roles": ["ORG-ADMIN", Role.ORG_AUDITOR]}, "ci ", ["ORG-ADMIN", "ORG-AUDITOR"]),
        ({"roles": {"ORG-ADMIN": 1}.keys()}, "ci ", ["ORG-ADMIN"]),
        ({"roles": []}, "ci ", []),
    ],
)
def test_words_and_roles_can_be_others(
    client: ApiKeysClient, arguments: dict[str, Any], words: str, roles: list[str]
) -> None:
    new = client.rotate(client.create("ci", ["TASK-ADMIN"]).id, store=store, **arguments).new
    assert (new.description or "").startswith(f"{words}(replaces ")
    assert (new.roles or []) == roles


def test_the_clients_own_functions_may_be_called_meanwhile(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old, neighbour = client.create("ci"), client.create("neighbour")

    def verify(new: CreatedKey) -> bool:
        assert {record.id for record in client.list()} == {neighbour.id, old.id, new.id}
        return client.get(new.id).is_active

    def rotate_the_other(_: CreatedKey) -> None:
        client.rotate(neighbour.id, store=store)

    client.rotate(old.id, store=rotate_the_other, verify=verify)
    assert len(active(sandbox)) == 2
    assert not {neighbour.id, old.id} & active(sandbox)


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_both_work_until_it_is_finished(sandbox: Sandbox, client: ApiKeysClient) -> None:
    shelf = Shelf(client.create("ci"))
    old_id, old_secret = shelf.key_id, shelf.secret
    rotation = client.rotate(old_id, store=shelf, keep_old=True)
    assert requests(sandbox) == ["create", "list", "create"]
    assert sandbox.accepts(old_secret)
    assert sandbox.accepts(shelf.secret)
    settled(client, rotation.finish)
    assert active(sandbox) == {rotation.new.id}
    # Nothing is left to finish, and after a rotation that kept nothing neither.
    for finished in (rotation, client.rotate(rotation.new.id, store=shelf)):
        done = len(sandbox.requests)
        settled(client, finished.finish)
        assert len(sandbox.requests) == done


def test_finishing_goes_on_where_it_failed(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci").id
    left = left_over(sandbox, old_id)
    rotation = client.rotate(old_id, store=store, keep_old=True, leftovers="deactivate")
    assert {old_id, left} <= active(sandbox)
    sandbox.queue(Fault.status(403), operation="deactivate")
    error = rotation_error(lambda: settled(client, rotation.finish))
    assert error.leftovers == [old_id]
    assert (error.stage, error.new_id, error.outcome) == ("deactivate", rotation.new.id, Outcome.APPLIED)
    assert active(sandbox) == {old_id, rotation.new.id}
    done = len(sandbox.requests)
    settled(client, rotation.finish)
    assert active(sandbox) == {rotation.new.id}
    assert requests(sandbox)[done:].count("deactivate") == 1
