"""What both type checkers reject, line by line; never run.

`test_typing.py` has them look at it. A comment is mypy's code for what is wrong with its line.
"""

from __future__ import annotations

from api_keys_client import ApiKeysClient, ApiKeysError, AsyncApiKeysClient, CreatedKey, Deactivation, Outcome, stores

KEY_ID = "00000000-0000-0000-0000-000000000000"


def make() -> None:
    ApiKeysClient(token=7)  # arg-type
    ApiKeysClient("https://engine.example", "a-token")  # call-arg
    ApiKeysClient(timeout="30")  # arg-type
    ApiKeysClient(headers={"X-Tenant": 7})  # dict-item
    ApiKeysClient(ssl_context=False)  # arg-type
    ApiKeysClient(verify=False)  # call-arg


def call(client: ApiKeysClient) -> None:
    client.get(7)  # arg-type
    client.deactivate(KEY_ID.encode())  # arg-type
    client.create(roles=[7])  # list-item
    client.create(role="TASK-ADMIN")  # call-arg
    client.list(role=["TASK-ADMIN"])  # arg-type
    client.deactivate_many([], lambda: None)  # arg-type
    client.with_options(base_url="https://other.example")  # call-arg
    client.rotate(KEY_ID)  # call-arg
    client.rotate(KEY_ID, store="/run/secrets/engine")  # arg-type
    client.rotate(KEY_ID, store=lambda: None)  # arg-type
    client.rotate(KEY_ID, store=print, leftovers="ignore")  # arg-type
    stores.command(7)  # arg-type


def look(client: ApiKeysClient, key: CreatedKey, ended: Deactivation, error: ApiKeysError) -> None:
    key.key + "\n"  # operator
    client.get(key.id).key.get_secret_value()  # union-attr
    ended.record.id  # union-attr
    error.retry_after  # attr-defined
    Outcome.DONE  # attr-defined
    with client.create() as created:  # attr-defined
        created


async def confuse(client: ApiKeysClient, async_client: AsyncApiKeysClient) -> None:
    await client.get(KEY_ID)  # misc
    async with client:  # attr-defined
        pass
    async with client.temporary_key():  # attr-defined
        pass
    with async_client:  # attr-defined
        pass
    with async_client.temporary_key():  # attr-defined
        pass
    async_client.create()  # unused-coroutine
    async_client.generated  # attr-defined
    for record in async_client.list():  # attr-defined
        record
