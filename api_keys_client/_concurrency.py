"""Work that goes on to its end whatever interrupts its caller: twins for threads and for asyncio."""

from __future__ import annotations

import sys
import threading
from _thread import start_new_thread
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any, TypeAlias, TypeVar

Result = TypeVar("Result")

Work: TypeAlias = Callable[..., Result]
AsyncWork: TypeAlias = Callable[..., Coroutine[Any, Any, Result]]


def shield(work: Work[Result], *arguments: Any, patience: float) -> tuple[Result | None, BaseException | None]:
    """Does work that no interruption of the caller reaches, and tells of the interruption afterwards.

    The work runs in a thread of its own with the caller's context variables: what a signal handler raises is raised
    in the main thread. Where no thread can start, as at the interpreter's exit, it runs in the caller's.

    Args:
        work: a function; what it raises is raised here.
        arguments: its arguments.
        patience: not used; the async twin needs it.

    Returns:
        What the work gave, or None if nothing can be done any more because the interpreter ends; and the first
        exception that came while it was waited for (Ctrl-C, or what another signal's handler raised), or None.
    """
    outcome: list[tuple[Result | None, BaseException | None]] = []
    ended = threading.Lock()
    ended.acquire()
    claim = iter([True])

    def do() -> None:
        # A thread whose start was interrupted may be there although another one was started in its place.
        if not next(claim, False):
            return
        try:
            outcome.append((work(*arguments), None))
        except BaseException as error:
            outcome.append((None, error))
        finally:
            ended.release()

    interruption: BaseException | None = None
    begun = False
    while not outcome:
        try:
            if not begun:
                begun = _begin(do)
            # No event or queue: a plain lock is the one wait that an exception leaves as it was.
            ended.acquire()
        except BaseException as error:
            interruption = interruption or error
    result, failure = outcome[0]
    if failure is not None:
        if isinstance(failure, Exception) and sys.is_finalizing():
            # The modules that the work needs are being taken apart.
            return None, interruption
        raise failure
    return result, interruption


def _begin(do: Callable[[], None]) -> bool:
    """Runs it in a thread, or here and now where none can start."""
    # While modules are taken apart a new thread never runs, and waiting for it would never end.
    if not sys.is_finalizing():
        try:
            # Not a Thread, whose start is many steps, between which an interruption breaks the thread that it started.
            start_new_thread(copy_context().run, (do,))
        except RuntimeError:
            pass
        else:
            return True
    do()
    return True


async def shield_async(
    work: AsyncWork[Result], *arguments: Any, patience: float
) -> tuple[Result | None, BaseException | None]:
    """Does work that no cancellation of the caller reaches, and tells of the cancellation afterwards.

    The work runs in a task of its own. The end of `asyncio.run` cancels every task, this one too: it is begun again
    in another, which the loop still runs because the caller waits for it.

    Args:
        work: a coroutine function; what it raises is raised here.
        arguments: its arguments.
        patience: seconds within which cancelled work is begun again.

    Returns:
        What the work gave, or None if it was not let finish, or no event loop runs any more; and the first
        cancellation that came while it was waited for, or None.
    """
    if sys.is_finalizing():
        return None, None
    # Imported late: the sync client does without asyncio, which takes as long to load as the rest of it.
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None, None
    interruption: BaseException | None = None
    give_up_at = loop.time() + patience
    with _anyio_shield():
        task = loop.create_task(work(*arguments))
        while True:
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                interruption = interruption or error
            except GeneratorExit:
                # The loop was closed over this coroutine: it can wait no more.
                return None, interruption
            if task.done() and not task.cancelled():
                return task.result(), interruption
            if task.cancelled():
                if loop.time() > give_up_at:
                    return None, interruption
                task = loop.create_task(work(*arguments))


def _anyio_shield() -> AbstractContextManager[object]:
    """Keeps anyio from cancelling the waiting task in each turn of the loop, if the program uses anyio."""
    anyio = sys.modules.get("anyio")
    scope: AbstractContextManager[object] = anyio.CancelScope(shield=True) if anyio else nullcontext()
    return scope
