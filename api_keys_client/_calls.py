"""The four operations as data: what to send, and how to read the answer.

Requests are built by the generated serializers, asked once per client; answers are decoded by
pydantic straight into the generated models.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Final, Generic, Literal, NamedTuple, NoReturn, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

import _generated
from api_keys_client import __version__
from api_keys_client.errors import InvalidRequestError, Outcome
from api_keys_client.settings import Settings

if getattr(_generated, "__distribution__", None) != "api-keys-client" or _generated.__version__ != __version__:
    raise ImportError(
        f"the package _generated at {_generated.__path__[0]} is not the one of api-keys-client {__version__}: "
        "another distribution with a package of that name shadows or overwrote it. "
        "Install api-keys-client again, in an environment without the other one.",
        name="_generated",
    )

T = TypeVar("T")

Role = _generated.APIKeysRolesEnum
ApiKeyResponse = _generated.ApiKeyResponse


class Unset(Enum):
    """The type of `UNSET`, for annotations."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return self.value


UNSET: Final = Unset.UNSET
"""Leaves a field out of the request, so that the server's default holds; None is sent as null."""

Roles: TypeAlias = "Iterable[Role | str] | Literal[Unset.UNSET] | None"
Description: TypeAlias = "str | Literal[Unset.UNSET] | None"


class CreatedKey(ApiKeyResponse):
    """A key as the answer to its creation gives it: the only one with its secret, in `key`."""

    # Built on the first creation: a program that only reads need not wait for it.
    model_config = ConfigDict(defer_build=True)

    # The generated field is nullable; here the secret is known to be there.
    key: Annotated[SecretStr, Field(min_length=1)]  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a created key is not pickled: its secret would be written out in clear")


class Answer:
    """A whole answer of the server's. Its repr is plain because its body may hold a secret."""

    __slots__ = ("body", "problem", "received_at", "retry_after", "status", "token")

    def __init__(self, status: int, body: bytes = b"", *, retry_after: str | None = None) -> None:
        self.status = status
        self.body = body
        self.retry_after = retry_after
        self.received_at = 0.0
        """Seconds since the epoch, by which a Retry-After date is read."""
        self.token = ""
        """What was sent, to be masked in an error body that echoes it; empty on success."""
        self.problem: str | None = None
        """Why the body could not be taken although the status was read."""


class Lost(NamedTuple):
    """No whole answer. The driver knows whether a byte of the request left."""

    sent: bool
    kind: Literal["connection", "timeout", "certificate", "closed"]
    reason: str


class Undecodable(NamedTuple):
    """An answer of the right status that is not what the operation gives."""

    reason: str
    key_id: str | None = None


# Without the methods that nothing uses: a dataclass pays for each at import.
@dataclass(repr=False, eq=False)
class Operation(Generic[T]):
    """One operation of the contract, for one client."""

    name: str
    method: str
    path: str
    target: str
    headers: Mapping[str, str]
    decode: Callable[[Answer, str | None], T | Undecodable]
    replayable: bool
    changes: bool


class Call(Generic[T]):
    """One request of an operation."""

    __slots__ = ("body", "key_id", "operation", "target")

    def __init__(self, operation: Operation[T], body: bytes | None = None, key_id: str | None = None) -> None:
        self.operation = operation
        self.target = operation.target if key_id is None else operation.target + key_id
        self.body = body
        self.key_id = key_id


class Calls:
    """The four operations, as the generated serializers of one client build them."""

    def __init__(self, settings: Settings) -> None:
        # The serializers are private to the generated class, and untyped.
        api: Any = _generated.APIKeysApi(_generated.ApiClient(configuration(settings)))
        id_example = str(uuid.UUID(int=0))
        path_start = len(str(settings.base_url))
        # What is sent begins at the base URL's own path.
        target_start = path_start - len(settings.base_url.prefix)

        def operation(
            name: str,
            serialize: Callable[..., tuple[str, str, dict[str, str], object, object]],
            decode: Callable[[Answer, str | None], T | Undecodable],
            *,
            changes: bool = False,
            replayable: bool = True,
            **parameters: object,
        ) -> Operation[T]:
            method, url, headers, _, _ = serialize(
                **parameters, _request_auth=None, _content_type=None, _headers=None, _host_index=0
            )
            return Operation(
                name=name,
                method=method,
                path=url[path_start:].replace(id_example, "{api_key_id}"),
                target=url[target_start:].replace(id_example, ""),
                headers=headers,
                decode=decode,
                replayable=replayable,
                changes=changes,
            )

        self._create = operation(
            "create",
            api._create_api_key_auth_api_keys_post_serialize,
            _decode_created,
            new_api_key_request={},
            changes=True,
            replayable=False,
        )
        self._list = operation("list", api._get_all_active_api_keys_auth_api_keys_get_serialize, _decode_list)
        self._get = operation(
            "get",
            api._get_api_key_auth_api_keys_api_key_id_get_serialize,
            _decode_record,
            api_key_id=id_example,
        )
        self._deactivate = operation(
            "deactivate",
            api._deactivate_api_key_auth_api_keys_deactivate_api_key_id_delete_serialize,
            _decode_deactivated,
            api_key_id=id_example,
            changes=True,
        )

    def create(self, description: Description, roles: Roles) -> Call[CreatedKey]:
        """Raises InvalidRequestError for a description or a role that the server would not take."""
        fields: dict[str, Any] = {}
        if description is not UNSET:
            fields["description"] = _checked_description(description)
        if roles is not UNSET:
            fields["roles"] = _checked_roles(roles)
        body = _generated.NewApiKeyRequest(**fields).model_dump_json(by_alias=True, exclude_unset=True)
        return Call(self._create, body.encode())

    def list(self) -> Call[list[ApiKeyResponse]]:
        return Call(self._list)

    def get(self, key_id: str | uuid.UUID) -> Call[ApiKeyResponse]:
        """Raises InvalidRequestError for an id that is no UUID."""
        return Call(self._get, key_id=canonical_id(key_id))

    def deactivate(self, key_id: str | uuid.UUID) -> Call[ApiKeyResponse | None]:
        """Raises InvalidRequestError for an id that is no UUID. Decodes to None where the answer has no record."""
        return Call(self._deactivate, key_id=canonical_id(key_id))


