"""What a rotation decides from what it knows: which keys it ends, and what the new one gets. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, TypeAlias

from api_keys_client._core.generated import ApiKeyResponse, Role
from api_keys_client._core.markers import MAX_MARKER, FoundLeftovers, strip_marker
from api_keys_client._core.operations import CreatedKey
from api_keys_client._core.validation import canonical_id, checked_description, invalid_argument
from api_keys_client.errors import InvalidRequestError, Outcome, RotationError

Leftovers: TypeAlias = Literal["refuse", "deactivate", "keep"] | list[str] | tuple[str, ...] | set[str]
NewKeyCallback: TypeAlias = Callable[[CreatedKey], Awaitable[object] | object]


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


def roles_of(old: ApiKeyResponse) -> list[Role]:
    """Gives the roles of the key, if another can be created with them."""
    known = {role.value: role for role in Role}
    unknown = [role for role in old.roles or [] if role not in known]
    if unknown:
        why = f"no key can be created with its role {unknown[0]!r:.60}"
        raise cannot_rotate(old, why, "Say with roles= what the new key may do.")
    return [known[role] for role in old.roles or []]


def description_of(old: ApiKeyResponse) -> str | None:
    """Gives the description of the key without its marker, if another key can be created with it."""
    description = strip_marker(old.description)
    try:
        return checked_description(description and description + " " * MAX_MARKER) and description
    except InvalidRequestError as error:
        raise cannot_rotate(old, str(error.args[0]), "Say with description= what the new key is for.") from None


def cannot_rotate(old: ApiKeyResponse, why: str, next_step: str, leftovers: Iterable[str] = ()) -> RotationError:
    return RotationError(
        f"Key {old.id} cannot be rotated: {why}. Nothing was changed.",
        stage="list",
        old_id=old.id,
        leftovers=[*leftovers],
        outcome=Outcome.NOT_SENT,
        next_step=next_step,
    )


def refusal(verdict: object) -> str:
    """Says why the new key did not pass; empty if it did. An answer of 401, say, is neither True nor False."""
    if verdict is None or verdict is True:
        return ""
    return f"verify returned {'False' if verdict is False else f'a {type(verdict).__name__}'}"
