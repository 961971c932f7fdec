"""The four operations as data: what to send, and how to read the answer.

Requests are built by the generated serializers, asked once per client; answers are decoded by
pydantic straight into the generated models.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from inspect import signature
from typing import Annotated, Any

from pydantic import ConfigDict, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_core import from_json

from api_keys_client._core.generated import ApiClient, ApiKeyResponse, APIKeysApi, Configuration, NewApiKeyRequest
from api_keys_client._core.messages import DecodeFailure, Operation, RawResponse, Request, T
from api_keys_client._core.options import SecretHeaders, Settings
from api_keys_client._core.validation import (
    UNSET,
    Description,
    Roles,
    canonical_id,
    checked_description,
    checked_roles,
    uuid_in,
)


class CreatedKey(ApiKeyResponse):
    """A key as the answer to its creation gives it: an `ApiKeyResponse` whose secret, `key`, is there."""

    # Built on the first creation: a program that only reads need not wait for it.
    model_config = ConfigDict(defer_build=True)

    # The generated field is nullable; here the secret is known to be there.
    key: Annotated[SecretStr, Field(min_length=1)]  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]


class Operations:
    """The four operations, as the generated serializers of one client build them."""

    def __init__(self, settings: Settings) -> None:
        # The serializers are private to the generated class, and untyped.
        api: Any = APIKeysApi(ApiClient(configuration(settings)))
        id_example = str(uuid.UUID(int=0))
        path_start = len(str(settings.base_url))
        host = settings.base_url.host_header()

        def operation(
            name: str,
            serialize: Callable[..., tuple[str, str, dict[str, str], object, object]],
            decode: Callable[[RawResponse, str | None], T | DecodeFailure],
            *,
            changes: bool = False,
            unknown: str = "",
            idempotent: bool = True,
            **parameters: object,
        ) -> Operation[T]:
            # None leaves out what the contract may have come to offer.
            given = dict.fromkeys(signature(serialize).parameters) | parameters | {"_host_index": 0}
            method, url, headers, _, _ = serialize(**given)
            path = url[path_start:]
            # Not in the prefix, which may hold the same id: that of a default tenant, say.
            before_id, _, after_id = path.partition(id_example)
            return Operation(
                name=name,
                method=method,
                path=path.replace(id_example, "{api_key_id}"),
                target=settings.base_url.prefix + before_id,
                after_id=after_id,
                headers=SecretHeaders({**headers, "Accept-Encoding": "identity", **settings.headers, **host}),
                decode=decode,
                idempotent=idempotent,
                changes=changes,
                unknown=unknown,
            )

        self._create = operation(
            "create",
            api._create_api_key_auth_api_keys_post_serialize,
            _decode_created,
            changes=True,
            unknown="A key may have been created; its secret is lost.",
            idempotent=False,
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
            unknown="The key may be deactivated or still active.",
        )

    def create(self, description: Description, roles: Roles) -> Request[CreatedKey]:
        """Raises InvalidRequestError for a description or a role that the server would not take."""
        fields: dict[str, Any] = {}
        if description is not UNSET:
            fields["description"] = checked_description(description)
        if roles is not UNSET:
            fields["roles"] = checked_roles(roles)
        body = NewApiKeyRequest(**fields).model_dump_json(exclude_unset=True)
        return Request(self._create, body.encode())

    def list(self) -> Request[list[ApiKeyResponse]]:
        return Request(self._list)

    def get(self, key_id: str | uuid.UUID) -> Request[ApiKeyResponse]:
        """Raises InvalidRequestError for an id that is no UUID."""
        return Request(self._get, key_id=canonical_id(key_id))

    def deactivate(self, key_id: str | uuid.UUID) -> Request[ApiKeyResponse | None]:
        """Raises InvalidRequestError for an id that is no UUID. Decodes to None where the answer has no record."""
        return Request(self._deactivate, key_id=canonical_id(key_id))


def configuration(settings: Settings) -> Configuration:
    """Gives the generated client's settings, without the token: that is asked for on each call."""
    # Empty at first: for what is None the constructor looks at the environment.
    made = Configuration(host=str(settings.base_url), proxy="", no_proxy="")
    made.proxy = settings.proxy.url if settings.proxy else None
    made.proxy_headers = settings.proxy.headers if settings.proxy else None
    return made


_validate_record = ApiKeyResponse.__pydantic_validator__.validate_json
_validate_list = TypeAdapter(list[ApiKeyResponse], config=ConfigDict(hide_input_in_errors=True)).validator.validate_json


def _decode_record(answer: RawResponse, key_id: str | None) -> ApiKeyResponse | DecodeFailure:
    try:
        record: ApiKeyResponse = _validate_record(answer.body)
    except ValidationError as error:
        return DecodeFailure(_described(error))
    if record.id.lower() != key_id:
        return DecodeFailure("the record of another key")
    return record


def _decode_list(answer: RawResponse, _: str | None) -> list[ApiKeyResponse] | DecodeFailure:
    try:
        records: list[ApiKeyResponse] = _validate_list(answer.body)
    except ValidationError as error:
        place, problem = error.errors(include_input=False)[0]["loc"], _described(error)
    else:
        return records
    try:
        # As below. One record that cannot be read is no reason to look at all of them.
        key_id = uuid_in(from_json(answer.body)[place[0]]["id"])
    except (ValueError, TypeError, LookupError):
        key_id = None
    return DecodeFailure(f"the record of key {key_id}: {problem}" if key_id else problem)


def _decode_created(answer: RawResponse, _: str | None) -> CreatedKey | DecodeFailure:
    try:
        # Looked up each time, since it is built by the first one.
        created: CreatedKey = CreatedKey.__pydantic_validator__.validate_json(answer.body)
    except ValidationError as error:
        problem = _described(error)
    else:
        # Without a UUID nobody could get or deactivate it.
        return created if uuid_in(created.id) else DecodeFailure("id: no UUID")
    try:
        # Not in a variable, which a traceback could print; nor by the json module, whose error keeps the document.
        return DecodeFailure(problem, uuid_in(from_json(answer.body)["id"]))
    except (ValueError, TypeError, LookupError):
        return DecodeFailure(problem)


def _decode_deactivated(answer: RawResponse, key_id: str | None) -> ApiKeyResponse | DecodeFailure | None:
    return _decode_record(answer, key_id) if answer.body else None


def _described(error: ValidationError) -> str:
    """Gives the first faults, by place and type: pydantic's own text holds the input."""
    faults = error.errors(include_input=False)[:3]
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['type']}" for fault in faults)
