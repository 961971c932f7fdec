"""What a caller may give: checked before anything is sent."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import AsyncGenerator, Awaitable, Generator, Iterable
from enum import Enum
from functools import partial
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Final, Literal, TypeAlias

from pydantic import SecretStr

from api_keys_client._core.generated import Role
from api_keys_client.errors import InvalidRequestError, Outcome

UUID_PATTERN = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""As the server writes one, in ASCII digits alone."""

MAX_DESCRIPTION_BYTES = 64 * 1024

_SURROGATE = re.compile("[\ud800-\udfff]")
# Spelled out: a pattern that ignores case takes twice as long.
_UUID = re.compile(UUID_PATTERN.replace("a-f", "a-fA-F"))


class Unset(Enum):
    """The type of `UNSET`, for annotations."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return self.value


UNSET: Final[Literal[Unset.UNSET]] = Unset.UNSET
"""Leaves a field out of the request, so that the server's default holds; None is sent as null."""

Roles: TypeAlias = Iterable[Role | str] | Literal[Unset.UNSET] | None
Description: TypeAlias = str | Literal[Unset.UNSET] | None


def canonical_id(key_id: str | uuid.UUID) -> str:
    """Gives the id as the server writes it, lower case with dashes.

    Raises:
        InvalidRequestError: it is neither a UUID nor a string that is one in the usual form.
    """
    canonical = uuid_in(key_id)
    if canonical is None:
        # The value stays out of the text: what is given by mistake may be a secret.
        given = "this string is none" if isinstance(key_id, str) else f"this is {type(key_id).__name__}"
        advice = " Of a record, give its id." if hasattr(key_id, "id") else ""
        raise invalid_argument(f"A key's id is a UUID; {given}.{advice}")
    return canonical


def key_id_from_secret(secret: str | SecretStr) -> str | None:
    """Gives the id (str) inside an engine's secret, or None where there is none to be read.

    An engine's secret is base64 of `<id>:<random>`: seen, not documented. Anyone can write such a string about
    a key that isn't theirs, so show the record before acting on it.

    Example:
        >>> key_id_from_secret(secret) == key.id
        True
    """
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    try:
        # A file that has it may end with a line end.
        decoded = base64.b64decode(text.strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError, TypeError, AttributeError):
        return None
    key_id, colon, rest = decoded.partition(":")
    return uuid_in(key_id) if colon and rest else None


def invalid_argument(message: str) -> InvalidRequestError:
    """Gives the error for an argument that is refused before anything is sent."""
    return InvalidRequestError(message, outcome=Outcome.NOT_SENT, next_step="Nothing was sent; correct the argument.")


def uuid_in(value: object) -> str | None:
    """Gives the value in canonical form if it is a UUID, or a string that is one in the usual form."""
    if isinstance(value, uuid.UUID):
        return str(value)
    # uuid.UUID would also take braces, URNs, missing dashes and digits of other scripts, and takes longer.
    return value.lower() if isinstance(value, str) and _UUID.fullmatch(value) else None


def checked_function(function: object) -> object:
    """Gives what a `functools.partial` of a user's function calls in the end: only that shows what kind it is."""
    while isinstance(function, partial):
        function = function.func
    if not callable(function):
        raise invalid_argument(
            f"store= and verify= are functions that take the new key, not {type(function).__name__}."
        )
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise invalid_argument(
            "store= and verify= are functions that do their work when called; this one is a generator."
        )
    return function


def checked_result(result: object) -> object:
    """Gives what a user's function gave, if it is no work that is still to be done: taken for done, that would be lost.

    Raises:
        TypeError: it is. No NotStored, because something may have been written before it was given.
    """
    if isinstance(result, (Awaitable, Generator, AsyncGenerator)) or hasattr(result, "add_done_callback"):
        given = type(result).__name__
        raise TypeError(f"store= and verify= do their work when they are called; this one gave a {given}")
    return result


def checked_description(description: object) -> str | None:
    if description is None:
        return None
    if not isinstance(description, str):
        raise invalid_argument(f"A description is a string or None, not {type(description).__name__}.")
    if (
        len(description) > MAX_DESCRIPTION_BYTES // 4
        and len(description.encode(errors="replace")) > MAX_DESCRIPTION_BYTES
    ):
        # Every list has it: a few of megabytes would make the list longer than anybody reads.
        raise invalid_argument(
            f"A description is at most {MAX_DESCRIPTION_BYTES // 1024} KiB of UTF-8, the client's own marker included."
        )
    if "\0" in description or not (description.isascii() or _SURROGATE.search(description) is None):
        raise invalid_argument("A description holds no NUL and no lone surrogate: neither can be stored.")
    return description


def checked_filter(role: object) -> object:
    """Gives a role to look for; one of the server's own that this client doesn't know may be looked for too.

    Raises:
        InvalidRequestError: it is a known one but for its spelling, and nothing would be found.
    """
    known = {member.value for member in Role}
    if isinstance(role, str) and role not in known and (meant := role.upper().replace("_", "-")) in known:
        raise invalid_argument(f"A role is looked for as it is spelled: {meant}.")
    return role


def checked_roles(roles: Iterable[Role | str] | None) -> list[Role] | None:
    if roles is None:
        return None
    if isinstance(roles, (str, bytes)) or not isinstance(roles, Iterable):
        raise invalid_argument(
            f'Roles come in a list, such as ["TASK-ADMIN"], or are None; this is {type(roles).__name__}.'
        )
    accepted: list[Role] = []
    for role in roles:
        try:
            accepted.append(Role(role))
        except ValueError:
            break
    else:
        return accepted
    known = ", ".join(role.value for role in Role)
    # By its place: what is given by mistake may be a secret.
    raise invalid_argument(f"Role {len(accepted) + 1} is none that a key can be created with: {known}.")
