"""A server under test, and the promise to leave no active key on it."""

from __future__ import annotations

import json
import signal
import ssl
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest
import urllib3
from pydantic import SecretStr, TypeAdapter, ValidationError

from api_keys_client import (
    ApiKeysClient,
    ApiKeysError,
    CreatedKey,
    KeyLimitReachedError,
    KeyNotFoundError,
    OutcomeUnknownError,
)
from api_keys_client.sandbox import Profile

Compare: TypeAlias = Callable[[str, object], None]

KEYS = "/auth/api_keys/"
UNKNOWN_ID = str(uuid.uuid4())
FULL = "Maximum number of active keys reached"
NO_ROLE = "CONFORMANCE-NO-ROLE"

_STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class SecretHeaders(dict[str, str]):
    """Headers that do not show what they hold, when pytest shows locals."""

    def __repr__(self) -> str:
        return "<headers>"


def obey_interrupts() -> None:
    """Lets Ctrl-C and its like stop the tests once; what follows is the clean-up, which hears no more of them."""

    def stop(*_: object) -> None:
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in _STOPS:
        signal.signal(number, stop)


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Lets an interruption during the block take effect at its end, except on Windows, which cannot hold one back."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Answer:
    """What a raw request was answered; secrets in it do not show."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._body = response.data

    def __repr__(self) -> str:
        return f"<answer {self.status}>"

    @property
    def is_empty(self) -> bool:
        """Tells whether there is no body."""
        return not self._body

    @property
    def json(self) -> Any:
        """Gives the body, or None if it is no JSON; a secret in it is a SecretStr."""
        try:
            return json.loads(self._body, object_hook=_hide)
        except ValueError:
            return None

    def is_success(self, schema: type[object]) -> bool:
        """Tells whether it is 200 with what the contract promises, the form of times apart."""
        try:
            TypeAdapter(schema).validate_json(self._body)
        except ValidationError:
            return False
        return self.status == 200

    @property
    def detail(self) -> Any:
        """Gives what a refusal says, or None."""
        return self.json.get("detail") if isinstance(self.json, dict) else None


def _hide(value: dict[str, Any]) -> dict[str, Any]:
    return value | {"key": SecretStr(value["key"])} if isinstance(value.get("key"), str) else value


class Deployment:
    """The server, by way of the client and of raw requests. `profile` is a sandbox's, or None."""

    def __init__(self, url: str, token: SecretStr, profile: Profile | None = None) -> None:
        self.profile: Profile | None = profile
        self.authorization = SecretHeaders({"Authorization": f"Bearer {token.get_secret_value()}"})
        self.leftovers: list[str] = []
        """What may still be active at the end, for a person to read."""
        self._nonce = uuid.uuid4().hex[:12]
        self._made: set[str] = set()
        self._cut_off = 0
        trust = ssl.create_default_context()
        self.client = ApiKeysClient(url, token=token, deadline=30, ssl_context=trust)
        self._pool = pool_for(self.client, trust)
        self.url = url.rstrip("/")

    def named(self, purpose: str) -> str:
        """Gives a description by which this run's keys are found."""
        return f"{purpose} #{self._nonce}"

    def create(self, purpose: str = "conformance", roles: list[str] | None = None) -> CreatedKey:
        """Makes a key with the client."""
        with interrupts_held_back():
            try:
                created = self.client.create(self.named(purpose), roles)
            except OutcomeUnknownError:
                self._cut_off += 1
                raise
            except KeyLimitReachedError:
                self._nearly_full()
                raise
            self._made.add(created.id)
        return created

    def call(self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Makes a raw request; `body` is bytes, or becomes JSON. Headers are the token's, if none are given."""
        headers = SecretHeaders(self.authorization if headers is None else headers)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        with interrupts_held_back():
            try:
                response = self._pool.request(
                    method, self.url + path, body=data, headers=headers, redirect=False, retries=False, timeout=30
                )
            except urllib3.exceptions.HTTPError as error:
                problem = type(error).__name__
            else:
                answer = Answer(response)
                if method == "POST" and isinstance(answer.json, dict) and isinstance(answer.json.get("id"), str):
                    self._made.add(answer.json["id"])
                if answer.detail == FULL:
                    self._nearly_full()
                return answer
            self._cut_off += method == "POST"
        # Not in the except: pytest would show the error's own frames, which hold the token.
        pytest.fail(f"no answer to {method} {path}: {problem}")

    def _nearly_full(self) -> None:
        if self.profile is None:
            pytest.exit(f"{self.url} is nearly full: the tests need room for three more active keys", returncode=1)

    def active_ids(self) -> set[str]:
        """Gives the ids of all active keys, this run's or not."""
        return {record.id for record in self.client.list()}

    def tidy(self) -> None:
        """Deactivates what was made."""
        with interrupts_held_back():
            self._deactivate()

    def end(self) -> None:
        """Deactivates what is left of this run, known or not, and closes the connections."""
        with interrupts_held_back():
            try:
                self._made |= {key.id for key in self.client.list() if self._nonce in (key.description or "")}
            except ApiKeysError as error:
                self.leftovers.append(f"The keys could not be listed: {error}")
            self.leftovers += self._deactivate()
            if self._cut_off:
                self.leftovers.append(
                    f"A creation was cut off. A key may still appear, with #{self._nonce} or nothing for a description."
                )
            self.client.close()
            self._pool.clear()

    def _deactivate(self) -> list[str]:
        failed = []
        for outcome in self.client.deactivate_many(sorted(self._made)):
            if outcome.error is None or isinstance(outcome.error, KeyNotFoundError):
                self._made.discard(outcome.key_id)
            else:
                failed.append(f"{outcome.key_id} may still be active: {outcome.error}")
        return failed


def pool_for(client: ApiKeysClient, trust: ssl.SSLContext) -> urllib3.PoolManager:
    """Makes connections that go through the client's proxy, if it has one."""
    configuration = client.generated.api_client.configuration
    if configuration.proxy is None:
        return urllib3.PoolManager(ssl_context=trust)
    return urllib3.ProxyManager(configuration.proxy, proxy_headers=configuration.proxy_headers, ssl_context=trust)
