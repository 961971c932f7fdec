"""What a user writes and both type checkers take; never run. `test_typing.py` has them look at it."""

# pyright: strict
from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import assert_type

from pydantic import SecretStr

from _generated import APIKeysApi
from api_keys_client import (
    UNSET,
    ApiConnectionError,
    ApiKeyResponse,
    ApiKeysClient,
    ApiKeysError,
    ApiTimeoutError,
    AsyncApiKeysClient,
    AsyncRotation,
    CreatedKey,
    Deactivation,
    NotStored,
    Outcome,
    OutcomeUnknownError,
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
    ApiKeysClient()
    ApiKeysClient("https://engine.example", token="a-token", timeout=10)
    AsyncApiKeysClient("https://engine.example", token=ask_vault, timeout=(5, 30.0), headers={"X-Tenant": "blue"})
    with ApiKeysClient(token=SecretStr("a-token"), max_attempts=1, proxy=None) as client:
        assert_type(client, ApiKeysClient)
        assert_type(client.with_options(deadline=5), ApiKeysClient)
        assert_type(client.generated, APIKeysApi)


def create(client: ApiKeysClient) -> None:
    assert_type(client.create(), CreatedKey)
    client.create(None, None)
    client.create(UNSET, UNSET)
    client.create("a task's", [Role.TASK_ADMIN, "VALIDATION-USER"])
    client.create(description="an auditor's", roles={"ORG-AUDITOR"})
    roles: list[Role] = [Role.ORG_ADMIN]
    client.create(roles=roles)
    client.create(roles=(role for role in roles))
    # Nothing has to be asked first: of a created key the checker knows that its secret is there.
    secret: str = client.create("a created one").key.get_secret_value()
    assert_type(key_id_from_secret(secret), "str | None")


def read(client: ApiKeysClient, key_id: uuid.UUID) -> None:
    assert_type(client.get(key_id), ApiKeyResponse)
    for record in client.list("a task's", role=Role.TASK_ADMIN) + client.list(role="TASK-ADMIN"):
        assert_type(record, ApiKeyResponse)
        assert_type(record.created_at, datetime)
        assert_type(record.deactivated_at, "datetime | None")
        client.get(record.id)


def end(client: ApiKeysClient, key_ids: set[uuid.UUID]) -> list[str]:
    assert_type(client.deactivate("00000000-0000-0000-0000-000000000000"), ApiKeyResponse)
    told: list[Deactivation] = []
    client.deactivate_many(key_ids, told.append, bound=2)
    failed: list[str] = []
    for key_id, record, error in client.deactivate_many(str(key_id) for key_id in key_ids):
        assert_type(record, "ApiKeyResponse | None")
        if error is not None:
            failed.append(f"{key_id}: {error.next_step}")
    return failed


def borrow(client: ApiKeysClient) -> None:
    with client.temporary_key("for one test", roles=[Role.VALIDATION_USER]) as key:
        assert_type(key, CreatedKey)
    with client.temporary_key():
        pass


def rotate(client: ApiKeysClient, key_id: str, kept: dict[str, str]) -> None:
    def store(new: CreatedKey) -> None:
        if new.id in kept:
            raise NotStored("it is there already")
        kept[new.id] = new.key.get_secret_value()

    def works(new: CreatedKey) -> bool:
        return new.is_active

    rotation = client.rotate(key_id, store=store, verify=works, keep_old=True, leftovers="deactivate")
    assert_type(rotation, Rotation)
    assert_type(rotation.new.key, SecretStr)
    rotation.finish()
    client.rotate(uuid.UUID(key_id), store=stores.file("/run/secrets/engine"), roles=["TASK-ADMIN"], description="its")
    client.rotate(key_id, store=stores.env_file(".env", "ENGINE_KEY"))
    client.rotate(key_id, store=stores.command(["vault", "write", "-"], timeout=5))


def fail(client: ApiKeysClient) -> str:
    try:
        client.create()
    except RateLimitedError as error:
        assert_type(error.retry_after, "float | None")
    except OutcomeUnknownError as error:
        return error.reason
    except RotationError as error:
        assert_type(error.old_id, str)
        assert_type(error.new_id, "str | None")
        assert_type(error.leftovers, list[str])
        error.undo()
        return error.stage
    except ApiTimeoutError as error:
        timed_out: ApiConnectionError = error
        return timed_out.next_step
    except ApiKeysError as error:
        assert_type(error.status, "int | None")
        assert_type(error.detail, "str | None")
        assert_type(error.attempts, int)
        assert_type(error.elapsed, float)
        assert_type(error.retryable, bool)
        assert_type(error.outcome, "Outcome | None")
        assert_type(error.key_id, "str | None")
        if error.outcome is not None and error.outcome is not Outcome.REJECTED:
            return error.outcome
    return ""


async def work(headers: Mapping[str, str]) -> None:
    async with AsyncApiKeysClient(headers=headers) as client:
        assert_type(client.with_options(token=ask_vault, headers=headers), AsyncApiKeysClient)
        created = await client.create("a task's", roles=[Role.TASK_ADMIN, "ORG-ADMIN"])
        assert_type(created.key, SecretStr)
        assert_type(await client.list(role="TASK-ADMIN"), list[ApiKeyResponse])
        assert_type(await client.get(created.id), ApiKeyResponse)
        assert_type(await client.deactivate(created.id), ApiKeyResponse)
        assert_type(await client.deactivate_many([created.id]), list[Deactivation])
        assert_type(await asyncio.gather(client.get(created.id), client.create()), tuple[ApiKeyResponse, CreatedKey])
        async with client.temporary_key(None, UNSET) as key:
            assert_type(key, CreatedKey)

        async def store(new: CreatedKey) -> None:
            await asyncio.to_thread(stores.file("/run/secrets/engine"), new)

        rotation = await client.rotate(created.id, store=store, verify=lambda new: new.is_active)
        assert_type(rotation, AsyncRotation)
        await rotation.finish()


def test_with_the_sandbox() -> None:
    with Sandbox(profile="spec") as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
        assert_type([key.id for key in sandbox.keys()], list[str])
        client.list()
