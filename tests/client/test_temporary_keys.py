"""A key that ends with its block, and what is done where it may have been made without its secret."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from api_keys_client import ApiKeysClient, ApiKeysError, CreatedKey, OutcomeUnknownError
from api_keys_client.sandbox import Fault, Sandbox
from api_keys_client.sandbox.faults import Exchange
from tests.support.clients import requests
from tests.support.rotations import Shelf, changed


def undone(client: ApiKeysClient, kind: type[ApiKeysError] = OutcomeUnknownError) -> str:
    """What a temporary key's error says."""
    with pytest.raises(kind) as caught, client.temporary_key("ci"):
        pytest.fail("there is no key to work with")
    return str(caught.value)


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_it_ends_with_its_block(sandbox: Sandbox, client: ApiKeysClient) -> None:
    with client.temporary_key("ci", ["TASK-ADMIN"]) as temporary:
        assert sandbox.accepts(temporary.key.get_secret_value())
        assert re.fullmatch(r"ci \(temporary, made [0-9TZ:-]{20} #[0-9a-f]{12}\)", temporary.description or "")
    with pytest.raises(ZeroDivisionError), client.temporary_key() as other:
        assert (other.description or "").startswith("(temporary, made ")
        raise ZeroDivisionError
    assert not any(key.is_active for key in sandbox.keys())


@pytest.mark.parametrize(
    "fault", [Fault.drop(committed=True), Fault.garbage(), Fault.truncated(), Fault.commit_late(0.1)]
)
def test_one_that_was_cut_off_is_undone(sandbox: Sandbox, client: ApiKeysClient, fault: Fault) -> None:
    sandbox.queue(fault, operation="create")
    told = undone(client)
    (key,) = sandbox.keys()
    assert not key.is_active
    assert f"Key {key.id} was made and has been deactivated" in told


def test_one_whose_id_is_known_is_undone_by_it(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(changed(lambda body: body.update(key=None)), operation="create")
    told = undone(client, ApiKeysError)
    (key,) = sandbox.keys()
    assert not key.is_active
    assert f"Key {key.id} was made and has been deactivated" in told
    assert "list" not in requests(sandbox)


def test_one_that_cannot_be_undone_is_named(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.drop(committed=True), operation="create")
    sandbox.queue(Fault.status(403), operation="deactivate")
    told = undone(client)
    assert f"Key {sandbox.keys()[0].id} was made and could not be deactivated" in told


def test_one_that_was_never_seen_is_named_by_its_nonce(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.drop(), operation="create")
    assert re.search(r"No such key was seen; one may still appear, with #[0-9a-f]{12}", undone(client))


def test_one_that_was_refused_is_not_looked_for(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.status(403), operation="create")
    undone(client, ApiKeysError)
    assert requests(sandbox) == ["create"]


def test_an_answer_without_a_description_is_looked_up(sandbox: Sandbox, client: ApiKeysClient) -> None:
    """The contract lets an answer leave it out."""
    sandbox.queue(changed(lambda body: body.pop("description")), operation="create")
    with client.temporary_key("ci") as created:
        assert sandbox.accepts(created.key.get_secret_value())
    assert requests(sandbox)[:3] == ["create", "get", "deactivate"]
    assert [key.is_active for key in sandbox.keys()] == [False]


def replay(key: CreatedKey, *, secret: bool, bearing: bool) -> Fault:
    """A gateway on the way that answers a creation with another key, and passes nothing on."""

    def act(exchange: Exchange) -> Any:
        answered = Fault.status(200).act(exchange)
        record = json.loads(key.model_dump_json(exclude_none=True))
        record["key"] = key.key.get_secret_value() if secret else None
        if bearing:
            record["description"] = json.loads(exchange._request.get_data())["description"]
        answered.set_data(json.dumps(record))
        return answered

    return Fault("replay", act)


@pytest.mark.parametrize(
    ("rotation", "secret", "bearing"),
    [(False, True, False), (False, False, True), (True, True, True), (True, False, False)],
)
def test_an_answer_that_names_another_key_ends_none(
    sandbox: Sandbox, client: ApiKeysClient, rotation: bool, secret: bool, bearing: bool
) -> None:
    """Whether it is a stranger's, or the old key of a rotation."""
    other = client.create("ci")
    sandbox.queue(replay(other, secret=secret, bearing=bearing), operation="create")
    with pytest.raises(ApiKeysError, match="No such key was seen") as caught:
        if rotation:
            client.rotate(other.id, store=Shelf(other))
        else:
            client.temporary_key("ci").__enter__()
    assert sandbox.accepts(other.key.get_secret_value())
    assert "has been deactivated" not in str(caught.value)
