"""Rotation: a new key in place of an old one, such that a cut at any point leaves a working key where it is kept.

The steps, and what a cut at each leaves, are in docs/guides/rotation.md.
"""

from __future__ import annotations

from api_keys_client._async.creations import create_or_undo, undo
from api_keys_client._async.executor import Executor
from api_keys_client._core.creations import Creation
from api_keys_client._core.generated import ApiKeyResponse, Role
from api_keys_client._core.markers import FoundLeftovers, leftovers_of
from api_keys_client._core.operations import CreatedKey
from api_keys_client._core.rotations import NewKeyCallback, cannot_rotate, refusal
from api_keys_client._transport.concurrency import call_user_function_async
from api_keys_client.errors import ApiKeysError, NotStored, Outcome, RotationError


class AsyncRotation:
    """A rotation that is done, but for the old key where `keep_old` was asked for.

    Attributes:
        old: the record of the key that was replaced, as it was before.
        new: the new key, with its secret.
        left_active: ids (list of str) of keys that earlier rotations may have left active, and that this one leaves so.
    """

    def __init__(
        self, executor: Executor, old: ApiKeyResponse, new: CreatedKey, ending: list[str], left_active: list[str]
    ) -> None:
        self.old = old
        self.new = new
        self.left_active = left_active
        self._executor = executor
        self._ending = ending

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.old.id} -> {self.new.id}>"

    async def finish(self) -> None:
        """Deactivates the old key, and the leftovers if that was asked for. Does nothing where that is done.

        Raises:
            RotationError: some are still active; `leftovers` and the text name them. Calling again goes on.
        """
        failed: dict[str, ApiKeysError] = {}
        try:
            for key_id in self._ending:
                try:
                    await self._executor.deactivate(key_id)
                except ApiKeysError as error:
                    failed[key_id] = error
        except BaseException as interruption:
            interruption.add_note(
                f"The new key {self.new.id} is in place; {', '.join(self._ending)} may still be active."
            )
            raise
        self._ending = [*failed]
        if failed:
            raise RotationError(
                f"The new key {self.new.id} is in place, but not every old one is known to be inactive. "
                + " ".join(
                    f"{key_id}: {str(error.args[0]).removesuffix(' No key was changed.')}"
                    for key_id, error in failed.items()
                ),
                stage="deactivate",
                old_id=self.old.id,
                new_id=self.new.id,
                leftovers=[*failed],
                outcome=Outcome.APPLIED,
                next_step="Deactivate them.",
            )


async def find(executor: Executor, key_id: str) -> tuple[ApiKeyResponse, FoundLeftovers]:
    """Gives the key as it is, and what earlier rotations of it left."""
    records = [record for record in (await executor.execute(executor.operations.list())).value if record.is_active]
    for record in records:
        if record.id.lower() == key_id:
            return record, leftovers_of(record, records)
    record = (await executor.execute(executor.operations.get(key_id))).value
    why = "the list of active keys does not have it" if record.is_active else "it is inactive"
    left = [left.id for left in leftovers_of(record, records).certain]
    if left:
        why = f"{why}, and earlier rotations of it left {', '.join(left)} active"
    raise cannot_rotate(record, why, "Rotate the key that is in use, or create one.", left)


async def replace(
    executor: Executor,
    old: ApiKeyResponse,
    creation: Creation,
    *,
    description: str | None,
    roles: list[Role] | None,
    verify: NewKeyCallback | None,
    store: NewKeyCallback,
) -> CreatedKey:
    """Creates, verifies and stores; what fails before anything can have been stored is undone."""
    new = await create_or_undo(executor, creation, description, roles)
    stage = "verify"
    why = ""
    cause: Exception | None = None
    try:
        if verify is not None:
            why = refusal(await call_user_function_async(verify, new))
        if not why:
            stage = "store"
            await call_user_function_async(store, new)
            return new
    except Exception as error:
        cause, why = error, f"{stage} raised {type(error).__name__}"
    except BaseException as interruption:
        if stage == "verify":
            report, _ = await undo(executor, creation, new.id)
            interruption.add_note(str(report))
        else:
            interruption.add_note(f"Keys {old.id} and {new.id} are both active: nobody knows which is stored.")
        raise
    if stage == "store" and not isinstance(cause, NotStored):
        raise RotationError(
            f"{why}, and may have written the new key or not: "
            f"the old key {old.id} and the new key {new.id} are both active.",
            stage=stage,
            old_id=old.id,
            new_id=new.id,
            outcome=Outcome.APPLIED,
            undo=lambda: executor.deactivate(new.id),
            next_step="See which is stored: deactivate the other one, or call undo() on this error to end the new one.",
        ) from cause
    report, interrupted_by = await undo(executor, creation, new.id)
    failure = RotationError(
        f"{why}, so nothing was stored. {report} The old key {old.id} was not touched.",
        stage=stage,
        old_id=old.id,
        new_id=new.id,
        leftovers=report.still_active,
        outcome=Outcome.APPLIED,
        next_step=report.next_step,
    )
    if interrupted_by:
        interrupted_by.add_note(str(failure))
        raise interrupted_by
    raise failure from cause
