"""The loop of attempts, and the calls that are made of more than one request."""

from __future__ import annotations

import uuid
from typing import TypeVar

from api_keys_client._core.generated import ApiKeyResponse
from api_keys_client._core.messages import RawResponse, Request
from api_keys_client._core.operations import Operations
from api_keys_client._core.options import Settings
from api_keys_client._core.policy import (
    Deactivation,
    Retry,
    Success,
    evaluate,
    readback_failed,
    still_active,
    token_failure,
)
from api_keys_client._transport import system
from api_keys_client._transport.aio import Transport
from api_keys_client._transport.logs import log_attempt, log_retry
from api_keys_client.errors import ApiKeysError, AuthenticationError, ConfigurationError, Outcome

T = TypeVar("T")


class Executor:
    """Makes calls with one client's settings. An error is raised where it is known, and caught by whoever can act."""

    def __init__(self, transport: Transport, settings: Settings, operations: Operations) -> None:
        self.transport = transport
        self.settings = settings
        self.operations = operations

    async def execute(self, request: Request[T], began: float | None = None) -> Success[T]:
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
        rejected: RawResponse | None = None
        refusal: ApiKeysError | None = None
        while True:
            # Where the requests before used up the deadline, a millisecond lets this one end as a timeout.
            remaining = max(settings.deadline - (started - began), 0.001)
            try:
                result = await transport.send(request, settings=settings, remaining=remaining, rejected=rejected)
            except ConfigurationError as error:
                attempts = attempt if rejected else attempt - 1
                token_failure(request, error, attempts=attempts, elapsed=started - began, worst_outcome=worst_outcome)
                raise
            if result is None:
                raise refusal or AssertionError
            ended = system.now()
            log_attempt(request.operation, result, attempt=attempt, seconds=ended - started)
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
            worst_outcome = verdict.outcome
            if isinstance(verdict, Retry):
                log_retry(request.operation, result, attempt=attempt, wait=verdict.wait)
                await transport.sleep(verdict.wait)
                attempt += 1
            elif (
                isinstance(verdict, AuthenticationError)
                and isinstance(result, RawResponse)
                and settings.token.function
                and not refusal
                and ended - began < settings.deadline
            ):
                # Refused, it did nothing: with another token it is the same attempt.
                rejected, refusal = result, verdict
            else:
                raise verdict
            started = system.now()

    async def deactivate(self, key_id: str | uuid.UUID, began: float | None = None) -> ApiKeyResponse:
        """Deactivates a key, and reads back that it is inactive."""
        began = system.now() if began is None else began
        done = await self.execute(self.operations.deactivate(key_id), began)
        record, attempts = done.value, done.attempts
        if record is None:
            try:
                readback = await self.execute(self.operations.get(key_id), began)
            except ApiKeysError as error:
                raise readback_failed(error, attempts=attempts) from None
            record = readback.value
            attempts += readback.attempts
        if record.is_active:
            raise still_active(record, attempts=attempts, elapsed=system.now() - began)
        return record

    async def deactivation(self, key_id: str) -> Deactivation:
        """Deactivates a key as one of many: its error is a value."""
        try:
            return Deactivation(key_id, record=await self.deactivate(key_id))
        except ApiKeysError as error:
            return Deactivation(key_id, error=error)
