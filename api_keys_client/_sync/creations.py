# Derived from _async/creations.py by scripts/unasync.py: edit that file, then run the script.
"""Creations that can be undone: a key that was made without our having its secret is found by its marker, and ended."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, TypeVar

from api_keys_client._core.creations import UNDO_WAITS, CleanupReport, Creation
from api_keys_client._core.lifetimes import CLOCK_GRACE, clock_problem
from api_keys_client._core.messages import http_date
from api_keys_client._core.operations import CreatedKey
from api_keys_client._core.policy import Success, never_ended
from api_keys_client._core.validation import Roles
from api_keys_client._sync.executor import Executor
from api_keys_client._transport import system
from api_keys_client._transport.concurrency import Work, shield
from api_keys_client._transport.sync import Transport
from api_keys_client.errors import ApiKeysError, ClockError, KeyNotFoundError, Outcome, OutcomeUnknownError

T = TypeVar("T")


def create_or_undo(executor: Executor, creation: Creation, description: str | None, roles: Roles) -> CreatedKey:
    """Creates a key that bears a marker; where it may have been made without our having its secret, undoes that."""
    request = executor.operations.create(creation.marker.on(description), roles)
    try:
        return _check_created(executor, executor.execute(request), creation)
    except ApiKeysError as error:
        if error.outcome not in (Outcome.UNKNOWN, Outcome.APPLIED):
            raise
        report, interrupted_by = undo(executor, creation, error.key_id)
        error.args = (f"{error.args[0]} {report}",)
        error.next_step = report.next_step
        if interrupted_by:
            interrupted_by.add_note(str(error))
            raise interrupted_by from None
        raise
    except BaseException as interruption:
        report, _ = undo(executor, creation)
        interruption.add_note(str(report))
        raise


def _check_created(executor: Executor, created: Success[CreatedKey], creation: Creation) -> CreatedKey:
    """Gives the created key if it bears our nonce: a cache on the way may answer with another one.

    Raises:
        OutcomeUnknownError: it is another key.
        ClockError: it would not end when it should.
    """
    key = created.value
    is_ours = creation.is_of(key)
    if not is_ours and key.description is None:
        # The contract lets an answer leave it out.
        with suppress(ApiKeysError):
            is_ours = creation.is_of((executor.execute(executor.operations.get(key.id))).value)
    if not is_ours:
        reason = f"the server answered with key {key.id}, which is not known to be the one that was to be created"
        raise OutcomeUnknownError(
            f"create: {reason}. A key may have been created; its secret is lost.",
            reason=reason,
            status=200,
            attempts=created.attempts,
            outcome=Outcome.UNKNOWN,
        )
    date = http_date(created.date)
    if creation.marker.ends and date:
        problem = clock_problem(date, system.utc_now(), CLOCK_GRACE)
        if problem:
            raise ClockError(
                f"create: the key would end at the wrong time: {problem}. Set the clock that is wrong.",
                attempts=created.attempts,
                outcome=Outcome.APPLIED,
                key_id=key.id,
            )
    return key


def deactivate_created(executor: Executor, creation: Creation, key_id: str) -> None:
    """Deactivates a key that was created for a while, however often that is interrupted.

    A process that was forked meanwhile leaves the key to the one that made it.
    """
    if not system.is_of_this_process(creation):
        return
    ended, interruption = _clean_up(executor, Executor.deactivation, key_id)
    error = ended.error if ended else never_ended(key_id)
    if error and sys.is_finalizing():
        # What failed while modules are taken apart says nothing about the server.
        error = never_ended(key_id)
    if interruption:
        if error:
            interruption.add_note(str(error))
        raise interruption
    if error:
        raise error


def undo(
    executor: Executor, creation: Creation, key_id: str | None = None
) -> tuple[CleanupReport, BaseException | None]:
    """Ends the key of a creation, however often that is interrupted.

    Args:
        key_id: the id that an answer gave it, if one did.

    Returns:
        What was seen and done, and the first interruption that came meanwhile.
    """
    if not system.is_of_this_process(creation):
        return CleanupReport(creation.marker.nonce, "It is left to the process that asked for it"), None
    report, interruption = _clean_up(executor, _deactivate_by_nonce, creation, key_id)
    return report or CleanupReport(creation.marker.nonce, "It could not be looked for"), interruption


def _deactivate_by_nonce(executor: Executor, creation: Creation, key_id: str | None) -> CleanupReport:
    """Ends the key whose record bears the nonce, looked up by the id that an answer gave it, or else in the list.

    Looks more than once: a commit can come after the answer was given up.
    """
    report = CleanupReport(creation.marker.nonce, "The keys could not be listed")
    began = system.now()
    unread = None
    if key_id is not None:
        try:
            found = executor.execute(executor.operations.get(key_id), began)
            if creation.is_of(found.value):
                _deactivate_reported(executor, key_id, report, began)
                return report
        except KeyNotFoundError:
            pass
        except ApiKeysError:
            unread = key_id
    for wait in UNDO_WAITS:
        executor.transport.sleep(wait)
        # The deadline is for the requests, and may be shorter than these waits.
        began += wait
        try:
            listed = executor.execute(executor.operations.list(), began)
        except ApiKeysError:
            continue
        report.seen, unread = "No such key was seen", None
        for record in listed.value:
            if creation.is_of(record):
                _deactivate_reported(executor, record.id, report, began)
        if report.still_active or report.deactivated:
            break
    if unread:
        report.still_active.append(unread)
    return report


def _deactivate_reported(executor: Executor, key_id: str, report: CleanupReport, began: float) -> None:
    try:
        executor.deactivate(key_id, began)
    except ApiKeysError:
        report.still_active.append(key_id)
    else:
        report.deactivated.append(key_id)


def _clean_up(executor: Executor, work: Work[T], *arguments: Any) -> tuple[T | None, BaseException | None]:
    """Runs a function of an executor shielded; see `shield` for what it gives."""
    return shield(_on_open_connections, executor, work, arguments, patience=executor.settings.deadline)


def _on_open_connections(executor: Executor, work: Work[T], arguments: tuple[Any, ...]) -> T:
    """Runs a function of an executor, and again on other connections if the client was closed before it was done."""
    if not executor.transport.closed:
        result = work(executor, *arguments)
        if not executor.transport.closed:
            return result
    spare = Executor(Transport(executor.settings), executor.settings, executor.operations)
    try:
        return work(spare, *arguments)
    finally:
        spare.transport.close()
