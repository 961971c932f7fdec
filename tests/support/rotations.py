"""What the tests of rotations share: stores, keys as rotations leave them, and what must hold after any cut."""

from __future__ import annotations

import asyncio
import pickle
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import urllib3
from hypothesis import settings

import api_keys_client
from api_keys_client import ApiKeysClient, AsyncApiKeysClient, CreatedKey, NotStored, RotationError, key_id_from_secret
from api_keys_client.sandbox import Sandbox
from tests.support.clients import BlockingClient

OURS = str(Path(api_keys_client.__file__).parent)
# The same examples each time, however busy the machine is.
properties = settings(deadline=None, derandomize=True, max_examples=200)

NONCE = "0123456789ab"
LIMIT_REACHED = "Maximum number of active keys reached"


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

    return blocking_loop(client).run_until_complete(wait()) if isinstance(client, BlockingClient) else call()


def blocking_loop(client: ApiKeysClient) -> asyncio.AbstractEventLoop:
    """The event loop behind an async client that looks like a sync one."""
    return cast("BlockingClient", client)._loop


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


def shown_by(error: BaseException) -> Iterator[tuple[str, str]]:
    """All that a program may show of an error, of those behind it, and of our frames."""
    waiting: list[BaseException | None] = [error]
    seen = set[int]()
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        waiting += [link.__cause__, link.__context__]
        name = type(link).__name__
        yield f"the text of {name}", f"{link} {link!r} {getattr(link, '__notes__', '')}"
        yield f"the traceback of {name}", "".join(traceback.format_exception(link))
        yield f"the attributes of {name}", repr(vars(link))
        for frame in traceback.TracebackException.from_exception(link, capture_locals=True).stack:
            if frame.filename.startswith(OURS):
                yield f"{frame.name}, line {frame.lineno}, under {name}", str(frame.locals)
        if isinstance(link, api_keys_client.ApiKeysError):
            yield f"the pickle of {name}", pickle.dumps(link, 0).decode("latin-1")


def pieces(secret: str) -> list[str]:
    """Parts of a secret, so that what shows only some of it is found too; not the id, which is no secret."""
    start = 52 if key_id_from_secret(secret) else 0
    return [secret[start : start + 16], secret[-40:-24], secret[-16:]]


def assert_hides(shown: Iterator[tuple[str, str]], *secrets: str) -> None:
    for where, text in shown:
        for secret in secrets:
            for piece in pieces(secret):
                assert piece not in text, f"{where} shows {piece}"


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
