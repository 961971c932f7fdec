"""What the sandbox answers: no sockets, no threads, no faults."""

from __future__ import annotations

import hmac
import json
import re
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NoReturn, TypeAlias
from urllib.parse import quote
from uuid import UUID

from pydantic import TypeAdapter
from werkzeug.wrappers import Request, Response

from api_keys_client import Role
from api_keys_client.sandbox.keys import KeyStore, StoredKey

Operation: TypeAlias = Literal["create", "list", "get", "deactivate"]
Profile: TypeAlias = Literal["engine", "spec"]

_ROUTES: Final[tuple[tuple[str, Mapping[str, Operation]], ...]] = (
    (r"/auth/api_keys/()", {"POST": "create", "GET": "list"}),
    (r"/auth/api_keys/([^/]+)", {"GET": "get"}),
    (r"/auth/api_keys/deactivate/([^/]+)", {"DELETE": "deactivate"}),
)
_TENANT_ROLE: Final = "TENANT-USER"
_UUID: Final = TypeAdapter(UUID)
_BUILD: Final = "2.1.686"
# In a wheel the contract lies in the package, in a checkout beside it.
_PLACES: Final = [Path(__file__).parents[depth] / "openapi.json" for depth in (1, 2)]


@dataclass
class ReceivedRequest:
    """A request that came in: `operation` is None for an unknown path, `status` until an answer goes out."""

    method: str
    path: str
    operation: Operation | None
    status: int | None = None


def operation_of(request: Request) -> Operation | None:
    """Gives which of the four operations the request asks for, if any."""
    operations, _ = _route(request.path)
    return operations.get(request.method)


def _route(path: str) -> tuple[Mapping[str, Operation], str]:
    """Gives the operations at a path by their methods, and the id in the path; none of both where there is nothing."""
    for pattern, operations in _ROUTES:
        if match := re.fullmatch(pattern, path):
            return operations, match[1]
    return {}, ""


