"""Ways to cut a rotation off: faults of the server, functions of the caller, and a request that is held."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import pytest

from api_keys_client import ApiKeysClient, CreatedKey, NotStored
from api_keys_client.sandbox import Fault, Sandbox
from api_keys_client.sandbox.faults import Dropped, Exchange
from tests.support.rotations import LIMIT_REACHED, Shelf

DRIVERS = ("sync", "async")
AT_ONCE = 24

Which: TypeAlias = Literal["old", "new"]


class Cut:
    """One rotation that is cut off: its server, its caller's store, and what the faults of the server's do later."""

    def __init__(self, sandbox: Sandbox, client: ApiKeysClient) -> None:
        self.sandbox = sandbox
        old = client.create("ci", ["TASK-ADMIN"])
        self.old_id = old.id
        self.shelf = Shelf(old)
        self.secrets = [sandbox.token, self.shelf.secret]
        self.late: list[threading.Thread] = []
        self.gave_up = threading.Event()

    def keep(self, new: CreatedKey) -> None:
        """Remembers a secret, of which nothing may show later."""
        self.secrets.append(new.key.get_secret_value())

    def which(self, key_id: str) -> Which:
        return "old" if key_id == self.old_id else "new"

    def commit_later(self, exchange: Exchange, wait: Callable[[], object]) -> Any:
        """Drops the connection, and does what was asked when the wait is over."""

        def commit() -> None:
            wait()
            exchange.answer()

        thread = threading.Thread(target=commit)
        self.late.append(thread)
        thread.start()
        raise Dropped


Use: TypeAlias = Callable[[Cut, CreatedKey], object]
Build: TypeAlias = Callable[[Cut], Fault]


def answered(change: Callable[[dict[str, Any]], object]) -> Build:
    """The request takes effect, and its answer is changed."""

    def act(exchange: Exchange) -> Any:
        response = exchange.answer()
        body = json.loads(response.get_data())
        change(body)
        response.set_data(json.dumps(body))
        return response

    return lambda _: Fault("answered otherwise", act)


FAULTS: dict[str, Build] = {
    "dropped before": lambda _: Fault.drop(),
    "dropped after": lambda _: Fault.drop(committed=True),
    "commits 0.5 s later": lambda cut: Fault("late", lambda exchange: cut.commit_later(exchange, late(exchange))),
    "commits when given up": lambda cut: Fault(
        "given up", lambda exchange: cut.commit_later(exchange, cut.gave_up.wait)
    ),
    "500": lambda _: Fault.status(500),
    "garbage before": lambda _: Fault.garbage(committed=False),
    "garbage after": lambda _: Fault.garbage(),
    "limit reached": lambda _: Fault.status(400, LIMIT_REACHED),
    "403": lambda _: Fault.status(403),
    "truncated": lambda _: Fault.truncated(),
    "without its secret": answered(lambda body: body.pop("key")),
    "healthy": lambda _: Fault("healthy", lambda exchange: exchange.answer()),
}


def late(exchange: Exchange) -> Callable[[], object]:
    return lambda: exchange.pause(0.5)


def passes(_: Cut, new: CreatedKey) -> object:
    return new.is_active


def fails(_: Cut, __: CreatedKey) -> object:
    raise RuntimeError("no")


def says_no(_: Cut, __: CreatedKey) -> object:
    return False


def is_interrupted(_: Cut, __: CreatedKey) -> object:
    raise KeyboardInterrupt


def exits(_: Cut, __: CreatedKey) -> object:
    raise SystemExit(3)


async def is_cancelled(_: Cut, __: CreatedKey) -> object:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(0)
    return pytest.fail("the task goes on")


def stores(cut: Cut, new: CreatedKey) -> object:
    cut.shelf(new)
    return new


def stores_nothing(_: Cut, __: CreatedKey) -> object:
    raise NotStored("the disk is full")


def after_it_wrote(then: Use) -> Use:
    def store(cut: Cut, new: CreatedKey) -> object:
        cut.shelf(new)
        return then(cut, new)

    return store


OLD, NEW, BOTH = frozenset({"old"}), frozenset({"new"}), frozenset({"old", "new"})


class Held:
    """A fault that keeps a request until the test lets it go; it takes effect before, after, or never."""

    def __init__(self, commits: str) -> None:
        self._commits = commits
        self.arrived = threading.Event()
        self.let_go = threading.Event()
        self.over = threading.Event()

    def fault(self) -> Fault:
        return Fault(f"held, commits {self._commits}", self._act)

    def _act(self, exchange: Exchange) -> Any:
        try:
            answer = exchange.answer() if self._commits == "before" else None
            self.arrived.set()
            while not self.let_go.wait(0.02):
                exchange.pause(0)
            if self._commits == "never":
                raise Dropped
            return answer or exchange.answer()
        finally:
            self.over.set()


@contextmanager
def at_the_same_time(
    request: pytest.FixtureRequest, test: str, cut: Callable[..., object]
) -> Iterator[dict[str, Future[Any]]]:
    """All cuts that a module's test is to make, by its cases: some of them wait, as an undo does."""
    futures: dict[str, Future[Any]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for item in request.session.items:
            if isinstance(item, pytest.Function) and item.module is request.module and item.originalname == test:
                futures[item.nodeid] = pool.submit(cut, **item.callspec.params)
        yield futures
