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
THREADS = 16
TASKS = 50
POOL_SIZE = 20
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}
BODY_HEADERS = {**HEADERS, "Content-Type": "application/json"}
ROLES = ["VALIDATION-USER"]


class Urllib3:
    """What a careful user would write by hand."""

    def __init__(self, url: str) -> None:
        import urllib3
        from pydantic import TypeAdapter

        from _generated import ApiKeyResponse

        self._pool = urllib3.PoolManager(maxsize=POOL_SIZE, block=True)
        self._url = url + "/auth/api_keys/"
        self._record = TypeAdapter(ApiKeyResponse)
        self._records = TypeAdapter(list[ApiKeyResponse])

    def _request(self, method: str, url: str, body: bytes | None = None) -> bytes:
        headers = BODY_HEADERS if body else HEADERS
        response = self._pool.request(method, url, headers=headers, body=body, timeout=30.0)
        if response.status not in (200, 204):
            raise RuntimeError(response.status)
        return response.data

    def get(self) -> object:
        return self._record.validate_json(self._request("GET", self._url + KEY_ID))

    def create(self) -> object:
        body = json.dumps({"description": "bench", "roles": ROLES}).encode()
        return self._record.validate_json(self._request("POST", self._url, body))

    def list(self) -> object:
        return self._records.validate_json(self._request("GET", self._url))

    def deactivate(self) -> object:
        self._request("DELETE", f"{self._url}deactivate/{KEY_ID}")
        return self.get()


class Ours:
    def __init__(self, url: str) -> None:
        from api_keys_client import ApiKeysClient

        self.client: Any = ApiKeysClient(url, token=TOKEN)

    def get(self) -> Any:
        return self.client.get(KEY_ID)

    def create(self) -> Any:
        return self.client.create("bench", ROLES)

    def list(self) -> Any:
        return self.client.list()

    def deactivate(self) -> Any:
        return self.client.deactivate(KEY_ID)


class Generated:
    def __init__(self, url: str) -> None:
        from _generated import ApiClient, APIKeysApi, APIKeysRolesEnum, Configuration, NewApiKeyRequest

        self._api: Any = APIKeysApi(ApiClient(Configuration(host=url, access_token=TOKEN)))
        roles = [APIKeysRolesEnum(role) for role in ROLES]
        self._body: Any = lambda: NewApiKeyRequest(description="bench", roles=roles)

    def get(self) -> object:
        return self._api.get_api_key_auth_api_keys_api_key_id_get(KEY_ID)

    def create(self) -> object:
        return self._api.create_api_key_auth_api_keys_post(self._body())

    def list(self) -> object:
        return self._api.get_all_active_api_keys_auth_api_keys_get()

    def deactivate(self) -> object:
        self._api.deactivate_api_key_auth_api_keys_deactivate_api_key_id_delete(KEY_ID)
        return self.get()


class Aiohttp:
    """The same by hand as Urllib3, on asyncio."""

    def __init__(self, url: str) -> None:
        import aiohttp
        from pydantic import TypeAdapter

        from _generated import ApiKeyResponse

        self.client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=POOL_SIZE),
            headers=HEADERS,
            timeout=aiohttp.ClientTimeout(total=30.0),
        )
        self._url = url + "/auth/api_keys/"
        self._record = TypeAdapter(ApiKeyResponse)
        self._records = TypeAdapter(list[ApiKeyResponse])

    async def _request(self, method: str, url: str, body: object = None) -> bytes:
        async with self.client.request(method, url, json=body) as response:
            if response.status not in (200, 204):
                raise RuntimeError(response.status)
            return await response.read()

    async def get(self) -> object:
        return self._record.validate_json(await self._request("GET", self._url + KEY_ID))

    async def create(self) -> object:
        body = {"description": "bench", "roles": ROLES}
        return self._record.validate_json(await self._request("POST", self._url, body))

    async def list(self) -> object:
        return self._records.validate_json(await self._request("GET", self._url))

    async def deactivate(self) -> object:
        await self._request("DELETE", f"{self._url}deactivate/{KEY_ID}")
        return await self.get()


class AsyncOurs(Ours):
    def __init__(self, url: str) -> None:
        from api_keys_client import AsyncApiKeysClient

        self.client = AsyncApiKeysClient(url, token=TOKEN)


def in_threads(call: Callable[[], object], count: int) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(call) for _ in range(count)]:
            future.result()


def in_a_row(call: Callable[[], object], count: int) -> None:
    for _ in range(count):
        call()


async def in_tasks(call: Callable[[], Awaitable[object]], count: int, tasks: int) -> None:
    numbers = iter(range(count))

    async def work() -> None:
        for _ in numbers:
            await call()

    await asyncio.gather(*(work() for _ in range(tasks)))


def begin() -> float:
    gc.collect()
    # What the imports made is not looked through again, at moments that differ from run to run.
    gc.freeze()
    return time.process_time()


def sync_seconds(call: Callable[[], object], at_once: bool, warm_up: int, count: int) -> float:
    run = in_threads if at_once else in_a_row
    run(call, warm_up)
    began = begin()
    run(call, count)
    return time.process_time() - began


async def async_seconds(kind: Any, url: str, operation: str, at_once: bool, warm_up: int, count: int) -> float:
    rival = kind(url)
    call = getattr(rival, operation)
    async with rival.client:
        await in_tasks(call, warm_up, TASKS if at_once else 1)
        began = begin()
        await in_tasks(call, count, TASKS if at_once else 1)
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


SYNC: dict[str, Any] = {"urllib3": Urllib3, "sync": Ours, "generated": Generated}
ASYNC: dict[str, Any] = {"aiohttp": Aiohttp, "async": AsyncOurs}


def main() -> None:
    rival, row, url, count = sys.argv[1:]
    operation, at_once = ("get", True) if row == "gets at once" else (row, False)
    # As much longer as everything takes under valgrind, so that threads take turns as they would without it.
    sys.setswitchinterval(1)
    if row == "memory":
        print(bytes_kept(SYNC[rival](url).list))
        return
    warm_up = 400 if at_once else 3 if operation == "list" else 50
    if rival in SYNC:
        print(sync_seconds(getattr(SYNC[rival](url), operation), at_once, warm_up, int(count)))
    else:
        print(asyncio.run(async_seconds(ASYNC[rival], url, operation, at_once, warm_up, int(count))))


if __name__ == "__main__":
    main()
