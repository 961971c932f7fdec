"""A rotation is cut off at every request, in every function of the caller's, and by the end of its process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import pytest
from rotations import (
    LIMIT_REACHED,
    Shelf,
    active,
    assert_hides,
    assert_survived,
    blocking_loop,
    caught,
    connecting,
    shown_by,
)

from api_keys_client import (
    ApiConnectionError,
    ApiKeysClient,
    CreatedKey,
    KeyLimitReachedError,
    NotStored,
    OutcomeUnknownError,
    PermissionDeniedError,
    RotationError,
    ServerError,
    UnexpectedResponseError,
)
from api_keys_client.faults import Dropped, Exchange
from api_keys_client.sandbox import Fault, Operation, Sandbox

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


class Cell(NamedTuple):
    """A cut, and what it leaves: the error, the key that is stored, the keys that are active, and what is said."""

    error: type[BaseException] | None
    stored: Which
    active: frozenset[str]
    says: str
    faults: tuple[tuple[Operation, str], ...] = ()
    verify: Use = passes
    store: Use = stores
    attempts: int = 1


OLD, NEW, BOTH = frozenset({"old"}), frozenset({"new"}), frozenset({"old", "new"})
REFUSED = r"No key was changed"
NOT_SEEN = r"No such key was seen; one may still appear, with #\w{12} .* Look in the list for #\w{12}"
UNDONE = r"Key <new> was made and has been deactivated\. .*Nothing of it was seen to be left; call again"
MAYBE_ACTIVE = r"new key <new> is in place.*<old>: .*The key may be deactivated or still active\. Deactivate them"
STILL_ACTIVE = r"new key <new> is in place.*<old>: .*No key was changed\. Deactivate them"
NOT_READ_BACK = r"new key <new> is in place.*<old>: The server answered that the key is deactivated, but reading it"
EITHER = r"RuntimeError, and may have written .* <old> and the new key <new> are both active\. See which is stored"
NOTE = r"Keys <old> and <new> are both active"
NOT_UNDONE = r"Key <new> was made and could not be deactivated.* The old key <old> was not touched\. Look in .* #\w{12}"

# "healed" is the default number of attempts, which gets over a fault that is met once.
CELLS: dict[str, Cell] = {
    "list dropped before": Cell(ApiConnectionError, "old", OLD, "list: ", (("list", "dropped before"),)),
    "list dropped after": Cell(ApiConnectionError, "old", OLD, "list: ", (("list", "dropped after"),)),
    "list commits late": Cell(ApiConnectionError, "old", OLD, "list: ", (("list", "commits 0.5 s later"),)),
    "list 500": Cell(ServerError, "old", OLD, "list: ", (("list", "500"),)),
    "list garbage": Cell(UnexpectedResponseError, "old", OLD, "list: ", (("list", "garbage after"),)),
    "list limit reached": Cell(KeyLimitReachedError, "old", OLD, "list: ", (("list", "limit reached"),)),
    "list dropped, healed": Cell(None, "new", NEW, "", (("list", "dropped before"),), attempts=3),
    "list 500, healed": Cell(None, "new", NEW, "", (("list", "500"),), attempts=3),
    "create dropped before": Cell(OutcomeUnknownError, "old", OLD, NOT_SEEN, (("create", "dropped before"),)),
    "create dropped after": Cell(OutcomeUnknownError, "old", OLD, UNDONE, (("create", "dropped after"),)),
    "create commits late": Cell(OutcomeUnknownError, "old", OLD, UNDONE, (("create", "commits 0.5 s later"),)),
    "create commits when given up": Cell(
        OutcomeUnknownError, "old", BOTH, NOT_SEEN, (("create", "commits when given up"),)
    ),
    "create 500": Cell(OutcomeUnknownError, "old", OLD, NOT_SEEN, (("create", "500"),)),
    "create garbage before": Cell(OutcomeUnknownError, "old", OLD, NOT_SEEN, (("create", "garbage before"),)),
    "create garbage after": Cell(OutcomeUnknownError, "old", OLD, UNDONE, (("create", "garbage after"),)),
    "create truncated": Cell(OutcomeUnknownError, "old", OLD, UNDONE, (("create", "truncated"),)),
    "create without its secret": Cell(
        UnexpectedResponseError, "old", OLD, f"created key <new>.*{UNDONE}", (("create", "without its secret"),)
    ),
    "create limit reached": Cell(KeyLimitReachedError, "old", OLD, REFUSED, (("create", "limit reached"),)),
    "create 403": Cell(PermissionDeniedError, "old", OLD, REFUSED, (("create", "403"),)),
    "deactivate dropped before": Cell(RotationError, "new", BOTH, MAYBE_ACTIVE, (("deactivate", "dropped before"),)),
    "deactivate dropped after": Cell(RotationError, "new", NEW, MAYBE_ACTIVE, (("deactivate", "dropped after"),)),
    "deactivate commits late": Cell(RotationError, "new", NEW, MAYBE_ACTIVE, (("deactivate", "commits 0.5 s later"),)),
    "deactivate 500": Cell(RotationError, "new", BOTH, MAYBE_ACTIVE, (("deactivate", "500"),)),
    "deactivate garbage before": Cell(RotationError, "new", BOTH, MAYBE_ACTIVE, (("deactivate", "garbage before"),)),
    "deactivate garbage after": Cell(RotationError, "new", NEW, MAYBE_ACTIVE, (("deactivate", "garbage after"),)),
    "deactivate limit reached": Cell(RotationError, "new", BOTH, STILL_ACTIVE, (("deactivate", "limit reached"),)),
    "deactivate dropped before, healed": Cell(None, "new", NEW, "", (("deactivate", "dropped before"),), attempts=3),
    "deactivate dropped after, healed": Cell(None, "new", NEW, "", (("deactivate", "dropped after"),), attempts=3),
    "deactivate 500, healed": Cell(None, "new", NEW, "", (("deactivate", "500"),), attempts=3),
    "get dropped before": Cell(RotationError, "new", NEW, NOT_READ_BACK, (("get", "dropped before"),)),
    "get dropped after": Cell(RotationError, "new", NEW, NOT_READ_BACK, (("get", "dropped after"),)),
    "get commits late": Cell(RotationError, "new", NEW, NOT_READ_BACK, (("get", "commits 0.5 s later"),)),
    "get 500": Cell(RotationError, "new", NEW, NOT_READ_BACK, (("get", "500"),)),
    "get garbage": Cell(RotationError, "new", NEW, NOT_READ_BACK, (("get", "garbage after"),)),
    "get limit reached": Cell(RotationError, "new", NEW, NOT_READ_BACK, (("get", "limit reached"),)),
    "get dropped, healed": Cell(None, "new", NEW, "", (("get", "dropped before"),), attempts=3),
    "get 500, healed": Cell(None, "new", NEW, "", (("get", "500"),), attempts=3),
    "verify raises": Cell(RotationError, "old", OLD, f"verify raised RuntimeError.*{UNDONE}", verify=fails),
    "verify returns False": Cell(RotationError, "old", OLD, f"verify returned False.*{UNDONE}", verify=says_no),
    "verify interrupted": Cell(KeyboardInterrupt, "old", OLD, "", verify=is_interrupted),
    "verify exits": Cell(SystemExit, "old", OLD, "", verify=exits),
    "verify cancelled": Cell(asyncio.CancelledError, "old", OLD, "", verify=is_cancelled),
    "store NotStored": Cell(RotationError, "old", OLD, f"store raised NotStored.*{UNDONE}", store=stores_nothing),
    "store raises before": Cell(RotationError, "old", BOTH, EITHER, store=fails),
    "store raises after": Cell(RotationError, "new", BOTH, EITHER, store=after_it_wrote(fails)),
    "store interrupted before": Cell(KeyboardInterrupt, "old", BOTH, NOTE, store=is_interrupted),
    "store interrupted after": Cell(KeyboardInterrupt, "new", BOTH, NOTE, store=after_it_wrote(is_interrupted)),
    "store exits before": Cell(SystemExit, "old", BOTH, NOTE, store=exits),
    "store exits after": Cell(SystemExit, "new", BOTH, NOTE, store=after_it_wrote(exits)),
    "store cancelled before": Cell(asyncio.CancelledError, "old", BOTH, NOTE, store=is_cancelled),
    "store cancelled after": Cell(asyncio.CancelledError, "new", BOTH, NOTE, store=after_it_wrote(is_cancelled)),
    # The undo is cut off too.
    "undo by id, dropped before": Cell(
        RotationError, "old", BOTH, NOT_UNDONE, (("deactivate", "dropped before"),), verify=says_no
    ),
    "undo by id, dropped after": Cell(
        RotationError, "old", OLD, NOT_UNDONE, (("deactivate", "dropped after"),), verify=says_no
    ),
    "undo by id, commits late": Cell(
        RotationError, "old", OLD, NOT_UNDONE, (("deactivate", "commits 0.5 s later"),), store=stores_nothing
    ),
    "undo by id, 500": Cell(RotationError, "old", BOTH, NOT_UNDONE, (("deactivate", "500"),), store=stores_nothing),
    "undo by id, garbage": Cell(
        RotationError, "old", OLD, NOT_UNDONE, (("deactivate", "garbage after"),), verify=fails
    ),
    "undo by id, 403": Cell(RotationError, "old", BOTH, NOT_UNDONE, (("deactivate", "403"),), verify=fails),
    "undo by id, not read back": Cell(RotationError, "old", OLD, NOT_UNDONE, (("get", "500"),), verify=fails),
    "undo by id, interrupted": Cell(
        KeyboardInterrupt, "old", BOTH, "", (("deactivate", "dropped before"),), verify=is_interrupted
    ),
    "undo by nonce, one list fails": Cell(
        OutcomeUnknownError, "old", OLD, UNDONE, (("create", "dropped after"), ("list", "healthy"), ("list", "500"))
    ),
    "undo by nonce, no list": Cell(
        OutcomeUnknownError,
        "old",
        BOTH,
        r"The keys could not be listed; one may still appear, with #\w{12} .* Look in the list for #\w{12}",
        (("create", "dropped after"), ("list", "healthy"), ("list", "500"), ("list", "500"), ("list", "500")),
    ),
    "undo by nonce, dropped": Cell(
        OutcomeUnknownError,
        "old",
        BOTH,
        r"Key <new> was made and could not be deactivated.* Look in the list for #\w{12}",
        (("create", "garbage after"), ("deactivate", "dropped before")),
    ),
}
FAULTS["healthy"] = lambda _: Fault("healthy", lambda exchange: exchange.answer())


def cases() -> Iterator[tuple[str, str, str]]:
    for name, cell in CELLS.items():
        for driver in DRIVERS:
            for profile in ("engine", "spec"):
                only_async = cell.error is asyncio.CancelledError
                reads_back = any(operation == "get" for operation, _ in cell.faults)
                if (driver == "async" or not only_async) and (profile == "engine" or not reads_back):
                    yield name, driver, profile


def run(name: str, driver: str, profile: Literal["engine", "spec"]) -> tuple[BaseException | None, list[str]]:
    """Cuts one rotation off; the error, and the secrets that it may not show."""
    cell = CELLS[name]
    with (
        Sandbox(profile=profile) as sandbox,
        connecting(driver, sandbox, max_attempts=cell.attempts) as client,
        connecting(driver, sandbox) as next_client,
    ):
        cut = Cut(sandbox, client)

        def verify(new: CreatedKey) -> object:
            cut.keep(new)
            return cell.verify(cut, new)

        for operation, fault in cell.faults:
            sandbox.queue(FAULTS[fault](cut), operation=operation)
        error = caught(lambda: client.rotate(cut.old_id, store=lambda new: cell.store(cut, new), verify=verify))
        cut.gave_up.set()
        for thread in cut.late:
            thread.join()

        assert sandbox.unmet == []
        assert cell.error is None if error is None else isinstance(error, cell.error or ())
        new_ids = [key.id for key in sandbox.keys() if key.id != cut.old_id]
        says = cell.says.replace("<old>", cut.old_id).replace("<new>", "".join(new_ids))
        notes = getattr(error, "__notes__", ())
        if says != NOTE or sys.version_info >= (3, 11):
            assert re.search(says, " ".join(["" if error is None else str(error), *notes]), re.DOTALL)
        assert cut.which(cut.shelf.key_id) == cell.stored
        assert {cut.which(key_id) for key_id in active(sandbox)} == cell.active
        assert_survived(sandbox, next_client, cut.shelf, cut.old_id, error)
        return error, cut.secrets


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


CHILD = """
import asyncio, sys
from api_keys_client import ApiKeysClient, AsyncApiKeysClient, stores

