"""Rotation: a new key in place of an old one, such that a cut at any point leaves a working key where it is kept.

The steps, and what a cut at each leaves, are in docs/guides/rotation.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, TypeAlias

from api_keys_client._async.creations import create_or_undo, undo
from api_keys_client._async.executor import Executor
from api_keys_client._core.creations import Creation
from api_keys_client._core.generated import ApiKeyResponse, Role
from api_keys_client._core.markers import MAX_MARKER, FoundLeftovers, leftovers_of, strip_marker
from api_keys_client._core.operations import CreatedKey
from api_keys_client._core.validation import canonical_id, checked_description, invalid_argument
from api_keys_client._transport.concurrency import call_user_function_async
from api_keys_client.errors import ApiKeysError, InvalidRequestError, NotStored, Outcome, RotationError

Leftovers: TypeAlias = Literal["refuse", "deactivate", "keep"] | list[str] | tuple[str, ...] | set[str]
NewKeyCallback: TypeAlias = Callable[[CreatedKey], Awaitable[object] | object]


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


def chosen_to_end(old: ApiKeyResponse, found: FoundLeftovers, chosen: str | set[str]) -> list[ApiKeyResponse]:
    """Gives those of the leftovers that are to be ended with the old key.

    Raises:
        RotationError: some are there and nothing was said about them, or ids that were said are none of them.
    """
    if not isinstance(chosen, str):
        ending = [record for record in found.all() if record.id.lower() in chosen]
        unrelated = chosen.difference(record.id.lower() for record in ending)
        if unrelated:
            raise _left_by_others(old, found, f"The ids in leftovers= name others: {', '.join(sorted(unrelated))}.")
        if len(ending) < len(found.all()):
            raise _left_by_others(old, found)
        return ending
    if chosen == "refuse" and found.all():
        raise _left_by_others(old, found)
    return found.certain if chosen == "deactivate" else []


def checked_leftovers(leftovers: object) -> str | set[str]:
    """Gives one of the three words, or the ids that the caller wants to be ended."""
    if isinstance(leftovers, str) and leftovers in ("refuse", "deactivate", "keep"):
        return leftovers
    if isinstance(leftovers, (str, bytes)) or not isinstance(leftovers, Iterable):
        raise invalid_argument('leftovers= is "refuse", "deactivate" or "keep", or a list of ids.')
    return {canonical_id(key_id) for key_id in leftovers}


def _left_by_others(old: ApiKeyResponse, found: FoundLeftovers, why: str = "") -> RotationError:
    told = [f"Earlier rotations of key {old.id} left {_named(found.certain)} active."] if found.certain else []
    if found.doubtful:
        told.append(
            f"The description of key {old.id} says that one left {_named(found.doubtful)} active, which may be wrong: "
            "descriptions or roles differ."
        )
    if not told:
        told.append(f"Earlier rotations of key {old.id} left none active.")
    return RotationError(
        f"{' '.join(told)} {why or 'One of them may be in use.'} Nothing was changed.",
        stage="leftovers",
        old_id=old.id,
        leftovers=[record.id for record in found.all()],
        outcome=Outcome.NOT_SENT,
        next_step="Find out which key is in use, then rotate that one with "
        + ('leftovers=[the ids to deactivate] or "keep".' if found.doubtful else 'leftovers="deactivate" or "keep".'),
    )


def _named(records: list[ApiKeyResponse]) -> str:
    return ", ".join(record.id for record in records)


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
    raise _cannot_rotate(record, why, "Rotate the key that is in use, or create one.", left)


def roles_of(old: ApiKeyResponse) -> list[Role]:
    """Gives the roles of the key, if another can be created with them."""
    known = {role.value: role for role in Role}
    unknown = [role for role in old.roles or [] if role not in known]
    if unknown:
        why = f"no key can be created with its role {unknown[0]!r:.60}"
        raise _cannot_rotate(old, why, "Say with roles= what the new key may do.")
    return [known[role] for role in old.roles or []]


def description_of(old: ApiKeyResponse) -> str | None:
    """Gives the description of the key without its marker, if another key can be created with it."""
    description = strip_marker(old.description)
    try:
        return checked_description(description and description + " " * MAX_MARKER) and description
    except InvalidRequestError as error:
        raise _cannot_rotate(old, str(error.args[0]), "Say with description= what the new key is for.") from None


def _cannot_rotate(old: ApiKeyResponse, why: str, next_step: str, leftovers: Iterable[str] = ()) -> RotationError:
    return RotationError(
        f"Key {old.id} cannot be rotated: {why}. Nothing was changed.",
        stage="list",
        old_id=old.id,
        leftovers=[*leftovers],
        outcome=Outcome.NOT_SENT,
        next_step=next_step,
    )


def _refusal(verdict: object) -> str:
    """Says why the new key did not pass; empty if it did. An answer of 401, say, is neither True nor False."""
    if verdict is None or verdict is True:
        return ""
    return f"verify returned {'False' if verdict is False else f'a {type(verdict).__name__}'}"


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
            why = _refusal(await call_user_function_async(verify, new))
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
