"""A rotation is cut off at every request, and in every function of the caller."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Literal, NamedTuple

import pytest

from api_keys_client import (
    ApiConnectionError,
    CreatedKey,
    KeyLimitReachedError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RotationError,
    ServerError,
    UnexpectedResponseError,
)
from api_keys_client.sandbox import Operation, Sandbox
from tests.support.cuts import (
    BOTH,
    FAULTS,
    NEW,
    OLD,
    Cut,
    Use,
    Which,
    after_it_wrote,
    at_the_same_time,
    exits,
    fails,
    is_cancelled,
    is_interrupted,
    passes,
    says_no,
    stores,
    stores_nothing,
)
from tests.support.rotations import active, assert_hides, assert_survived, caught, connecting, shown_by


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


REFUSED = r"No key was changed"
NOT_SEEN = r"No such key was seen; one may still appear, with #\w{12} .* Look in the list for #\w{12}"
UNDONE = r"Key <new> was made and has been deactivated\. .*Nothing of it was seen to be left; try again"
MAYBE_ACTIVE = r"new key <new> is in place.*<old>: .*The key may be deactivated or still active\. Deactivate them"
STILL_ACTIVE = r"new key <new> is in place.*<old>: .*: the server answered .*\. Deactivate them"
NOT_READ_BACK = r"new key <new> is in place.*<old>: The server answered that the key is deactivated, but reading it"
EITHER = r"RuntimeError, and may have written .* <old> and the new key <new> are both active\. See which is stored"
NOTE = r"Keys <old> and <new> are both active"
NOT_UNDONE = r"Key <new> was made and could not be deactivated.* The old key <old> was not touched\. Deactivate <new>\."

# "healed" is the default number of attempts, which gets over a fault that is met once.
CELLS: dict[str, Cell] = {
    "list dropped before": Cell(ApiConnectionError, "old", OLD, "list: ", (("list", "dropped before"),)),
    "list 500": Cell(ServerError, "old", OLD, "list: ", (("list", "500"),)),
    "list garbage": Cell(UnexpectedResponseError, "old", OLD, "list: ", (("list", "garbage after"),)),
    "list dropped, healed": Cell(None, "new", NEW, "", (("list", "dropped before"),), attempts=3),
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
        UnexpectedResponseError, "old", OLD, f"answered with key <new>.*{UNDONE}", (("create", "without its secret"),)
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
    "get dropped before": Cell(RotationError, "new", NEW, NOT_READ_BACK, (("get", "dropped before"),)),
    "get 500": Cell(RotationError, "new", NEW, NOT_READ_BACK, (("get", "500"),)),
    "get garbage": Cell(RotationError, "new", NEW, NOT_READ_BACK, (("get", "garbage after"),)),
    "get dropped, healed": Cell(None, "new", NEW, "", (("get", "dropped before"),), attempts=3),
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
    "undo by id, no record of it": Cell(RotationError, "old", OLD, UNDONE, (("get", "500"),), verify=fails),
    "undo by id, neither record nor list": Cell(
        RotationError,
        "old",
        BOTH,
        NOT_UNDONE,
        (("list", "healthy"), ("get", "500"), ("list", "500"), ("list", "500"), ("list", "500")),
        verify=fails,
    ),
    "undo by id, not read back": Cell(
        RotationError, "old", OLD, NOT_UNDONE, (("get", "healthy"), ("get", "500")), verify=fails
    ),
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
        r"Key <new> was made and could not be deactivated.* Deactivate <new>\.",
        (("create", "garbage after"), ("deactivate", "dropped before")),
    ),
}


def cases() -> Iterator[tuple[str, str, str]]:
    """The async source on the engine; the sync client where it is interrupted, the spec where it answers a record."""
    for name, cell in CELLS.items():
        yield name, "async", "engine"
        if cell.error in (KeyboardInterrupt, SystemExit):
            yield name, "sync", "engine"
        if name.startswith("deactivate"):
            yield name, "sync", "spec"


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
        assert re.search(says, " ".join(["" if error is None else str(error), *notes]), re.DOTALL)
        assert cut.which(cut.shelf.key_id) == cell.stored
        assert {cut.which(key_id) for key_id in active(sandbox)} == cell.active
        assert_survived(sandbox, next_client, cut.shelf, cut.old_id, error)
        return error, cut.secrets


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Any]]]:
    with at_the_same_time(request, "test_what_a_cut_leaves", run) as futures:
        yield futures


@pytest.mark.parametrize(("name", "driver", "profile"), list(cases()))
def test_what_a_cut_leaves(
    running: dict[str, Future[Any]], request: pytest.FixtureRequest, name: str, driver: str, profile: str
) -> None:
    error, secrets = running[request.node.nodeid].result()
    if error is not None:
        # Not in the threads: before Python 3.12 only one at a time can format a traceback.
        assert_hides(shown_by(error), *secrets)
