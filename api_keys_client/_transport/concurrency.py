"""What threads and asyncio do differently, as twins side by side; scripts/unasync.py cannot derive one from the other.

The async ones import asyncio when they are called: the sync client does without it, and it takes as long to load as
the rest of the client.
"""

from __future__ import annotations

import sys
import threading
from _thread import start_new_thread
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import SecretStr

from api_keys_client._core.options import TokenSource, bearer, configuration_error, token_error
from api_keys_client._core.validation import checked_function, checked_result, invalid_argument

if TYPE_CHECKING:
    import asyncio

Item = TypeVar("Item")
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


def fan_out(
    run: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    bound: int,
    done: Callable[[Result], object] | None,
) -> list[Result]:
    """Runs one call for each item, at most `bound` at once; results in the items' order.

    `done` is told of each in this thread as it ends. Interrupted, or when `done` raises, no further call begins,
    and those in flight are waited for and told.
    """
    results: dict[int, Result] = {}
    try:
        # Imported late: most programs never fan out. At the interpreter's exit even that can fail.
        from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

        pool = ThreadPoolExecutor(bound, thread_name_prefix="api-keys")
        pool.submit(int).result()
    except RuntimeError:
        return [_told(run(item), done) for item in items]
    # Only those under way have a future, or a million keys would need a million locks.
    running: dict[Future[Result], int] = {}

    def settle(futures: Collection[Future[Result]]) -> None:
        for future in futures:
            try:
                results[running[future]] = _told(future.result(), done)
            finally:
                del running[future]

    with pool:
        try:
            for number, item in enumerate(items):
                if len(running) == bound:
                    settle(wait(running, return_when=FIRST_COMPLETED).done)
                running[pool.submit(run, item)] = number
            while running:
                settle(wait(running, return_when=FIRST_COMPLETED).done)
        finally:
            settle([future for future in running if not future.cancel()])
    return [results[number] for number in range(len(results))]


def _told(result: Result, done: Callable[[Result], object] | None) -> Result:
    if done:
        done(result)
    return result


async def fan_out_async(
    run: Callable[[Item], Coroutine[Any, Any, Result]],
    items: Iterable[Item],
    *,
    bound: int,
    done: Callable[[Result], object] | None,
) -> list[Result]:
    """Runs one call for each item, at most `bound` at once; results in the items' order.

    `done` is told of each in this task as it ends. Cancelled, or when `done` raises, no further call begins,
    and those in flight are waited for and told.
    """
    import asyncio

    loop = running_loop()
    results: dict[int, Result] = {}
    running: dict[asyncio.Task[Result], int] = {}

    async def settle() -> None:
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            number = running.pop(task)
            results[number] = _told(task.result(), done)

    try:
        for number, item in enumerate(items):
            if len(running) == bound:
                await settle()
            running[loop.create_task(run(item))] = number
        while running:
            await settle()
    finally:
        if running:
            await _wind_up(running, done)
    return [results[number] for number in range(len(results))]


async def _wind_up(tasks: Collection[asyncio.Task[Result]], done: Callable[[Result], object] | None) -> None:
    """Waits for the tasks and tells of them; cancelled meanwhile, cancels them and tells of those that were done."""
    import asyncio

    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    finally:
        ended = [task for task in tasks if task.done() and not task.cancelled()]
        results = [task.result() for task in ended if not task.exception()]
        if done:
            for result in results:
                done(result)


def refuse_async_token(token: object) -> None:
    """Refuses an async function as token= of the sync client: un-awaited, it gives none."""
    if iscoroutinefunction(token) or iscoroutinefunction(type(token).__call__):
        raise configuration_error("token= of the sync client is a plain function; this one is async.")


async def authorization_async(source: TokenSource, refused: SecretStr | None, *, within: float) -> str:
    """Gives the value of the Authorization header, as `TokenSource.header` does; the function may be async.

    One of `api_keys_client.tokens`, which waits for a file or a command, is asked in a thread.

    Args:
        within: seconds that the function may take.
    """
    if source.function is None:
        return source.header()
    import asyncio

    try:
        async with asyncio.timeout(within):
            if hasattr(source.function, "renew"):
                return bearer(await asyncio.to_thread(source.ask, refused))
            return bearer(await _awaited(source.ask(refused)))
    except Exception as error:
        failure = token_error(error)
        raise failure from failure.__cause__


async def _awaited(given: object) -> object:
    return await given if isinstance(given, Awaitable) else given


def check_user_function(function: object) -> None:
    """Refuses what is no function, or an async one: un-awaited, it would count as done."""
    called = checked_function(function)
    if iscoroutinefunction(called) or iscoroutinefunction(type(called).__call__):
        raise invalid_argument("store= and verify= of the sync client are plain functions; this one is async.")


check_user_function_async = checked_function
"""Refuses what is no function, or one whose work nobody would do."""


def call_user_function(function: Callable[[Item], object], item: Item) -> object:
    """Calls a function of the user's, and refuses a result that is work still to be done."""
    result = function(item)
    if isinstance(result, Coroutine):
        # Closed, or Python would warn that it was never awaited.
        result.close()
    return checked_result(result)


async def call_user_function_async(function: Callable[[Item], object], item: Item) -> object:
    """Calls a function of the user's, plain or async."""
    return checked_result(await _awaited(function(item)))


def running_loop() -> asyncio.AbstractEventLoop:
    """Gives the running event loop.

    Raises:
        ConfigurationError: none runs, or one that is not asyncio's.
    """
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    raise configuration_error(
        "AsyncApiKeysClient runs on asyncio, and no asyncio event loop is running (trio is not supported)."
    )
