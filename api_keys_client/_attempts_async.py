"""The loop of attempts, and the calls that are made of more than one request."""

from __future__ import annotations

import logging
import sys
from typing import Any, TypeVar

from api_keys_client._arguments import Roles
from api_keys_client._calls import Call, Calls, CreatedKey
from api_keys_client._concurrency import AsyncWork, shield_async
from api_keys_client._contract import ApiKeyResponse
from api_keys_client._outcome import (
    Again,
    Deactivation,
    Done,
    judge,
    never_ended,
    note,
    other_key_answered,
    still_active,
    unconfirmed,
    without_token,
)
from api_keys_client._transport_async import Transport
from api_keys_client.errors import ApiKeysError, ConfigurationError, KeyNotFoundError, Outcome
from api_keys_client.rotation import UNDO_WAITS, CleanupReport, Creation
from api_keys_client.settings import Settings

T = TypeVar("T")

_log = logging.getLogger("api_keys_client")


class Attempts:
    """Makes calls with one client's settings. Errors are returned, not raised, wherever a caller may act on them:
    outside of an `except` they leave nothing behind in each other's context.
    """

    def __init__(self, transport: Transport, settings: Settings, calls: Calls) -> None:
        self.transport = transport
        self.settings = settings
        self.calls = calls

    async def run(self, call: Call[T]) -> T:
        """The call's value; its error is raised."""
        verdict = await self.settle(call)
        if isinstance(verdict, ApiKeysError):
            raise verdict
        return verdict.value

    async def settle(self, call: Call[T], began: float | None = None) -> Done[T] | ApiKeysError:
        """Tries the call until it is done or has failed for good.

        Args:
            began: the driver's time at which the deadline's clock started; None: now.
        """
        transport, settings = self.transport, self.settings
        started = transport.now()
        if began is None:
            began = started
        worst: Outcome | None = None
        attempt = 1
        while True:
            # A call that comes after another's time is up still gets to fail as a timeout.
            remaining = max(settings.deadline - (started - began), 0.001)
            try:
                came = await transport.send(call, settings=settings, remaining=remaining)
            except ConfigurationError as error:
                # The caller's function gave no token: what goes on after a failure has to hear of it too.
                return without_token(call, error, attempts=attempt - 1, elapsed=started - began, worst=worst)
            ended = transport.now()
            if _log.isEnabledFor(logging.DEBUG):
                _log.debug(
                    "%s %s %s %.0f ms attempt %d",
                    call.operation.method,
                    call.operation.path,
                    getattr(came, "status", None) or getattr(came, "reason", None),
                    1000 * (ended - started),
                    attempt,
                )
            verdict = judge(
                call,
                came,
                attempt=attempt,
                elapsed=ended - began,
                settings=settings,
                chance=transport.chance(),
                worst=worst,
            )
            if not isinstance(verdict, Again):
                return verdict
            await transport.sleep(verdict.wait)
            worst = verdict.outcome
            started = transport.now()
            attempt += 1

    async def deactivate(self, key_id: str, began: float | None = None) -> Done[ApiKeyResponse] | ApiKeysError:
        """Deactivates a key and sees that it is inactive."""
        began = self.transport.now() if began is None else began
        verdict = await self.settle(self.calls.deactivate(key_id), began)
        if isinstance(verdict, ApiKeysError):
            return verdict
        record, attempts = verdict.value, verdict.attempts
        if record is None:
            confirmation = await self.settle(self.calls.get(key_id), began)
            if isinstance(confirmation, ApiKeysError):
                return unconfirmed(confirmation, attempts=verdict.attempts)
            record = confirmation.value
            attempts += confirmation.attempts
        if record.is_active:
            return still_active(record, attempts=attempts, elapsed=self.transport.now() - began)
        return Done(record, attempts)

    async def end(self, key_id: str) -> ApiKeyResponse:
        """The same; the error is raised."""
        verdict = await self.deactivate(key_id)
        if isinstance(verdict, ApiKeysError):
            raise verdict
        return verdict.value

    async def deactivation(self, key_id: str) -> Deactivation:
        """The same, as one outcome of many."""
        verdict = await self.deactivate(key_id)
        if isinstance(verdict, ApiKeysError):
            return Deactivation(key_id, error=verdict)
        return Deactivation(key_id, record=verdict.value)

    async def create_or_undo(self, creation: Creation, description: str | None, roles: Roles) -> CreatedKey:
        """Creates a key that bears a nonce; where it may have been made without our having its secret, undoes that.

        Args:
            creation: the nonce, which the description has to bear.
        """
        call = self.calls.create(description, roles)
        try:
            verdict = await self.settle(call)
            if isinstance(verdict, Done):
                verdict = await self._own(verdict, creation)
        except BaseException as interruption:
            report, _ = await self.undo(creation)
            note(interruption, report)
            raise
        if isinstance(verdict, Done):
            return verdict.value
        if verdict.outcome in (Outcome.UNKNOWN, Outcome.APPLIED):
            report, interrupted_by = await self.undo(creation, verdict.key_id)
            verdict.args = (f"{verdict.args[0]} {report}",)
            verdict.next_step = report.next_step
            if interrupted_by:
                note(interrupted_by, verdict)
                raise interrupted_by
        raise verdict

    async def _own(self, created: Done[CreatedKey], creation: Creation) -> Done[CreatedKey] | ApiKeysError:
        """The created key if it is the one that was asked for, and not another one out of a cache on the way."""
        key = created.value
        if creation.is_of(key):
            return created
        # The contract lets an answer leave out the description.
        record = await self.settle(self.calls.get(key.id)) if key.description is None else None
        if isinstance(record, Done) and creation.is_of(record.value):
            return created
        return other_key_answered(key.id, attempts=created.attempts)

    async def end_created(self, creation: Creation, key_id: str) -> None:
        """Deactivates a key that was created for a while, however often that is interrupted.

        A process that was forked meanwhile leaves the key to the one that made it.
        """
        if not self.transport.made(creation):
            return
        ended, interruption = await self._clean_up(Attempts.deactivate, key_id)
        if not isinstance(ended, Done):
            # What failed while modules are taken apart says nothing about the server.
            error = never_ended(key_id) if ended is None or sys.is_finalizing() else ended
            if not interruption:
                raise error
            note(interruption, error)
        if interruption:
            raise interruption

    async def undo(self, creation: Creation, key_id: str | None = None) -> tuple[CleanupReport, BaseException | None]:
        """Ends the key of a creation, however often that is interrupted.

        Args:
            key_id: the id that an answer gave it, if one did.

        Returns:
            What was seen and done, and the first interruption that came meanwhile.
        """
        if not self.transport.made(creation):
            return CleanupReport(creation.nonce, "It is left to the process that asked for it"), None
        report, interruption = await self._clean_up(Attempts.end_by_nonce, creation, key_id)
        return report or CleanupReport(creation.nonce, "It could not be looked for"), interruption

    async def end_by_nonce(self, creation: Creation, key_id: str | None) -> CleanupReport:
        """Ends the key whose record bears the nonce, looked up by the id that an answer gave it, or else in the list.

        Looks more than once: a commit can come after the answer was given up.
        """
        report = CleanupReport(creation.nonce, "The keys could not be listed")
        began = self.transport.now()
        unread = None
        if key_id is not None:
            found = await self.settle(self.calls.get(key_id), began)
            if isinstance(found, Done) and creation.is_of(found.value):
                await self._end(key_id, report, began)
                return report
            if isinstance(found, ApiKeysError) and not isinstance(found, KeyNotFoundError):
                unread = key_id
        for wait in UNDO_WAITS:
            await self.transport.sleep(wait)
            # The deadline is for the requests, and may be shorter than these waits.
            began += wait
            listed = await self.settle(self.calls.list(), began)
            if isinstance(listed, ApiKeysError):
                continue
            report.seen, unread = "No such key was seen", None
            for record in listed.value:
                if creation.is_of(record):
                    await self._end(record.id, report, began)
            if report.still_active or report.deactivated:
                break
        if unread:
            report.still_active.append(unread)
        return report

    async def _end(self, key_id: str, report: CleanupReport, began: float) -> None:
        ended = await self.deactivate(key_id, began)
        (report.still_active if isinstance(ended, ApiKeysError) else report.deactivated).append(key_id)

    async def _clean_up(self, work: AsyncWork[T], *arguments: Any) -> tuple[T | None, BaseException | None]:
        """Runs a method of this class shielded; see `shield` for what it gives."""
        return await shield_async(self._on_open_connections, work, arguments, patience=self.settings.deadline)

    async def _on_open_connections(self, work: AsyncWork[T], arguments: tuple[Any, ...]) -> T:
        """Runs a method of this class, and again on other connections if the client was closed before it was done."""
        if not self.transport.closed:
            result = await work(self, *arguments)
            if not self.transport.closed:
                return result
        own = Attempts(Transport(self.settings), self.settings, self.calls)
        try:
            return await work(own, *arguments)
        finally:
            await own.transport.close()
