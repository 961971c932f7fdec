"""What scripts/bench.py measures: ours, what a careful user would write by hand, and the generated client by itself."""

from __future__ import annotations

import asyncio
import json
import uuid

import aiohttp
import urllib3
from pydantic import TypeAdapter

from _generated import ApiClient, ApiKeyResponse, APIKeysApi, Configuration, NewApiKeyRequest
from api_keys_client import ApiKeysClient, AsyncApiKeysClient, Role

TOKEN = "bench-token"  # noqa: S105  # opens nothing
KEY_ID = str(uuid.UUID(int=7, version=4))


class Floor:
    """What a careful user would write by hand."""

    name = "hand-written"

    def __init__(self, url: str) -> None:
        self._pool = urllib3.PoolManager(maxsize=20, block=True)
        self._url = url + "/auth/api_keys/"
        self._headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}
        self._record = TypeAdapter(ApiKeyResponse)
        self._records = TypeAdapter(list[ApiKeyResponse])

    def _request(self, method: str, url: str, body: bytes | None = None) -> bytes:
        headers = {**self._headers, "Content-Type": "application/json"} if body else self._headers
        response = self._pool.request(method, url, headers=headers, body=body, timeout=30.0)
        if response.status != 200:
            raise RuntimeError(response.status)
        return response.data

    def get(self) -> object:
        return self._record.validate_json(self._request("GET", self._url + KEY_ID))

    def create(self) -> object:
        body = json.dumps({"description": "bench", "roles": ["VALIDATION-USER"]}).encode()
        return self._record.validate_json(self._request("POST", self._url, body))

    def list(self) -> object:
        return self._records.validate_json(self._request("GET", self._url))


class Ours:
    name = "api_keys_client"

    def __init__(self, url: str) -> None:
        self._client = ApiKeysClient(url, token=TOKEN)

    def get(self) -> object:
        return self._client.get(KEY_ID)

    def create(self) -> object:
        return self._client.create("bench", ["VALIDATION-USER"])

    def list(self) -> object:
        return self._client.list()


class Generated:
    name = "_generated"

    def __init__(self, url: str) -> None:
        self._api = APIKeysApi(ApiClient(Configuration(host=url, access_token=TOKEN)))

    def get(self) -> object:
        return self._api.get_api_key_auth_api_keys_api_key_id_get(KEY_ID)

    def create(self) -> object:
        request = NewApiKeyRequest(description="bench", roles=[Role.VALIDATION_USER])
        return self._api.create_api_key_auth_api_keys_post(request)

    def list(self) -> object:
        return self._api.get_all_active_api_keys_auth_api_keys_get()


class AsyncFloor:
    name = Floor.name

    def __init__(self, url: str) -> None:
        self._url = url + "/auth/api_keys/"
        self._record = TypeAdapter(ApiKeyResponse)

    async def __aenter__(self) -> AsyncFloor:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=20),
            headers={"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(total=30.0),
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def get(self) -> object:
        async with self._session.get(self._url + KEY_ID) as response:
            body = await response.read()
            if response.status != 200:
                raise RuntimeError(response.status)
            return self._record.validate_json(body)


class AsyncOurs:
    name = Ours.name

    def __init__(self, url: str) -> None:
        self._client = AsyncApiKeysClient(url, token=TOKEN)

    async def __aenter__(self) -> AsyncOurs:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.close()

    async def get(self) -> object:
        return await self._client.get(KEY_ID)


class InThreads:
    """What is left to a program on asyncio whose client is not: a thread for each call."""

    name = Generated.name

    def __init__(self, url: str) -> None:
        self._generated = Generated(url)

    async def __aenter__(self) -> InThreads:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing to close."""

    async def get(self) -> object:
        return await asyncio.to_thread(self._generated.get)
