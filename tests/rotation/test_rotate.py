"""What a rotation does when nothing goes wrong, how the old key is kept, and what is refused."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from api_keys_client import ApiKeysClient, CreatedKey, InvalidRequestError, KeyNotFoundError, Outcome, Role
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.calling import UNKNOWN_ID
from tests.support.clients import requests
from tests.support.rotations import Shelf, active, changed, connecting, left_over, rotation_error, settled, store


def test_it_puts_a_new_key_in_place_of_the_old_one(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old = client.create("nightly 🔑 (ci)", ["TASK-ADMIN", "ORG-AUDITOR"])
    shelf = Shelf(old)
    before = len(sandbox.requests)
    rotation = client.rotate(old.id.upper(), store=shelf)
    assert requests(sandbox)[before:] == ["list", "create", "deactivate", "get"]
    assert (rotation.old.id, rotation.old.is_active, rotation.old.key) == (old.id, True, None)
    assert rotation.new.roles == ["TASK-ADMIN", "ORG-AUDITOR"]
    marker = rf"nightly 🔑 \(ci\) \(replaces {old.id}, made [0-9TZ:-]{{20}} #[0-9a-f]{{12}}\)"
    assert re.fullmatch(marker, rotation.new.description or "")
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
def test_the_marker_of_a_replacement_is_replaced(
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


async def later(_: CreatedKey) -> Any:
    yield


async def later_done(_: CreatedKey) -> None:
    pytest.fail("it was run, although it was to be refused")


UNDONE: list[Callable[[CreatedKey], Any]] = [
    lambda _: (item for item in [1]),
    later,
    lambda _: Future[None](),
    later_done,
]


@pytest.mark.parametrize("work", UNDONE, ids=["a generator", "an async generator", "a future", "a coroutine"])
@pytest.mark.parametrize("place", ["store", "verify"])
def test_work_that_nobody_does_counts_for_nothing(
    sandbox: Sandbox, client: ApiKeysClient, place: str, work: Callable[[CreatedKey], Any]
) -> None:
    old_id = client.create("ci").id

    def give(new: CreatedKey) -> Any:
        return work(new)

    functions: dict[str, Any] = {"store": store, place: give}
    error = rotation_error(lambda: client.rotate(old_id, **functions))
    assert isinstance(error.__cause__, TypeError)
    assert error.stage == place
    assert old_id in active(sandbox) <= {old_id, error.new_id}


@pytest.mark.parametrize("verdict", [0, 1, 1.0, "", "yes", ()], ids=repr)
def test_only_none_and_true_pass_a_verification(sandbox: Sandbox, client: ApiKeysClient, verdict: object) -> None:
    shelf = Shelf(client.create("ci"))
    error = rotation_error(lambda: client.rotate(shelf.key_id, store=shelf, verify=lambda _: verdict))
    assert f"verify returned a {type(verdict).__name__}" in str(error)
    assert error.stage == "verify"
    assert active(sandbox) == {shelf.key_id}


def generator(_: CreatedKey) -> Any:
    yield


class Async:
    async def __call__(self, _: CreatedKey) -> None:
        pytest.fail("it was run, although it was to be refused")


GENERATORS = (generator, later, partial(generator))
METHOD = Async().__call__
# The sync client's: to the async one they are welcome.
ASYNC = (later_done, partial(later_done), Async(), METHOD, partial(METHOD), partial(Async()))


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("store", [None, "/run/secrets/engine", *GENERATORS, *ASYNC]),
        ("verify", ["yes", *GENERATORS, *ASYNC]),
        ("leftovers", ["end", None, ["keep"]]),
        ("roles", [["ADMIN"], "TASK-ADMIN"]),
        ("description", [7, "a\0b"]),
        ("key_id", ["x", None]),
    ],
)
def test_an_argument_is_refused_before_anything_is_sent(
    sandbox: Sandbox, client: ApiKeysClient, argument: str, values: list[Any]
) -> None:
    for value in values:
        with pytest.raises(InvalidRequestError) as refusal:
            client.rotate(**{"key_id": UNKNOWN_ID, "store": store, argument: value})
        assert refusal.value.outcome is Outcome.NOT_SENT
        told = "this one is a generator" if value in GENERATORS else "this one is async" if value in ASYNC else ""
        assert told in str(refusal.value)
    assert sandbox.requests == []


def test_the_async_client_takes_both_kinds(sandbox: Sandbox) -> None:
    stored: list[str] = []

    class Storing:
        async def __call__(self, new: CreatedKey) -> None:
            await asyncio.sleep(0)
            stored.append(new.id)

    async def function(new: CreatedKey) -> None:
        await Storing()(new)

    def plain(new: CreatedKey) -> object:
        return function(new)

    uses: list[Any] = [function, partial(function), Storing(), plain, lambda new: stored.append(new.id)]
    with connecting("async", sandbox) as client:
        old_id = client.create("ci").id
        for use in uses:
            old_id = client.rotate(old_id, store=use).new.id
            assert stored[-1] == old_id
    assert active(sandbox) == {old_id}


def test_an_inactive_key(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci").id
    client.deactivate(old_id)
    error = rotation_error(lambda: client.rotate(old_id, store=store))
    assert f"Key {old_id} cannot be rotated: it is inactive. Nothing was changed." in str(error)
    assert (error.stage, error.old_id, error.new_id, error.leftovers) == ("list", old_id, None, [])
    assert error.outcome is Outcome.NOT_SENT
    assert len(sandbox.keys()) == 1


def test_an_unknown_key(sandbox: Sandbox, client: ApiKeysClient) -> None:
    with pytest.raises(KeyNotFoundError) as missing:
        client.rotate(UNKNOWN_ID, store=store)
    assert missing.value.key_id == UNKNOWN_ID
    assert requests(sandbox) == ["list", "get"]


def test_a_key_that_the_list_leaves_out(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci").id
    sandbox.queue(changed(lambda records: records.clear()), operation="list")
    error = rotation_error(lambda: client.rotate(old_id, store=store))
    assert "the list of active keys does not have it" in str(error)
    assert active(sandbox) == {old_id}


def test_roles_that_no_key_can_be_created_with(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old_id = client.create("ci", ["TASK-ADMIN"]).id
    odd = changed(lambda records: records[0].update(roles=["TASK-ADMIN", "LATER-ROLE"]))
    sandbox.queue(odd, operation="list", times=2)
    before = len(sandbox.requests)
    error = rotation_error(lambda: client.rotate(old_id, store=store))
    assert "no key can be created with its role 'LATER-ROLE'. Nothing was changed." in str(error)
    assert "roles=" in error.next_step
    assert requests(sandbox)[before:] == ["list"]
    assert client.rotate(old_id, store=store, roles=["TASK-ADMIN"]).new.roles == ["TASK-ADMIN"]


def test_the_servers_list_is_read_with_care(sandbox: Sandbox, client: ApiKeysClient) -> None:
    old = client.create("ci")
    inactive_id = left_over(sandbox, old.id)
    client.deactivate(inactive_id)

    inactive = json.loads(client.get(inactive_id).model_dump_json(exclude_none=True))

    def change(records: list[dict[str, Any]]) -> None:
        for record in records:
            record["id"] = record["id"].upper()
        records.append(inactive)

    sandbox.queue(changed(change), operation="list")
    new = client.rotate(old.id, store=store).new
    assert (new.description or "").startswith(f"ci (replaces {old.id}, made ")
    assert active(sandbox) == {new.id}
