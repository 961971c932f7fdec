"""Arguments: what cannot be is refused before anything is sent, and what is near to it is told apart."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from api_keys_client import UNSET, ApiKeysClient, InvalidRequestError, Outcome, Role, RotationError, key_id_from_secret
from api_keys_client.sandbox import Sandbox
from tests.support.clients import requests

KEY_ID = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"
BOUND = "bound= is a whole number from 1 on"
MARKED = f"mine (replaces {KEY_ID} #000000000000)"
REFUSED: list[tuple[str, Callable[[ApiKeysClient, Any], object], list[Any]]] = [
    (
        "this string is none",
        lambda client, key_id: client.get(key_id),
        ["", "..", "a/b", f"{KEY_ID}/", f"{{{KEY_ID}}}"],
    ),
    ("this string is none", lambda client, key_id: client.deactivate(key_id), ["ci", KEY_ID.replace("-", "")]),
    ("A key's id is a UUID", lambda client, key_id: client.get(key_id), [b"8f2b6a1c", 7, None]),
    ("A key's id is a UUID", lambda client, key_id: client.deactivate_many([KEY_ID, key_id]), ["x", None]),
    ("Many ids are a list of ids", lambda client, ids: client.deactivate_many(ids), [KEY_ID, 7]),
    (BOUND, lambda client, bound: client.deactivate_many([KEY_ID], bound=bound), [0, -1, True, "8", 2.0]),
    ("Role 1 is none", lambda client, role: client.create("ci", [role]), ["ADMIN", None, ["TASK-ADMIN"]]),
    ("Roles come in a list", lambda client, roles: client.create("ci", roles), ["TASK-ADMIN", 7]),
    ("A description is", lambda client, description: client.create(description), [7, b"ci"]),
    ("A description is", lambda client, description: client.temporary_key(description).__enter__(), [7, UNSET]),
    ("leave the marker out", lambda client, description: client.create(description), [MARKED]),
    ("leave the marker out", lambda client, description: client.temporary_key(description).__enter__(), [MARKED]),
    (
        "leave the marker out",
        *(lambda client, description: client.rotate(KEY_ID, store=print, description=description), [MARKED]),
    ),
    ("A description holds no", lambda client, description: client.create(description), ["a\0b", "\ud83d"]),
    ("as it is spelled: TASK-ADMIN", lambda client, role: client.list(role=role), ["task-admin", "Task_Admin"]),
]


@pytest.mark.parametrize(("told", "call", "arguments"), REFUSED)
def test_an_argument_is_refused_before_anything_is_sent(
    sandbox: Sandbox, client: ApiKeysClient, told: str, call: Callable[[ApiKeysClient, Any], object], arguments: Any
) -> None:
    for argument in arguments:
        with pytest.raises(InvalidRequestError) as caught:
            call(client, argument)
        assert told in str(caught.value)
        assert caught.value.outcome is Outcome.NOT_SENT
        assert isinstance(caught.value, ValueError)
    assert sandbox.requests == []


def test_records_in_place_of_ids_are_told_from_them(client: ApiKeysClient) -> None:
    client.create("ci")
    records: Any = client.list()
    with pytest.raises(InvalidRequestError, match=r"this is ApiKeyResponse\. Of a record, give its id"):
        client.deactivate_many(records)


def test_a_role_that_is_unknown_here_may_be_looked_for(client: ApiKeysClient) -> None:
    assert client.list(role="TENANT-USER") == client.list(role=Role.TASK_ADMIN) == []
    assert f"{Role.TASK_ADMIN}" == str(Role.TASK_ADMIN) == "TASK-ADMIN"


def test_a_description_has_an_end(sandbox: Sandbox, client: ApiKeysClient) -> None:
    for longest in ("x" * 65_536, "é" * 32_768):
        assert client.create(longest).description == longest
        with pytest.raises(InvalidRequestError, match="at most 64 KiB"):
            client.create(longest + "x")
        with pytest.raises(InvalidRequestError, match="at most 64 KiB"), client.temporary_key(longest):
            pytest.fail("there is no key")
    assert requests(sandbox) == ["create", "create"]
    old = client.list()[0]
    with pytest.raises(RotationError, match=r"at most 64 KiB.*Say with description="):
        client.rotate(old.id, store=lambda _: None)
    assert client.rotate(old.id, store=lambda _: None, description="short").new.is_active


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_the_id_inside_a_secret(client: ApiKeysClient) -> None:
    created = client.create()
    assert key_id_from_secret(created.key) == key_id_from_secret(created.key.get_secret_value()) == created.id
    assert key_id_from_secret(SecretStr(encoded(f"{KEY_ID.upper()}:x"))) == KEY_ID
    assert key_id_from_secret(f"{created.key.get_secret_value()}\n") == created.id


def test_a_secret_of_another_make_has_none() -> None:
    others: list[Any] = [encoded(text) for text in (KEY_ID, f"{KEY_ID}:", "no-uuid:x", f"{KEY_ID}:ж")]
    for secret in [*others, base64.b64encode(b"\xff:\xff").decode(), "", "not base64!", "ключ", None, 7]:
        assert key_id_from_secret(secret) is None
