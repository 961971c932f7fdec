"""What the client cannot do without: a failure wherever it does not hold."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from pydantic import SecretStr

from api_keys_client import (
    ApiKeyResponse,
    AuthenticationError,
    CreatedKey,
    KeyLimitReachedError,
    KeyNotFoundError,
    Role,
)
from api_keys_client.conformance.deployment import FULL, KEYS, NO_ROLE, UNKNOWN_ID, Deployment, interrupts_held_back
from api_keys_client.sandbox import Sandbox

REQUESTS = [
    ("POST", KEYS),
    ("GET", KEYS),
    ("GET", f"{KEYS}{{id}}"),
    ("DELETE", f"{KEYS}deactivate/{{id}}"),
]


def test_every_success_fits_the_contract(deployment: Deployment) -> None:
    created = deployment.call("POST", KEYS, {"description": deployment.named("fits"), "roles": ["TASK-ADMIN"]})
    assert created.is_success(ApiKeyResponse)
    key_id = created.json["id"]
    assert deployment.call("GET", KEYS).is_success(list[ApiKeyResponse])
    assert deployment.call("GET", f"{KEYS}{key_id}").is_success(ApiKeyResponse)
    deactivated = deployment.call("DELETE", f"{KEYS}deactivate/{key_id}")
    assert (deactivated.status == 204 and deactivated.is_empty) or deactivated.is_success(ApiKeyResponse)
    assert deployment.call("GET", f"{KEYS}{key_id}").is_success(ApiKeyResponse)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}], ids=["no token", "a wrong token"])
def test_nobody_is_let_in_without_the_token(deployment: Deployment, headers: dict[str, str]) -> None:
    key = deployment.create()
    refused = deployment.named("refused")
    for method, path in REQUESTS:
        body = {"description": refused} if method == "POST" else None
        answer = deployment.call(method, path.format(id=key.id), body, headers=headers)
        assert answer.status == 401
        assert answer.detail
    with pytest.raises(AuthenticationError):
        deployment.client.with_options(token="wrong").create(refused)
    assert deployment.client.get(key.id).is_active
    assert deployment.client.list(refused) == []


def test_a_created_key_is_what_was_asked_for(deployment: Deployment) -> None:
    first = deployment.create("first", [Role.TASK_ADMIN, Role.ORG_AUDITOR])
    assert first.roles == ["TASK-ADMIN", "ORG-AUDITOR"]
    assert first.description == deployment.named("first")
    assert first.is_active
    assert first.id == str(uuid.UUID(first.id))
    second = deployment.create("second")
    assert first.id != second.id
    assert first.key != second.key
    assert first.key.get_secret_value()


@pytest.mark.parametrize(
    ("body", "roles"),
    [
        ({}, ["VALIDATION-USER"]),
        ({"roles": None}, []),
        ({"roles": []}, []),
        ({"roles": ["ORG-ADMIN", "VALIDATION-USER"]}, ["ORG-ADMIN", "VALIDATION-USER"]),
    ],
    ids=["left out", "null", "empty", "two"],
)
def test_roles_left_out_are_not_no_roles(deployment: Deployment, body: dict[str, Any], roles: list[str]) -> None:
    created = deployment.call("POST", KEYS, body | {"description": deployment.named("roles")})
    assert created.json.get("roles") == roles
    assert deployment.client.get(created.json["id"]).roles == roles


def test_a_key_may_have_no_description(deployment: Deployment) -> None:
    created = deployment.call("POST", KEYS, {})
    assert created.json.get("description") is None
    assert deployment.client.get(created.json["id"]).description is None


def test_a_description_comes_back_as_it_was_sent(deployment: Deployment) -> None:
    # Beside what people write, the markers by which the client finds its own keys again.
    purpose = f"ключ 🔑 'it' \"is\" <b>&amp;</b> \\ %s (replaces {UNKNOWN_ID} #0123456789ab)"
    created = deployment.create(purpose)
    assert created.description == deployment.named(purpose)
    assert deployment.client.get(created.id).description == created.description
    (listed,) = [record for record in deployment.client.list() if record.id == created.id]
    assert listed.description == created.description


@pytest.mark.parametrize("role", [NO_ROLE, "TENANT-USER"])
def test_a_role_that_cannot_be_had_is_refused(deployment: Deployment, role: str) -> None:
    description = deployment.named("no such role")
    answer = deployment.call("POST", KEYS, {"description": description, "roles": ["TASK-ADMIN", role]})
    assert answer.status in (400, 422)
    assert answer.detail
    assert deployment.client.list(description) == []


def test_the_refusal_at_the_limit_can_be_told(deployment: Deployment) -> None:
    if deployment.profile is None:
        pytest.skip("a deployment is not filled with keys")
    with Sandbox(profile=deployment.profile, limit=2) as sandbox:
        limited = Deployment(sandbox.url, SecretStr(sandbox.token), deployment.profile)
        first = limited.create()
        limited.create()
        with pytest.raises(KeyLimitReachedError) as caught:
            limited.create()
        assert caught.value.status == 400
        assert caught.value.detail == FULL
        limited.client.deactivate(first.id)
        limited.create()
        limited.end()
        assert limited.leftovers == []
        assert not any(key.is_active for key in sandbox.keys())


def test_the_list_has_the_active_keys(deployment: Deployment) -> None:
    made = {deployment.create().id for _ in range(3)}
    gone = made.pop()
    deployment.client.deactivate(gone)
    listed = deployment.active_ids()
    assert made <= listed
    assert gone not in listed
    assert all(record.is_active for record in deployment.client.list())


def test_only_the_creation_shows_the_secret(deployment: Deployment) -> None:
    key_id = deployment.create().id
    answers = [deployment.call(method, path.format(id=key_id)).json for method, path in REQUESTS if method != "POST"]
    records = [record for answer in answers for record in (answer if isinstance(answer, list) else [answer or {}])]
    assert key_id in [record.get("id") for record in records]
    assert {record.get("key") for record in records} == {None}


@pytest.mark.parametrize(("method", "path"), REQUESTS[2:], ids=["get", "deactivate"])
def test_an_id_that_no_key_has_is_not_found(deployment: Deployment, method: str, path: str) -> None:
    answer = deployment.call(method, path.format(id=UNKNOWN_ID))
    assert answer.status == 404
    assert answer.detail
    call = deployment.client.get if method == "GET" else deployment.client.deactivate
    with pytest.raises(KeyNotFoundError):
        call(UNKNOWN_ID)


def test_a_deactivated_key_is_inactive_for_good(deployment: Deployment) -> None:
    key_id = deployment.create().id
    for _ in range(2):
        record = deployment.client.deactivate(key_id)
        assert record.id == key_id
        assert not record.is_active
        assert record.deactivated_at
        assert not deployment.client.get(key_id).is_active
        assert key_id not in deployment.active_ids()


def test_a_deactivation_ends_one_key_only(deployment: Deployment) -> None:
    first, second = deployment.create(), deployment.create()
    deployment.client.deactivate(first.id)
    assert deployment.client.get(second.id).is_active


@pytest.mark.parametrize("body", [{"description": 7}, {"roles": "TASK-ADMIN"}], ids=["description", "roles"])
def test_a_value_of_the_wrong_type_is_refused(deployment: Deployment, body: dict[str, Any]) -> None:
    answer = deployment.call("POST", KEYS, body)
    assert answer.status in (400, 422)
    assert answer.detail


def test_a_temporary_key_and_a_rotation(deployment: Deployment) -> None:
    stored: list[CreatedKey] = []
    with interrupts_held_back():
        with deployment.client.temporary_key(deployment.named("temporary")) as temporary:
            assert temporary.id in deployment.active_ids()
            rotation = deployment.client.rotate(temporary.id, store=stored.append)
        assert [key.id for key in stored] == [rotation.new.id]
        assert temporary.id not in deployment.active_ids()
        assert not deployment.client.deactivate(rotation.new.id).is_active
