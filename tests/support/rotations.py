"""What the tests of rotations share: stores, keys as rotations leave them, and what must hold after any cut."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

import pytest
import urllib3
from hypothesis import settings

from api_keys_client import ApiKeysClient, AsyncApiKeysClient, CreatedKey, NotStored, RotationError, key_id_from_secret
from api_keys_client.sandbox import Fault, Sandbox
from api_keys_client.sandbox.faults import Exchange
from tests.support.clients import BlockingClient

# The same examples each time, however busy the machine is.
properties = settings(deadline=None, derandomize=True, max_examples=200)

NONCE = "0123456789ab"


class Shelf:
    """Where a caller keeps the secret that is in use; a rotation's `store` that works."""

    def __init__(self, old: CreatedKey) -> None:
        self.secret = old.key.get_secret_value()

    def __call__(self, new: CreatedKey) -> None:
        self.secret = new.key.get_secret_value()

    @property
    def key_id(self) -> str:
        key_id = key_id_from_secret(self.secret)
        assert key_id
        return key_id


@contextmanager
def connecting(driver: str, sandbox: Sandbox, **options: Any) -> Iterator[ApiKeysClient]:
    """A client of either kind with the sync one's methods, for threads of the test's own."""
    if driver == "sync":
        with ApiKeysClient(sandbox.url, token=sandbox.token, **options) as client:
            yield client
        return
    with closing(asyncio.new_event_loop()) as loop:
        with BlockingClient(AsyncApiKeysClient(sandbox.url, token=sandbox.token, **options), loop) as blocking:
            yield cast("ApiKeysClient", blocking)


def settled(client: ApiKeysClient, call: Callable[[], Any]) -> Any:
    """What a call gives: the sync client's at once, the async one's as an awaitable."""

    async def wait() -> Any:
        return await call()

    return client._loop.run_until_complete(wait()) if isinstance(client, BlockingClient) else call()


class Cut:
    """One rotation that is cut off: its server, its caller's store, and the secrets that nothing may show."""

    def __init__(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        old = client.create("ci", ["TASK-ADMIN"])
        self.sandbox = sandbox
        self.old_id = old.id
        self.shelf = Shelf(old)
        self.secrets = [sandbox.token, self.shelf.secret]

    def keep(self, new: CreatedKey) -> None:
        """Remembers a secret, of which nothing may show later."""
        self.secrets.append(new.key.get_secret_value())

    def assert_left(self, next_client: ApiKeysClient, stored: str, left: str, error: BaseException | None) -> None:
        """Which key is stored and which are active, "old" or "new"; then all that holds after any cut."""
        names = {self.old_id: "old"}
        assert names.get(self.shelf.key_id, "new") == stored
        assert {names.get(key_id, "new") for key_id in active(self.sandbox)} == {*left.split()}
        assert_survived(self.sandbox, next_client, self.shelf, self.old_id, error)


def caught(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except BaseException as error:  # the cuts are KeyboardInterrupt and CancelledError too
        return error
    return None


def active(sandbox: Sandbox) -> set[str]:
    return {key.id for key in sandbox.keys() if key.is_active}


def told_by(error: BaseException | None) -> str:
    """All that an error tells a caller."""
    notes = " ".join(getattr(error, "__notes__", ()))
    if isinstance(error, RotationError):
        return f"{error} {error.old_id} {error.new_id} {error.leftovers} {notes}"
    return f"{error} {getattr(error, 'key_id', '')} {notes}"


def assert_survived(
    sandbox: Sandbox, client: ApiKeysClient, shelf: Shelf, old_id: str, error: BaseException | None
) -> None:
    """What holds after any cut: what is stored works, all else is named, and the next run gets it in order."""
    stored = shelf.key_id
    assert sandbox.accepts(shelf.secret), "the key that is stored does not work"
    others = active(sandbox) - {stored}
    told = told_by(error)
    if re.search(r"has been deactivated\.|Nothing of it", told):
        assert not others, "the error says that nothing is left"

    if stored != old_id:
        refusal = caught(lambda: client.rotate(old_id, store=shelf))
        assert isinstance(refusal, RotationError)
        assert stored in str(refusal), "the next run with the old id does not name the key that replaced it"
    created = len(sandbox.keys())
    failure = caught(lambda: client.rotate(stored, store=shelf))
    if others:
        assert isinstance(failure, RotationError)
        assert failure.stage == "leftovers"
        assert others == set(failure.leftovers), "the next run does not name what is left"
        assert all(key_id in str(failure) for key_id in others)
        assert len(sandbox.keys()) == created
        failure = caught(lambda: client.rotate(stored, store=shelf, leftovers="deactivate"))
    assert failure is None
    assert sandbox.accepts(shelf.secret)
    assert active(sandbox) == {shelf.key_id}


def store(_: CreatedKey) -> None:
    """Keeps nothing: for rotations whose new key nobody needs."""


def refuse(_: CreatedKey) -> None:
    raise NotStored("no")


def fail(_: CreatedKey) -> None:
    raise RuntimeError("no")


def rotation_error(call: Callable[[], object]) -> RotationError:
    with pytest.raises(RotationError) as caught_error:
        call()
    return caught_error.value


def changed(change: Callable[[Any], object]) -> Fault:
    """The request takes effect, and its answer is changed."""

    def act(exchange: Exchange) -> Any:
        response = exchange.answer()
        body = json.loads(response.get_data())
        change(body)
        response.set_data(json.dumps(body))
        return response

    return Fault("changed", act)


def made_by_hand(sandbox: Sandbox, description: str, *roles: str) -> str:
    """The id of a key with a description that this client would refuse to write."""
    body = {"description": description, "roles": roles or ("VALIDATION-USER",)}
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    answer = urllib3.request("POST", f"{sandbox.url}/auth/api_keys/", json=body, headers=headers)
    key_id: str = answer.json()["id"]
    return key_id


def left_over(sandbox: Sandbox, old_id: str) -> str:
    """A key as a rotation of this one leaves it that is cut off."""
    return made_by_hand(sandbox, f"ci (replaces {old_id} #{NONCE})")
