"""What `rotate` refuses: arguments, functions of the wrong kind, and keys that cannot be rotated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from api_keys_client import ApiKeysClient, CreatedKey, InvalidRequestError, KeyNotFoundError, Outcome
from api_keys_client.sandbox import Sandbox
from tests.support.calling import UNKNOWN_ID
from tests.support.clients import requests
from tests.support.rotations import Shelf, active, changed, connecting, left_over, rotation_error, store


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
