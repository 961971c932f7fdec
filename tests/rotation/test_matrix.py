"""A rotation is cut off at every request, and in every function of the caller."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, TypeAlias, cast

import pytest

from api_keys_client import (
    ApiConnectionError,
    CreatedKey,
    KeyLimitReachedError,
    NotStored,
    OutcomeUnknownError,
    PermissionDeniedError,
    RotationError,
    UnexpectedResponseError,
)
from api_keys_client.sandbox import Fault, Operation, Sandbox
from api_keys_client.sandbox.faults import Dropped, Exchange
from tests.support.leaks import assert_hides, shown_by
from tests.support.rotations import Cut, caught, changed, connecting

Use: TypeAlias = Callable[[CreatedKey], object]


def passes(new: CreatedKey) -> object:
    return new.is_active


def raising(kind: type[BaseException]) -> Use:
    def use(_: CreatedKey) -> object:
        raise kind("no")

    return use


async def is_cancelled(_: CreatedKey) -> object:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(0)
    return pytest.fail("the task goes on")


USES: dict[str, Use] = {
    "raises": raising(RuntimeError),
    "returns False": lambda _: False,
    "is interrupted": raising(KeyboardInterrupt),
    "exits": raising(SystemExit),
    "is cancelled": is_cancelled,
    "says NotStored": raising(NotStored),
}
FAULTS: dict[str, Fault] = {
    "dropped before": Fault.drop(),
    "dropped after": Fault.drop(committed=True),
    "500": Fault.status(500),
    "garbage after": Fault.garbage(),
    "limit reached": Fault.status(400, "Maximum number of active keys reached"),
    "403": Fault.status(403),
    "truncated": Fault.truncated(),
    "without its secret": changed(lambda body: body.pop("key")),
    "healthy": changed(json.dumps),
}

REFUSED = r"No key was changed"
NOT_SEEN = r"No such key was seen; one may still appear, with #\w{12} .* Look in the list for #\w{12}"
NOT_LISTED = r"The keys could not be listed; one may still appear, with #\w{12} .* Look in the list for #\w{12}"
UNDONE = r"Key <new> was made and has been deactivated\. .*Nothing of it was seen to be left; try again"
MAYBE_ACTIVE = r"new key <new> is in place.*<old>: .*The key may be deactivated or still active\. Deactivate them"
STILL_ACTIVE = r"new key <new> is in place.*<old>: .*: the server answered .*\. Deactivate them"
NOT_READ_BACK = r"new key <new> is in place.*<old>: The server answered that the key is deactivated, but reading it"
EITHER = r"RuntimeError, and may have written .* <old> and the new key <new> are both active\. See which is stored"
NOTE = r"Keys <old> and <new> are both active"
NOT_UNDONE = r"Key <new> was made and could not be deactivated.* Deactivate <new>\."

Cell: TypeAlias = tuple[type[BaseException] | None, Literal["old", "new"], str, str]
# What is cut off, in order: the error, the key that is stored, the keys that are active, and what is said.
CELLS: dict[str, Cell] = {
    "list dropped before": (ApiConnectionError, "old", "old", "list: "),
    "list dropped before, healed": (None, "new", "new", ""),
    "create dropped before": (OutcomeUnknownError, "old", "old", NOT_SEEN),
    "create dropped after": (OutcomeUnknownError, "old", "old", UNDONE),
    "create commits late": (OutcomeUnknownError, "old", "old", UNDONE),
    "create commits when given up": (OutcomeUnknownError, "old", "old new", NOT_SEEN),
    "create 500": (OutcomeUnknownError, "old", "old", NOT_SEEN),
    "create garbage after": (OutcomeUnknownError, "old", "old", UNDONE),
    "create truncated": (OutcomeUnknownError, "old", "old", UNDONE),
    "create without its secret": (UnexpectedResponseError, "old", "old", f"answered with key <new>.*{UNDONE}"),
    "create limit reached": (KeyLimitReachedError, "old", "old", REFUSED),
    "create 403": (PermissionDeniedError, "old", "old", REFUSED),
    "deactivate dropped before": (RotationError, "new", "old new", MAYBE_ACTIVE),
    "deactivate dropped after": (RotationError, "new", "new", MAYBE_ACTIVE),
    "deactivate commits late": (RotationError, "new", "new", MAYBE_ACTIVE),
    "deactivate garbage after": (RotationError, "new", "new", MAYBE_ACTIVE),
    "deactivate limit reached": (RotationError, "new", "old new", STILL_ACTIVE),
    "deactivate dropped before, healed": (None, "new", "new", ""),
    "deactivate dropped after, healed": (None, "new", "new", ""),
    "get dropped before": (RotationError, "new", "new", NOT_READ_BACK),
    "get 500": (RotationError, "new", "new", NOT_READ_BACK),
    "get dropped before, healed": (None, "new", "new", ""),
    "verify raises": (RotationError, "old", "old", f"verify raised RuntimeError.*{UNDONE}"),
    "verify returns False": (RotationError, "old", "old", f"verify returned False.*{UNDONE}"),
    "verify is interrupted": (KeyboardInterrupt, "old", "old", ""),
    "verify exits": (SystemExit, "old", "old", ""),
    "verify is cancelled": (asyncio.CancelledError, "old", "old", ""),
    "store says NotStored": (RotationError, "old", "old", f"store raised NotStored.*{UNDONE}"),
    "store raises": (RotationError, "old", "old new", EITHER),
    "store writes and raises": (RotationError, "new", "old new", EITHER),
    "store is interrupted": (KeyboardInterrupt, "old", "old new", NOTE),
    "store writes and is interrupted": (KeyboardInterrupt, "new", "old new", NOTE),
    "store exits": (SystemExit, "old", "old new", NOTE),
    "store is cancelled": (asyncio.CancelledError, "old", "old new", NOTE),
    "store writes and is cancelled": (asyncio.CancelledError, "new", "old new", NOTE),
    # The undo, which knows the id or looks for the marker, is cut off too.
    "verify returns False; deactivate dropped before": (RotationError, "old", "old new", NOT_UNDONE),
    "verify returns False; deactivate dropped after": (RotationError, "old", "old", NOT_UNDONE),
    "store says NotStored; deactivate commits late": (RotationError, "old", "old", NOT_UNDONE),
    "verify raises; deactivate 403": (RotationError, "old", "old new", NOT_UNDONE),
    "verify raises; get 500": (RotationError, "old", "old", UNDONE),
    "verify raises; list healthy; get 500; list 500; list 500; list 500": (RotationError, "old", "old new", NOT_UNDONE),
    "verify raises; get healthy; get 500": (RotationError, "old", "old", NOT_UNDONE),
    "verify is interrupted; deactivate dropped before": (KeyboardInterrupt, "old", "old new", ""),
    "create dropped after; list healthy; list 500": (OutcomeUnknownError, "old", "old", UNDONE),
    "create dropped after; list healthy; list 500; list 500; list 500": (
        *(OutcomeUnknownError, "old", "old new", NOT_LISTED),
    ),
    "create garbage after; deactivate dropped before": (OutcomeUnknownError, "old", "old new", NOT_UNDONE),
}


def cases() -> Iterator[tuple[str, str, str]]:
    """The async source on the engine; the sync client where it is interrupted, the spec where it answers a record."""
    for name, (error, *_) in CELLS.items():
        yield name, "async", "engine"
        if error in (KeyboardInterrupt, SystemExit):
            yield name, "sync", "engine"
        if name.startswith("deactivate"):
            yield name, "sync", "spec"


def run(name: str, driver: str, profile: Literal["engine", "spec"]) -> tuple[BaseException | None, list[str]]:
    """Cuts one rotation off; the error, and the secrets that it may not show."""
    expected, stored, left, says = CELLS[name]
    cuts, _, healed = name.partition(", ")
    late: list[threading.Thread] = []
    gave_up = threading.Event()

    def commit_later(exchange: Exchange) -> Any:
        """Drops the connection, and does what was asked later."""
        wait = (lambda: exchange.pause(0.5)) if "late" in name else gave_up.wait
        late.append(threading.Thread(target=lambda: (wait(), exchange.answer())))
        late[0].start()
        raise Dropped

    with (
        Sandbox(profile=profile) as sandbox,
        connecting(driver, sandbox, max_attempts=3 if healed else 1) as client,
        connecting(driver, sandbox) as next_client,
    ):
        cut = Cut(sandbox, client)
        uses: dict[str, Use] = {}
        for what, how in (each.split(" ", 1) for each in cuts.split("; ")):
            if what in ("verify", "store"):
                uses[what] = USES[how.removeprefix("writes and ")]
            else:
                sandbox.queue(FAULTS.get(how, Fault(how, commit_later)), operation=cast("Operation", what))

        def verify(new: CreatedKey) -> object:
            cut.keep(new)
            return uses.get("verify", passes)(new)

        def store(new: CreatedKey) -> object:
            if "store" not in uses or "writes" in cuts:
                cut.shelf(new)
            return uses.get("store", passes)(new)

        error = caught(lambda: client.rotate(cut.old_id, store=cast("Any", store), verify=cast("Any", verify)))
        gave_up.set()
        for thread in late:
            thread.join()

        assert sandbox.unmet == []
        assert expected is None if error is None else isinstance(error, expected or ())
        new_ids = [key.id for key in sandbox.keys() if key.id != cut.old_id]
        says = says.replace("<old>", cut.old_id).replace("<new>", "".join(new_ids))
        told = ["" if error is None else str(error), *getattr(error, "__notes__", ())]
        assert re.search(says, " ".join(told), re.DOTALL)
        cut.assert_left(next_client, stored, left, error)
        return error, cut.secrets


@pytest.fixture(scope="module")
def running() -> Iterator[dict[tuple[str, str, str], Future[Any]]]:
    """All cuts at the same time: some of them wait, as an undo does."""
    with ThreadPoolExecutor(24) as pool:
        yield {case: pool.submit(run, *case) for case in cast("Any", cases())}


@pytest.mark.parametrize("case", [*cases()], ids="-".join)
def test_what_a_cut_leaves(running: dict[tuple[str, str, str], Future[Any]], case: tuple[str, str, str]) -> None:
    error, secrets = running[case].result()
    if error is not None:
        # Not in the threads: before Python 3.12 only one at a time can format a traceback.
        assert_hides(shown_by(error), *secrets)
