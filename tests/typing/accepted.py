"""What a user writes and both type checkers take; never run. `test_typing.py` has them look at it."""

# pyright: strict
from __future__ import annotations

import asyncio
import uuid
from typing import assert_type

from pydantic import SecretStr

from _generated import APIKeysApi
from api_keys_client import (
    UNSET,
    ApiKeyResponse,
    ApiKeysClient,
    ApiKeysError,
    AsyncApiKeysClient,
    AsyncRotation,
    CreatedKey,
    Deactivation,
    NotStored,
    Outcome,
    RateLimitedError,
    Role,
    Rotation,
    RotationError,
    key_id_from_secret,
    stores,
)
from api_keys_client.sandbox import Sandbox


def ask_vault() -> SecretStr:
    return SecretStr("a-token")


def make() -> None:
    AsyncApiKeysClient("https://engine.example", token=ask_vault, timeout=(5, 30.0), headers={"X-Tenant": "blue"})
    with ApiKeysClient(token=SecretStr("a-token"), max_attempts=1, proxy=None) as client:
        assert_type(client, ApiKeysClient)
        assert_type(client.with_options(deadline=5), ApiKeysClient)
        assert_type(client.generated, APIKeysApi)


def live(client: ApiKeysClient, key_ids: set[uuid.UUID]) -> None:
    client.create(None, UNSET)
    client.create("a task's", roles=(role for role in [Role.TASK_ADMIN, "VALIDATION-USER"]))
    created = client.create()
    # Nothing has to be asked first: of a created key the checker knows that its secret is there.
    assert_type(created, CreatedKey)
    assert_type(key_id_from_secret(created.key.get_secret_value()), "str | None")
    for record in client.list("a task's", role=Role.TASK_ADMIN) + client.list(role="TASK-ADMIN"):
        assert_type(client.get(record.id), ApiKeyResponse)
    told: list[Deactivation] = []
    client.deactivate_many(key_ids, told.append, bound=2)
    for key_id, ended, error in client.deactivate_many(str(key_id) for key_id in key_ids):
        assert_type(ended, "ApiKeyResponse | None")
        assert_type(f"{key_id}: {error.next_step}" if error else key_id, str)
    with client.temporary_key("for one test", roles=[Role.VALIDATION_USER]) as key:
        assert_type(key, CreatedKey)


def rotate(client: ApiKeysClient, key_id: str, kept: dict[str, str]) -> None:
    def store(new: CreatedKey) -> None:
        if new.id in kept:
            raise NotStored("it is there already")
        kept[new.id] = new.key.get_secret_value()

    rotation = client.rotate(key_id, store=store, verify=lambda new: new.is_active, leftovers="deactivate")
    assert_type(rotation, Rotation)
    assert_type(rotation.new.key, SecretStr)
    client.rotate(uuid.UUID(key_id), store=stores.file("/run/secrets/engine"), roles=["TASK-ADMIN"], description="its")


def fail(client: ApiKeysClient) -> str:
    try:
        client.create()
    except RateLimitedError as error:
        assert_type(error.retry_after, "float | None")
    except RotationError as error:
        assert_type(error.leftovers, list[str])
        error.undo()
        return error.stage
    except ApiKeysError as error:
        assert_type(error.status, "int | None")
        assert_type(error.key_id, "str | None")
        if error.outcome is not None and error.outcome is not Outcome.REJECTED:
            return error.outcome
    return ""


async def work() -> None:
    async with AsyncApiKeysClient() as client:
        assert_type(client.with_options(token=ask_vault), AsyncApiKeysClient)
        created = await client.create("a task's", roles=[Role.TASK_ADMIN, "ORG-ADMIN"])
        assert_type(created, CreatedKey)
        assert_type(await client.list(role="TASK-ADMIN"), list[ApiKeyResponse])
        assert_type(await client.deactivate_many([created.id]), list[Deactivation])
        async with client.temporary_key() as key:
            assert_type(key, CreatedKey)

        async def store(new: CreatedKey) -> None:
            await asyncio.to_thread(stores.file("/run/secrets/engine"), new)

        assert_type(await client.rotate(created.id, store=store, verify=lambda new: new.is_active), AsyncRotation)


def test_with_the_sandbox() -> None:
    with Sandbox(profile="spec") as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token):
        assert_type([key.id for key in sandbox.keys()], list[str])
