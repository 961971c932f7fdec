# Derived from _attempts_async.py by scripts/unasync.py: edit that file, then run the script.
"""The loop of attempts, and the calls that are made of more than one request."""

from __future__ import annotations

import logging
from typing import TypeVar

from api_keys_client._calls import Call, Calls, CreatedKey
from api_keys_client._contract import ApiKeyResponse
from api_keys_client._outcome import (
    Again,
    Deactivation,
    Done,
    judge,
    note,
    still_active,
    unconfirmed,
    without_token,
)
from api_keys_client._transport import Transport
from api_keys_client.errors import ApiKeysError, ConfigurationError, Outcome
from api_keys_client.rotation import UNDO_WAITS, Undo, bears
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

    def run(self, call: Call[T]) -> T:
        """The call's value; its error is raised."""
        verdict = self.settle(call)
        if isinstance(verdict, ApiKeysError):
            raise verdict
        return verdict.value

    def settle(self, call: Call[T], began: float | None = None) -> Done[T] | ApiKeysError:
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
                came = transport.send(call, settings=settings, remaining=remaining)
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
            transport.sleep(verdict.wait)
            worst = verdict.outcome
            started = transport.now()
            attempt += 1

    def deactivate(self, key_id: str, began: float | None = None) -> Done[ApiKeyResponse] | ApiKeysError:
        """Deactivates a key and sees that it is inactive."""
        began = self.transport.now() if began is None else began
        verdict = self.settle(self.calls.deactivate(key_id), began)
        if isinstance(verdict, ApiKeysError):
            return verdict
        record, attempts = verdict.value, verdict.attempts
        if record is None:
            confirmation = self.settle(self.calls.get(key_id), began)
            if isinstance(confirmation, ApiKeysError):
                return unconfirmed(confirmation, attempts=verdict.attempts)
            record = confirmation.value
            attempts += confirmation.attempts
        if record.is_active:
            return still_active(record, attempts=attempts, elapsed=self.transport.now() - began)
        return Done(record, attempts)

    def end(self, key_id: str) -> ApiKeyResponse:
        """The same; the error is raised."""
        verdict = self.deactivate(key_id)
        if isinstance(verdict, ApiKeysError):
            raise verdict
        return verdict.value

    def deactivation(self, key_id: str) -> Deactivation:
        """The same, as one outcome of many."""
        verdict = self.deactivate(key_id)
        if isinstance(verdict, ApiKeysError):
            return Deactivation(key_id, error=verdict)
        return Deactivation(key_id, record=verdict.value)

    def create_or_undo(self, call: Call[CreatedKey], nonce: str) -> CreatedKey:
        """Creates a key that bears a nonce; where it may have been made without our having its secret, undoes that."""
        try:
            verdict = self.settle(call)
        except BaseException as interruption:
            note(interruption, self.transport.finish(self.undo, nonce))
            raise
        if isinstance(verdict, Done):
            return verdict.value
        if verdict.outcome in (Outcome.UNKNOWN, Outcome.APPLIED):
            undo = self.transport.finish(self.undo, nonce, verdict.key_id)
            verdict.args = (f"{verdict.args[0]} {undo}",)
            verdict.next_step = undo.next_step
        raise verdict

    def undo(self, nonce: str, key_id: str | None = None) -> Undo:
        """Ends the key that bears a nonce; by its id where that is known.

        Looks more than once: a commit can come after the answer was given up.
        """
        undo = Undo(nonce)
        began = self.transport.now()
        if key_id is not None:
            self._end(key_id, undo, began)
            return undo
        for wait in UNDO_WAITS:
            self.transport.sleep(wait)
            # The deadline is for the requests, and may be shorter than these waits.
            began += wait
            listed = self.settle(self.calls.list(), began)
            if isinstance(listed, ApiKeysError):
                continue
            undo.looked = True
            for record in listed.value:
                if bears(record.description, nonce):
                    self._end(record.id, undo, began)
            if undo.alive or undo.ended:
                break
        return undo

    def _end(self, key_id: str, undo: Undo, began: float) -> None:
        ended = self.deactivate(key_id, began)
        (undo.alive if isinstance(ended, ApiKeysError) else undo.ended).append(key_id)