def configuration(settings: Settings) -> _generated.Configuration:
    """The generated client's settings, without the token: that is asked for on each call."""
    made = _generated.Configuration(host=str(settings.base_url), no_proxy="")
    # Assigned, not passed: for what is None the constructor looks at the environment.
    made.proxy = settings.proxy and settings.proxy.url
    made.proxy_headers = settings.proxy and settings.proxy.headers
    return made


def canonical_id(key_id: str | uuid.UUID) -> str:
    """The id as the server writes it, lower case with dashes.

    Raises:
        InvalidRequestError: it is neither a UUID nor a string that is one in the usual form.
    """
    canonical = _uuid_in(key_id)
    if canonical is None:
        # The value stays out of the text: what is given by mistake may be a secret.
        raise refused(f"The id of a key is a UUID; this {type(key_id).__name__} is none.")
    return canonical


def key_id_from_secret(secret: str | SecretStr) -> str | None:
    """The id (str) inside an engine's secret, or None where there is none to be read.

    An engine's secret is base64 of `<id>:<random>`: seen, not documented. Anyone can write such a string about
    a key that isn't theirs, so show the record before acting on it.
    """
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, ValueError, TypeError):
        return None
    key_id, colon, rest = decoded.partition(":")
    return _uuid_in(key_id) if colon and rest else None


def refused(message: str) -> InvalidRequestError:
    """The error for an argument that is refused before anything is sent."""
    return InvalidRequestError(message, outcome=Outcome.NOT_SENT, next_step="Nothing was sent; correct the argument.")


def _uuid_in(value: object) -> str | None:
    if isinstance(value, uuid.UUID):
        return str(value)
    if not isinstance(value, str):
        return None
    try:
        canonical = str(uuid.UUID(value))
    except ValueError:
        return None
    # uuid.UUID also takes braces, URNs, missing dashes and digits of other scripts.
    return canonical if canonical == value.lower() else None


def _checked_description(description: object) -> str | None:
    if description is None:
        return None
    if not isinstance(description, str):
        raise refused(f"A description is a string or None, not {type(description).__name__}.")
    if "\0" in description or any("\ud800" <= character <= "\udfff" for character in description):
        raise refused("A description holds no NUL and no lone surrogate: neither can be stored.")
    return description


def _checked_roles(roles: Iterable[Role | str] | None) -> list[Role] | None:
    if roles is None:
        return None
    if isinstance(roles, (str, bytes)) or not isinstance(roles, Iterable):
        raise refused(f"Roles are a list of roles or None, not {type(roles).__name__}.")
    accepted: list[Role] = []
    for role in roles:
        try:
            accepted.append(Role(role))
        except ValueError:
            break
    else:
        return accepted
    known = ", ".join(role.value for role in Role)
    raise refused(f"{role!r:.60} is not a role that a key can be created with: {known}.")


_validate_record = ApiKeyResponse.__pydantic_validator__.validate_json
_validate_list = TypeAdapter(list[ApiKeyResponse]).validator.validate_json


def _decode_record(answer: Answer, key_id: str | None) -> ApiKeyResponse | Undecodable:
    try:
        record: ApiKeyResponse = _validate_record(answer.body)
    except ValidationError as error:
        return Undecodable(_described(error))
    if record.id.lower() != key_id:
        return Undecodable("the record of another key")
    return record


def _decode_list(answer: Answer, _: str | None) -> list[ApiKeyResponse] | Undecodable:
    try:
        records: list[ApiKeyResponse] = _validate_list(answer.body)
    except ValidationError as error:
        return Undecodable(_described(error))
    return records


def _decode_created(answer: Answer, _: str | None) -> CreatedKey | Undecodable:
    try:
        created = CreatedKey.model_validate_json(answer.body)
    except ValidationError as error:
        problem = _described(error)
    else:
        return created
    try:
        record: ApiKeyResponse = _validate_record(answer.body)
    except ValidationError:
        return Undecodable(problem)
    return Undecodable("a record without a usable secret", record.id)


def _decode_deactivated(answer: Answer, key_id: str | None) -> ApiKeyResponse | Undecodable | None:
    return _decode_record(answer, key_id) if answer.body else None


def _described(error: ValidationError) -> str:
    """The first faults, by place and type: pydantic's own text holds the input."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)[:3]
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['type']}" for fault in faults)
