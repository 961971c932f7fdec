# Derived from _async/executor.py by scripts/unasync.py: edit that file, then run the script.
"""The loop of attempts, and the calls that are made of more than one request."""

from __future__ import annotations

import logging
import sys
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from api_keys_client._core.generated import ApiKeyResponse
from api_keys_client._core.lifetimes import CLOCK_GRACE, check_grace, clock_problem, lifetime
from api_keys_client._core.markers import UNDO_WAITS, CleanupReport, Creation
from api_keys_client._core.messages import Request
from api_keys_client._core.operations import CreatedKey, Operations
from api_keys_client._core.options import Settings
from api_keys_client._core.policy import (
    Deactivation,
    Success,
    evaluate,
    http_date,
    never_ended,
    note,
    other_key_answered,
    readback_failed,
    still_active,
    token_failure,
    wrong_clock,
)
from api_keys_client._core.validation import Roles
from api_keys_client._transport import system
from api_keys_client._transport.concurrency import Work, shield
from api_keys_client._transport.sync import Transport
from api_keys_client.errors import ApiKeysError, ClockError, ConfigurationError, KeyNotFoundError, Outcome

T = TypeVar("T")

_log = logging.getLogger("api_keys_client")


class Executor:
    """Makes calls with one client's settings. An error is raised where it is known, and caught by whoever can act."""

    def __init__(self, transport: Transport, settings: Settings, operations: Operations) -> None:
        self.transport = transport
        self.settings = settings
        self.operations = operations

    def execute(self, request: Request[T], began: float | None = None) -> Success[T]:
        """Tries the call until it is done or has failed for good.

        Args:
            began: the driver's time at which the deadline's clock started; None: now.

        Raises:
            ApiKeysError: what the last attempt meant for the request.
        """
        transport, settings = self.transport, self.settings
        started = system.now()
        if began is None:
            began = started
        worst_outcome: Outcome | None = None
        attempt = 1
        while True:
            # Where the requests before used up the deadline, a millisecond lets this one end as a timeout.
            remaining = max(settings.deadline - (started - began), 0.001)
            try:
                result = transport.send(request, settings=settings, remaining=remaining)
            except ConfigurationError as error:
                token_failure(
                    request, error, attempts=attempt - 1, elapsed=started - began, worst_outcome=worst_outcome
                )
                raise
            ended = system.now()
            if _log.isEnabledFor(logging.DEBUG):
                _log.debug(
                    "%s %s %s %.0f ms attempt %d",
                    request.operation.method,
                    request.operation.path,
                    getattr(result, "status", None) or getattr(result, "reason", None),
                    1000 * (ended - started),
                    attempt,
                )
            verdict = evaluate(
                request,
                result,
                attempt=attempt,
                elapsed=ended - began,
                settings=settings,
                jitter=system.jitter(),
                worst_outcome=worst_outcome,
            )
            if isinstance(verdict, Success):
                return verdict
            if isinstance(verdict, ApiKeysError):
                raise verdict
            transport.sleep(verdict.wait)
            worst_outcome = verdict.outcome
            started = system.now()
            attempt += 1

    def deactivate(self, key_id: str | uuid.UUID, began: float | None = None) -> ApiKeyResponse:
        """Deactivates a key, and reads back that it is inactive."""
        began = system.now() if began is None else began
        done = self.execute(self.operations.deactivate(key_id), began)
        record, attempts = done.value, done.attempts
        if record is None:
            try:
                readback = self.execute(self.operations.get(key_id), began)
            except ApiKeysError as error:
                raise readback_failed(error, attempts=attempts) from None
            record = readback.value
            attempts += readback.attempts
        if record.is_active:
            raise still_active(record, attempts=attempts, elapsed=system.now() - began)
        return record

    def deactivation(self, key_id: str) -> Deactivation:
        """Deactivates a key as one of many: its error is a value."""
        try:
            return Deactivation(key_id, record=self.deactivate(key_id))
        except ApiKeysError as error:
            return Deactivation(key_id, error=error)

    def expired(self, grace: timedelta) -> list[ApiKeyResponse]:
        """Gives the active keys whose end has come by the server's clock.

        Raises:
            ClockError: what time it is there isn't known.
        """
        check_grace(grace)
        listed = self.execute(self.operations.list())
        date = http_date(listed.date)
        problem = clock_problem(date, system.utc_now(), grace)
        if date is None or problem:
            raise ClockError(
                f"Which keys have expired isn't known: {problem}. No key was deactivated.",
                attempts=listed.attempts,
                outcome=Outcome.NOT_SENT,
            )
        return [record for record in listed.value if record.is_active and lifetime(record).expired(date)]

    def create_or_undo(self, creation: Creation, description: str | None, roles: Roles) -> CreatedKey:
        """Creates a key that bears a marker; where it may have been made without our having its secret, undoes that."""
        request = self.operations.create(creation.marker.on(description), roles)
        try:
            return self._check_created(self.execute(request), creation)
        except ApiKeysError as error:
            if error.outcome not in (Outcome.UNKNOWN, Outcome.APPLIED):
                raise
            report, interrupted_by = self.undo(creation, error.key_id)
            error.args = (f"{error.args[0]} {report}",)
            error.next_step = report.next_step
            if interrupted_by:
                note(interrupted_by, error)
                raise interrupted_by from None
            raise
        except BaseException as interruption:
            report, _ = self.undo(creation)
            note(interruption, report)
            raise

    def _check_created(self, created: Success[CreatedKey], creation: Creation) -> CreatedKey:
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
                is_ours = creation.is_of((self.execute(self.operations.get(key.id))).value)
        if not is_ours:
            raise other_key_answered(key.id, attempts=created.attempts)
        date = http_date(created.date)
        if creation.marker.ends and date:
            problem = clock_problem(date, system.utc_now(), CLOCK_GRACE)
            if problem:
                raise wrong_clock(key.id, problem, attempts=created.attempts)
        return key

    def deactivate_created(self, creation: Creation, key_id: str) -> None:
        """Deactivates a key that was created for a while, however often that is interrupted.

        A process that was forked meanwhile leaves the key to the one that made it.
        """
        if not system.is_of_this_process(creation):
            return
        ended, interruption = self._clean_up(Executor.deactivation, key_id)
        error = ended.error if ended else never_ended(key_id)
        if error and sys.is_finalizing():
            # What failed while modules are taken apart says nothing about the server.
            error = never_ended(key_id)
        if interruption:
            if error:
                note(interruption, error)
            raise interruption
        if error:
            raise error

    def undo(self, creation: Creation, key_id: str | None = None) -> tuple[CleanupReport, BaseException | None]:
        """Ends the key of a creation, however often that is interrupted.

        Args:
            key_id: the id that an answer gave it, if one did.

        Returns:
            What was seen and done, and the first interruption that came meanwhile.
        """
        if not system.is_of_this_process(creation):
            return CleanupReport(creation.marker.nonce, "It is left to the process that asked for it"), None
        report, interruption = self._clean_up(Executor.deactivate_by_nonce, creation, key_id)
        return report or CleanupReport(creation.marker.nonce, "It could not be looked for"), interruption

    def deactivate_by_nonce(self, creation: Creation, key_id: str | None) -> CleanupReport:
        """Ends the key whose record bears the nonce, looked up by the id that an answer gave it, or else in the list.

        Looks more than once: a commit can come after the answer was given up.
        """
        report = CleanupReport(creation.marker.nonce, "The keys could not be listed")
        began = system.now()
        unread = None
        if key_id is not None:
            try:
                found = self.execute(self.operations.get(key_id), began)
                if creation.is_of(found.value):
                    self._deactivate_reported(key_id, report, began)
                    return report
            except KeyNotFoundError:
                pass
            except ApiKeysError:
                unread = key_id
        for wait in UNDO_WAITS:
            self.transport.sleep(wait)
            # The deadline is for the requests, and may be shorter than these waits.
            began += wait
            try:
                listed = self.execute(self.operations.list(), began)
            except ApiKeysError:
                continue
            report.seen, unread = "No such key was seen", None
            for record in listed.value:
                if creation.is_of(record):
                    self._deactivate_reported(record.id, report, began)
            if report.still_active or report.deactivated:
                break
        if unread:
            report.still_active.append(unread)
        return report

    def _deactivate_reported(self, key_id: str, report: CleanupReport, began: float) -> None:
        try:
            self.deactivate(key_id, began)
        except ApiKeysError:
            report.still_active.append(key_id)
        else:
            report.deactivated.append(key_id)

    def _clean_up(self, work: Work[T], *arguments: Any) -> tuple[T | None, BaseException | None]:
        """Runs a method of this class shielded; see `shield` for what it gives."""
        return shield(self._on_open_connections, work, arguments, patience=self.settings.deadline)

    def _on_open_connections(self, work: Work[T], arguments: tuple[Any, ...]) -> T:
        """Runs a method of this class, and again on other connections if the client was closed before it was done."""
        if not self.transport.closed:
            result = work(self, *arguments)
            if not self.transport.closed:
                return result
        spare = Executor(Transport(self.settings), self.settings, self.operations)
        try:
            return work(spare, *arguments)
        finally:
            spare.transport.close()