driver, key_id, path, step = sys.argv[1:]
write = stores.file(path)

def reach(name):
    if name == step:
        sys.stdout.write("reached")
        sys.stdout.flush()
        sys.stdin.read()

def verify(new):
    reach("verify")

def store(new):
    reach("store before")
    write(new)
    reach("store after")

def rotate(client):
    return client.rotate(key_id, store=store, verify=verify)

async def main():
    async with AsyncApiKeysClient() as client:
        await rotate(client)

sys.addaudithook(lambda event, arguments: reach("store rename") if event == "os.rename" else None)
if driver == "async":
    asyncio.run(main())
else:
    with ApiKeysClient() as client:
        rotate(client)
"""

# Where the process is killed: what is stored then, and which keys are active once the server is done.
KILLS: dict[str, tuple[Which, frozenset[str]]] = {
    "list after": ("old", OLD),
    "create never": ("old", OLD),
    "create before": ("old", BOTH),
    "create after": ("old", BOTH),
    "verify": ("old", BOTH),
    "store before": ("old", BOTH),
    "store rename": ("old", BOTH),
    "store after": ("new", BOTH),
    "deactivate never": ("new", BOTH),
    "deactivate before": ("new", NEW),
    "deactivate after": ("new", NEW),
    "get after": ("new", NEW),
}


def kill(name: str, driver: str, folder: Path) -> None:
    """Kills a process at one step of its rotation."""
    stored, left = KILLS[name]
    path = folder / f"{name}-{driver}"
    operation, _, commits = name.partition(" ")
    with Sandbox() as sandbox, connecting("sync", sandbox) as client:
        cut = Cut(sandbox, client)
        path.write_text(cut.shelf.secret)
        held = Held(commits)
        at_a_request = operation not in ("verify", "store")
        if at_a_request:
            sandbox.queue(held.fault(), operation=operation)  # type: ignore[arg-type]  # one of the four by now
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD, driver, cut.old_id, str(path), name],
            env={**os.environ, "API_KEYS_BASE_URL": sandbox.url, "API_KEYS_TOKEN": sandbox.token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout
            try:
                reached = held.arrived.wait(30) if at_a_request else child.stdout.read(7) == b"reached"
            finally:
                child.kill()
            assert reached
        held.let_go.set()
        assert not at_a_request or held.over.wait(30)

        cut.shelf.secret = path.read_text()
        assert cut.which(cut.shelf.key_id) == stored
        assert {cut.which(key_id) for key_id in active(sandbox)} == left
        assert_survived(sandbox, client, cut.shelf, cut.old_id, None)


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """All cuts that are to be made, at the same time: some of them wait, as an undo does."""
    folder = tmp_path_factory.mktemp("stores")
    futures: dict[str, Future[Any]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for item in request.session.items:
            if isinstance(item, pytest.Function) and item.module is request.module:
                parameters: dict[str, Any] = dict(item.callspec.params)
                if item.originalname == "test_what_a_cut_leaves":
                    futures[item.nodeid] = pool.submit(run, **parameters)
                elif item.originalname == "test_what_a_killed_process_leaves":
                    futures[item.nodeid] = pool.submit(kill, **parameters, folder=folder)
        yield futures


@pytest.mark.parametrize(("name", "driver", "profile"), list(cases()))
def test_what_a_cut_leaves(
    running: dict[str, Future[Any]], request: pytest.FixtureRequest, name: str, driver: str, profile: str
) -> None:
    error, secrets = running[request.node.nodeid].result()
    if error is not None:
        # Not in the threads: before Python 3.12 only one at a time can format a traceback.
        assert_hides(shown_by(error), *secrets)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", KILLS)
def test_what_a_killed_process_leaves(
    running: dict[str, Future[Any]], request: pytest.FixtureRequest, name: str, driver: str
) -> None:
    running[request.node.nodeid].result()


# Where a Ctrl-C or a cancellation meets the request, before it takes effect or after: what is stored, what is left.
INTERRUPTIONS: dict[str, tuple[Which, frozenset[str]]] = {
    "list after": ("old", OLD),
    "create before": ("old", OLD),
    "create after": ("old", OLD),
    "deactivate before": ("new", NEW),
    "deactivate after": ("new", NEW),
    "get after": ("new", NEW),
}


def interrupt(client: ApiKeysClient, rotate: Callable[[], object], held: Held) -> BaseException | None:
    """Ctrl-C, while the request is held."""
    main = threading.get_ident()

    def press() -> None:
        held.arrived.wait(30)
        signal.pthread_kill(main, signal.SIGINT)
        held.let_go.set()

    pressing = threading.Thread(target=press)
    pressing.start()
    error = caught(rotate)
    pressing.join()
    return error


def cancel(client: ApiKeysClient, rotate: Callable[[], object], held: Held) -> BaseException | None:
    """The cancellation of the task, while the request is held."""
    loop = blocking_loop(client)

    def press() -> None:
        held.arrived.wait(30)
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        held.let_go.set()

    pressing = threading.Thread(target=press)
    pressing.start()
    error = caught(rotate)
    pressing.join()
    return error


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind are POSIX's")
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", INTERRUPTIONS)
def test_what_an_interrupted_request_leaves(driver: str, name: str) -> None:
    stored, left = INTERRUPTIONS[name]
    operation, _, commits = name.partition(" ")
    held = Held(commits)
    with Sandbox() as sandbox, connecting(driver, sandbox) as client:
        cut = Cut(sandbox, client)
        sandbox.queue(held.fault(), operation=operation)  # type: ignore[arg-type]  # one of the four by now

        def rotate() -> object:
            return client.rotate(cut.old_id, store=cut.shelf, verify=cut.keep)

        error = (interrupt if driver == "sync" else cancel)(client, rotate, held)
        assert isinstance(error, KeyboardInterrupt if driver == "sync" else asyncio.CancelledError)
        assert held.over.wait(30)
        assert cut.which(cut.shelf.key_id) == stored
        assert {cut.which(key_id) for key_id in active(sandbox)} == left
        assert_hides(shown_by(error), *cut.secrets)
        assert_survived(sandbox, client, cut.shelf, cut.old_id, error)
