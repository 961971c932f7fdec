"""What scripts/bench.py measures, in a process of its own: ours, hand-written code, and the generated client alone.

    python bench_clients.py CLIENT MEASURE CALL WORKERS KEYS COUNT

All clients have the same methods, so that one call of CALLS is made with each; a measure is a function of MEASURES,
and gives one number. The server is that of the environment.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import sys
import time
import tracemalloc
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pydantic import TypeAdapter

if __name__ == "__main__":
    # Valgrind makes a program fifty times slower, so that connections would grow too old and answers come too late.
    # With a clock that goes on by a microsecond each time it is read, nobody's limit is met.
    time.monotonic = itertools.count(1e6, 1e-6).__next__


def key_ids(count: int) -> list[str]:
    return [str(uuid.UUID(int=number, version=4)) for number in range(count)]


KEY_ID = key_ids(8)[7]
POOL_SIZE = 20
CALLS: dict[str, Callable[[Any], Any]] = {
    "get": lambda client: client.get(KEY_ID),
    "create": lambda client: client.create("bench", roles=["VALIDATION-USER"]),
    "list": lambda client: client.list(),
    "deactivate": lambda client: client.deactivate(KEY_ID),
    "deactivate_many": lambda client: client.deactivate_many(
        key_ids(int(os.environ["API_KEYS_BASE_URL"].rpartition("/")[2]))
    ),
    "sweep": lambda client: client.sweep(),
}


class ByHand:
    """What a careful user would write, with pydantic and an HTTP library."""

    def __init__(self) -> None:
        from pydantic import TypeAdapter

        from _generated import ApiKeyResponse

        self.url = f"{os.environ['API_KEYS_BASE_URL']}/auth/api_keys/"
        self.headers = {"Authorization": f"Bearer {os.environ['API_KEYS_TOKEN']}", "Accept": "application/json"}
        self.record, self.records = TypeAdapter(ApiKeyResponse), TypeAdapter(list[ApiKeyResponse])

    def request(self, method: str, path: str, answer: TypeAdapter[Any] | None, body: object = None) -> Any:
        raise NotImplementedError

    def get(self, key_id: str) -> Any:
        return self.request("GET", key_id, self.record)

    def list(self) -> Any:
        return self.request("GET", "", self.records)

    def create(self, description: str, roles: object) -> Any:
        return self.request("POST", "", self.record, {"description": description, "roles": roles})


class Urllib3ByHand(ByHand):
    def __init__(self) -> None:
        import urllib3

        super().__init__()
        self.pool = urllib3.PoolManager(maxsize=POOL_SIZE, block=True)

    def request(self, method: str, path: str, answer: TypeAdapter[Any] | None, body: object = None) -> Any:
        content = json.dumps(body).encode() if body else None
        headers = {**self.headers, "Content-Type": "application/json"} if body else self.headers
        response = self.pool.request(method, self.url + path, headers=headers, body=content, timeout=30.0)
        if response.status not in (200, 204):
            raise RuntimeError(response.status)
        return answer.validate_json(response.data) if answer else None

    def deactivate(self, key_id: str) -> Any:
        self.request("DELETE", f"deactivate/{key_id}", None)
        return self.get(key_id)

    def deactivate_many(self, ids: list[str]) -> Any:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(self.deactivate, ids))

    def sweep(self) -> Any:
        return self.deactivate_many([record.id for record in self.list()])


class AiohttpByHand(ByHand):
    def __init__(self) -> None:
        import aiohttp

        super().__init__()
        connector, timeout = aiohttp.TCPConnector(limit=POOL_SIZE), aiohttp.ClientTimeout(total=30.0)
        self.session = aiohttp.ClientSession(connector=connector, headers=self.headers, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def request(self, method: str, path: str, answer: TypeAdapter[Any] | None, body: object = None) -> Any:
        async with self.session.request(method, self.url + path, json=body) as response:
            if response.status not in (200, 204):
                raise RuntimeError(response.status)
            content = await response.read()
            return answer.validate_json(content) if answer else None

    async def deactivate(self, key_id: str) -> Any:
        await self.request("DELETE", f"deactivate/{key_id}", None)
        return await self.get(key_id)


class Generated:
    def __init__(self) -> None:
        from _generated import ApiClient, APIKeysApi, Configuration

        url, token = os.environ["API_KEYS_BASE_URL"], os.environ["API_KEYS_TOKEN"]
        self.api: Any = APIKeysApi(ApiClient(Configuration(host=url, access_token=token)))
        self.get = self.api.get_api_key_auth_api_keys_api_key_id_get
        self.list = self.api.get_all_active_api_keys_auth_api_keys_get

    def create(self, description: str, roles: Any) -> object:
        from _generated import NewApiKeyRequest

        return self.api.create_api_key_auth_api_keys_post(NewApiKeyRequest(description=description, roles=roles))

    def deactivate(self, key_id: str) -> object:
        self.api.deactivate_api_key_auth_api_keys_deactivate_api_key_id_delete(key_id)
        return self.get(key_id)


def client(name: str) -> Any:
    if by_hand := {"urllib3": Urllib3ByHand, "aiohttp": AiohttpByHand, "generated": Generated}.get(name):
        return by_hand()
    import api_keys_client

    return getattr(api_keys_client, name)()


def begin() -> float:
    gc.collect()
    # What the imports made is not looked through again, at moments that differ from run to run.
    gc.freeze()
    return time.process_time()


def cpu(name: str, call: str, workers: int, count: int) -> float:
    """CPU seconds of calls by some threads or tasks, after others that open the connections and fill the caches."""
    warm_up = 50 * workers if call in ("get", "create", "deactivate") else 1
    if name in ("aiohttp", "AsyncApiKeysClient"):
        return asyncio.run(async_cpu(name, call, workers, warm_up, count))
    made = client(name)
    call_together(partial(CALLS[call], made), workers, warm_up)
    began = begin()
    call_together(partial(CALLS[call], made), workers, count)
    return time.process_time() - began


async def async_cpu(name: str, call: str, workers: int, warm_up: int, count: int) -> float:
    async with client(name) as made:
        await await_together(partial(CALLS[call], made), workers, warm_up)
        began = begin()
        await await_together(partial(CALLS[call], made), workers, count)
        return time.process_time() - began


def call_together(call: Callable[[], object], workers: int, count: int) -> None:
    numbers = iter(range(count))

    def work() -> None:
        for _ in numbers:
            call()

    with ThreadPoolExecutor(workers) as pool:
        others = [pool.submit(work) for _ in range(workers - 1)]
        work()
        for other in others:
            other.result()


async def await_together(call: Callable[[], Awaitable[object]], workers: int, count: int) -> None:
    numbers = iter(range(count))

    async def work() -> None:
        for _ in numbers:
            await call()

    await asyncio.gather(*(work() for _ in range(workers)))


def kept(name: str, call: str, *_: int) -> float:
    """Bytes that one result keeps."""
    made = client(name)
    CALLS[call](made)
    gc.collect()
    tracemalloc.start()
    result = CALLS[call](made)
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    del result
    return size


def peak(name: str, call: str, workers: int, count: int) -> float:
    """The most bytes at once while so many calls are made, whose results nobody keeps."""
    tracemalloc.start()
    cpu(name, call, workers, count)
    return tracemalloc.get_traced_memory()[1]


MEASURES: dict[str, Callable[..., float]] = {"cpu": cpu, "kept": kept, "peak": peak}

if __name__ == "__main__":
    # As much longer as everything takes under valgrind, so that threads take turns as they would without it.
    sys.setswitchinterval(1)
    client_name, measure, call_name, threads_or_tasks, keys, calls = sys.argv[1:]
    os.environ.update(KEYS=keys, API_KEYS_BASE_URL=f"{os.environ['SERVER']}/{keys}")
    print(MEASURES[measure](client_name, call_name, int(threads_or_tasks), int(calls)))