class Answers:
    """Answers requests in one of the two profiles. Not thread-safe: its user holds a lock."""

    def __init__(self, profile: Profile, store: KeyStore, token: str, limit: int) -> None:
        self._as_engine = profile == "engine"
        self._store = store
        self._token = token
        self._limit = limit
        self._started_at = time.time()

    def answer(self, request: Request) -> Response:
        """Does what the request asks for, and gives the answer."""
        try:
            if request.path in ("/health", "/openapi.json"):
                return self._about(request)
            if self._as_engine and request.path == "/users/me" and request.method == "GET":
                return self._me(_presented(request))
            operations, key_id = _route(request.path)
            if not operations:
                return self._redirect(request)
            if operation := operations.get(request.method):
                return self._perform(operation, request, key_id)
            # The engine names the first method only.
            allowed = [*operations][: 1 if self._as_engine else None]
            raise _Refused(405, "Method Not Allowed", {"Allow": ", ".join(allowed)})
        except _Refused as refused:
            return json_response(refused.status, {"detail": refused.detail}, refused.headers)
        except (ValueError, RecursionError, sqlite3.Error):
            # The engine doesn't expect what its parser or its database refuses.
            return json_response(500, {"detail": "Something went wrong."})

    def _about(self, request: Request) -> Response:
        """Answers the two paths that ask for no token."""
        if request.method != "GET":
            raise _Refused(405, "Method Not Allowed", {"Allow": "GET"})
        if request.path == "/health":
            return json_response(200, {"message": "ok", "build_version": _BUILD})
        contract = next(place for place in _PLACES if place.exists()).read_text(encoding="utf-8")
        said = "Up to {} active keys can exist at the same time"
        return json_response(200, json.loads(re.sub(said.format(r"\d+"), said.format(self._limit), contract)))

    def _me(self, token: str) -> Response:
        """Tells callers who they are; unlike the four operations, this lets in every active key."""
        key = self._store.active_with(token)
        if key is None:
            self._admit(token)
        user_id, roles = (key.id, key.roles) if key else ("master-key", ("ADMIN-KEY",))
        return json_response(200, {"user_id": user_id, "roles": roles, "org_scope": None, "org": None})

    def _perform(self, operation: Operation, request: Request, key_id: str) -> Response:
        # The order is the engine's: JSON that cannot be read, no token, bad values, a wrong token, the rest.
        body = self._json(request) if operation == "create" else None
        token = _presented(request)
        if operation == "create":
            description, roles = self._wanted(body)
            self._admit(token)
            return self._create(description, roles)
        if operation == "list":
            self._admit(token)
            return json_response(200, [self._record(key) for key in self._store.active()])
        canonical_id = self._canonical(key_id)
        self._admit(token)
        deactivate = operation == "deactivate"
        key = self._store.deactivate(canonical_id) if deactivate else self._store.find(canonical_id)
        if key is None:
            raise _Refused(404, "API Key not found")
        if deactivate and self._as_engine:
            return PlainResponse(status=204)
        return json_response(200, self._record(key))

    def _create(self, description: str | None, roles: list[str]) -> Response:
        if _TENANT_ROLE in roles:
            message = f"Roles ['{_TENANT_ROLE}'] cannot be assigned via this endpoint; use the tenant signup flow."
            raise _Refused(400, message)
        created_at = self._started_at if self._as_engine else time.time()
        try:
            added = self._store.add(description, roles, created_at, self._limit)
        except ValueError:
            if self._as_engine:
                raise
            self._invalid("string_type", ("body", "description"), "Input should be a valid string", description)
        if added is None:
            raise _Refused(400, "Maximum number of active keys reached")
        key, secret = added
        message = "Keep this key somewhere safe now: it is not shown again."
        return json_response(200, self._record(key) | {"key": secret, "message": message})

    def _redirect(self, request: Request) -> Response:
        toggled = request.path.rstrip("/") if request.path.endswith("/") else f"{request.path}/"
        known, _ = _route(toggled)
        if not (known and self._as_engine):
            raise _Refused(404, "Not Found")
        query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
        scheme = request.headers.get("X-Forwarded-Proto", "http")
        location = f"{scheme}://{request.host}{request.root_path}{quote(toggled)}{query}"
        return PlainResponse(status=307, headers={"Location": location})

    def _record(self, key: StoredKey) -> dict[str, object]:
        record: dict[str, object] = {
            "id": key.id,
            "key": None,
            "description": key.description,
            "is_active": key.is_active,
            "created_at": self._moment(key.created_at),
            "deactivated_at": None if key.deactivated_at is None else self._moment(key.deactivated_at),
            "message": "" if self._as_engine else None,
            "roles": key.roles,
        }
        if self._as_engine:
            return {name: value for name, value in record.items() if value is not None}
        return record

    def _moment(self, seconds: float) -> str:
        return datetime.fromtimestamp(seconds, None if self._as_engine else UTC).isoformat()

    def _admit(self, token: str) -> None:
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise _Refused(401, "Unauthorized")

    def _json(self, request: Request) -> object:
        data = request.get_data()
        if not data:
            self._invalid("missing", ("body",), "Field required", None)
        if not re.fullmatch(r"application/(.*\+)?json", request.mimetype):
            return data
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            if self._as_engine and not isinstance(error, json.JSONDecodeError):
                raise
            self._invalid("json_invalid", ("body", getattr(error, "pos", 0)), "JSON decode error", {})

    def _wanted(self, body: object) -> tuple[str | None, list[str]]:
        if not isinstance(body, dict):
            self._invalid("model_attributes_type", ("body",), "Input should be a valid dictionary", body)
        description = body.get("description")
        if not (description is None or isinstance(description, str)):
            message = "Input should be a valid string"
            self._invalid("string_type", ("body", "description"), message, description)
        roles = body.get("roles", ["VALIDATION-USER"])
        if roles is None:
            return description, []
        if not isinstance(roles, list):
            self._invalid("list_type", ("body", "roles"), "Input should be a valid list", roles)
        # The engine knows this role, whether or not the contract has it, and refuses it later.
        allowed = [role.value for role in Role if role.value != _TENANT_ROLE]
        if self._as_engine:
            allowed.append(_TENANT_ROLE)
        for index, role in enumerate(roles):
            if role not in allowed:
                message = f"Input should be one of {', '.join(allowed)}"
                self._invalid("enum", ("body", "roles", index), message, role)
        return description, roles

    def _canonical(self, key_id: str) -> str:
        try:
            return str(_UUID.validate_python(key_id))
        except ValueError:
            message = "Input should be a valid UUID"
            self._invalid("uuid_parsing", ("path", "api_key_id"), message, key_id)

    def _invalid(self, kind: str, place: tuple[str | int, ...], message: str, value: object) -> NoReturn:
        error = {"type": kind, "loc": place, "msg": message}
        if self._as_engine:
            source = '  File "/app/src/routers/api_key_routes.py", line 1, in api_keys'
            raise _Refused(400, f"1 validation error:\n  {error | {'input': value}}\n\n{source}")
        raise _Refused(422, [error])


class _Refused(Exception):
    """A request that is not done: the status, detail and headers to answer with."""

    def __init__(self, status: int, detail: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class PlainResponse(Response):
    """A response with no content type and no length but those that it is given."""

    default_mimetype = None
    automatically_set_content_length = False


def json_response(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    """Gives an answer with a JSON body, its content type without a charset."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return PlainResponse(body, status, headers, content_type="application/json")


def _presented(request: Request) -> str:
    """Gives the token that came with the request; a cookie goes before the header."""
    text = request.cookies.get("ACCESS_TOKEN", request.headers.get("Authorization", ""))
    words = text.split()
    if not words:
        raise _Refused(401, "Requires authentication")
    if len(words) != 2 or words[0].lower() != "bearer":
        raise _Refused(401, "Bad credentials")
    return words[1]
