"""What scripts/bench.py measures, in a process of its own: ours, hand-written code, and the generated client alone.

    python bench_rivals.py RIVAL OPERATION URL COUNT

Makes that many calls, after some that open the connections and fill the caches, and prints their CPU seconds.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
import tracemalloc
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

if __name__ == "__main__":
    # Valgrind makes a program fifty times slower, so that connections would grow too old and answers come too late.
    # With a clock that goes on by a microsecond each time it is read, nobody's limit is met.
    time.monotonic = itertools.count(1e6, 1e-6).__next__

TOKEN = "bench-token"  # noqa: S105  # opens nothing
KEY_ID = str(uuid.UUID(int=7, version=4))
THREADS, TASKS, POOL_SIZE = 16, 50, 20
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}
BODY_HEADERS = {**HEADERS, "Content-Type": "application/json"}
NEW_KEY = {"description": "bench", "roles": ["VALIDATION-USER"]}

Operations = dict[str, Callable[[], Any]]


def urllib3_by_hand(url: str) -> Operations:
    """What a careful user would write."""
    import urllib3
    from pydantic import TypeAdapter

    from _generated import ApiKeyResponse

    pool = urllib3.PoolManager(maxsize=POOL_SIZE, block=True)
    record, records = TypeAdapter(ApiKeyResponse), TypeAdapter(list[ApiKeyResponse])

    def request(method: str, path: str, body: bytes | None = None) -> bytes:
        headers = BODY_HEADERS if body else HEADERS
        response = pool.request(method, f"{url}/auth/api_keys/{path}", headers=headers, body=body, timeout=30.0)
        if response.status not in (200, 204):
            raise RuntimeError(response.status)
        return response.data

    def get() -> object:
        return record.validate_json(request("GET", KEY_ID))

    return {
        "get": get,
        "create": lambda: record.validate_json(request("POST", "", json.dumps(NEW_KEY).encode())),
        "list": lambda: records.validate_json(request("GET", "")),
        "deactivate": lambda: (request("DELETE", f"deactivate/{KEY_ID}"), get()),
    }


def aiohttp_by_hand(url: str) -> tuple[Any, Operations]:
    """The same, on asyncio."""
    import aiohttp
    from pydantic import TypeAdapter

    from _generated import ApiKeyResponse

    connector, timeout = aiohttp.TCPConnector(limit=POOL_SIZE), aiohttp.ClientTimeout(total=30.0)
    session = aiohttp.ClientSession(connector=connector, headers=HEADERS, timeout=timeout)
    record, records = TypeAdapter(ApiKeyResponse), TypeAdapter(list[ApiKeyResponse])

    async def request(adapter: TypeAdapter[Any] | None, method: str, path: str, body: object = None) -> object:
        async with session.request(method, f"{url}/auth/api_keys/{path}", json=body) as response:
            if response.status not in (200, 204):
                raise RuntimeError(response.status)
            content = await response.read()
            return adapter.validate_json(content) if adapter else None

    async def deactivate() -> object:
        await request(None, "DELETE", f"deactivate/{KEY_ID}")
        return await request(record, "GET", KEY_ID)

    return session, {
        "get": lambda: request(record, "GET", KEY_ID),
        "create": lambda: request(record, "POST", "", NEW_KEY),
        "list": lambda: request(records, "GET", ""),
        "deactivate": deactivate,
    }


def ours(url: str, *, asynchronous: bool) -> tuple[Any, Operations]:
    import api_keys_client

    client: Any = getattr(api_keys_client, "AsyncApiKeysClient" if asynchronous else "ApiKeysClient")(url, token=TOKEN)
    return client, {
        "get": lambda: client.get(KEY_ID),
        "create": lambda: client.create(NEW_KEY["description"], NEW_KEY["roles"]),
        "list": client.list,
        "deactivate": lambda: client.deactivate(KEY_ID),
    }


def generated(url: str) -> Operations:
    from _generated import ApiClient, APIKeysApi, APIKeysRolesEnum, Configuration, NewApiKeyRequest

    api: Any = APIKeysApi(ApiClient(Configuration(host=url, access_token=TOKEN)))
    roles = [APIKeysRolesEnum(role) for role in NEW_KEY["roles"]]

    def get() -> object:
        return api.get_api_key_auth_api_keys_api_key_id_get(KEY_ID)

    return {
        "get": get,
        "create": lambda: api.create_api_key_auth_api_keys_post(NewApiKeyRequest(description="bench", roles=roles)),
        "list": api.get_all_active_api_keys_auth_api_keys_get,
        "deactivate": lambda: (api.deactivate_api_key_auth_api_keys_deactivate_api_key_id_delete(KEY_ID), get()),
    }


def make_calls(call: Callable[[], object], count: int, at_once: bool) -> None:
    if at_once:
        with ThreadPoolExecutor(THREADS) as pool:
            for future in [pool.submit(call) for _ in range(count)]:
                future.result()
    else:
        for _ in range(count):
            call()


async def make_async_calls(call: Callable[[], Awaitable[object]], count: int, at_once: bool) -> None:
    numbers = iter(range(count))

    async def work() -> None:
        for _ in numbers:
            await call()

    await asyncio.gather(*(work() for _ in range(TASKS if at_once else 1)))


def begin() -> float:
    gc.collect()
    # What the imports made is not looked through again, at moments that differ from run to run.
    gc.freeze()
    return time.process_time()


async def async_seconds(rival: str, url: str, operation: str, count: int, warm_up: int, at_once: bool) -> float:
    session, operations = ASYNC[rival](url)
    async with session:
        await make_async_calls(operations[operation], warm_up, at_once)
        began = begin()
        await make_async_calls(operations[operation], count, at_once)
        return time.process_time() - began


def bytes_kept(call: Callable[[], object]) -> int:
    """How much one result keeps."""
    call()
    gc.collect()
    tracemalloc.start()
    result = call()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    del result
    return size


SYNC: dict[str, Callable[[str], Operations]] = {
    "urllib3": urllib3_by_hand,
    "sync": lambda url: ours(url, asynchronous=False)[1],
    "generated": generated,
}
ASYNC: dict[str, Callable[[str], tuple[Any, Operations]]] = {
    "aiohttp": aiohttp_by_hand,
    "async": lambda url: ours(url, asynchronous=True),
}


def main() -> None:
    rival, row, url, text = sys.argv[1:]
    operation, at_once = ("get", True) if row == "gets at once" else (row, False)
    count, warm_up = int(text), 400 if at_once else 3 if row == "list" else 50
    # As much longer as everything takes under valgrind, so that threads take turns as they would without it.
    sys.setswitchinterval(1)
    if row == "memory":
        print(bytes_kept(SYNC[rival](url)["list"]))
    elif rival in ASYNC:
        print(asyncio.run(async_seconds(rival, url, operation, count, warm_up, at_once)))
    else:
        call = SYNC[rival](url)[operation]
        make_calls(call, warm_up, at_once)
        began = begin()
        make_calls(call, count, at_once)
        print(time.process_time() - began)


if __name__ == "__main__":
    main()
