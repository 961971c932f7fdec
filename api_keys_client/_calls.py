"""The four operations as data: what to send, and how to read the answer.

Requests are built by the generated serializers, asked once per client; answers are decoded by
pydantic straight into the generated models.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from pydantic import ConfigDict, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_core import from_json

from api_keys_client._arguments import (
    UNSET,
    Description,
    Roles,
    canonical_id,
    checked_description,
    checked_roles,
    uuid_in,
)
from api_keys_client._contract import ApiClient, ApiKeyResponse, APIKeysApi, Configuration, NewApiKeyRequest
from api_keys_client.errors import FailureKind
from api_keys_client.settings import SecretHeaders, Settings

T = TypeVar("T")


class CreatedKey(ApiKeyResponse):
    """A key as the answer to its creation gives it: the only one with its secret, in `key`."""

    # Built on the first creation: a program that only reads need not wait for it.
    model_config = ConfigDict(defer_build=True)

    # The generated field is nullable; here the secret is known to be there.
    key: Annotated[SecretStr, Field(min_length=1)]  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]


class Answer:
    """A whole answer of the server's. Its repr is plain because its body may hold a secret."""

    __slots__ = ("body", "problem", "received_at", "retry_after", "status", "token")

    def __init__(self, status: int, body: bytes = b"", retry_after: str | None = None) -> None:
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
    kind: FailureKind
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
    headers: SecretHeaders
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
        api: Any = APIKeysApi(ApiClient(configuration(settings)))
        id_example = str(uuid.UUID(int=0))
        path_start = len(str(settings.base_url))

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
                # Not in the prefix, which may hold the same id: that of a default tenant, say.
                target=settings.base_url.prefix + url[path_start:].replace(id_example, ""),
                headers=SecretHeaders({**headers, **settings.headers}),
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
            fields["description"] = checked_description(description)
        if roles is not UNSET:
            fields["roles"] = checked_roles(roles)
        body = NewApiKeyRequest(**fields).model_dump_json(exclude_unset=True)
        return Call(self._create, body.encode())

    def list(self) -> Call[list[ApiKeyResponse]]:
        return Call(self._list)

    def get(self, key_id: str | uuid.UUID) -> Call[ApiKeyResponse]:
        """Raises InvalidRequestError for an id that is no UUID."""
        return Call(self._get, key_id=canonical_id(key_id))

    def deactivate(self, key_id: str | uuid.UUID) -> Call[ApiKeyResponse | None]:
        """Raises InvalidRequestError for an id that is no UUID. Decodes to None where the answer has no record."""
        return Call(self._deactivate, key_id=canonical_id(key_id))


def configuration(settings: Settings) -> Configuration:
    """The generated client's settings, without the token: that is asked for on each call."""
    # Empty at first: for what is None the constructor looks at the environment.
    made = Configuration(host=str(settings.base_url), proxy="", no_proxy="")
    made.proxy = settings.proxy.url if settings.proxy else None
    made.proxy_headers = settings.proxy.headers if settings.proxy else None
    return made


_validate_record = ApiKeyResponse.__pydantic_validator__.validate_json
_validate_list = TypeAdapter(list[ApiKeyResponse], config=ConfigDict(hide_input_in_errors=True)).validator.validate_json


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
        # Looked up each time, since it is built by the first one.
        created: CreatedKey = CreatedKey.__pydantic_validator__.validate_json(answer.body)
    except ValidationError as error:
        problem = _described(error)
    else:
        # Without a UUID nobody could get or deactivate it.
        return created if uuid_in(created.id) else Undecodable("id: no UUID")
    try:
        # In no local, which would show the secret to an interrupt; and the json module's error holds the document.
        return Undecodable(problem, uuid_in(from_json(answer.body)["id"]))
    except (ValueError, TypeError, LookupError):
        return Undecodable(problem)


def _decode_deactivated(answer: Answer, key_id: str | None) -> ApiKeyResponse | Undecodable | None:
    return _decode_record(answer, key_id) if answer.body else None


def _described(error: ValidationError) -> str:
    """The first faults, by place and type: pydantic's own text holds the input."""
    faults = error.errors(include_input=False)[:3]
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['type']}" for fault in faults)
