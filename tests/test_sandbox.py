"""The sandbox over real sockets: what each profile answers, its faults, its life as a process."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import urllib3
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from pytest_httpserver import HTTPServer
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as WsgiClient
from werkzeug.wrappers import Response

from api_keys_client.faults import Exchange
from api_keys_client.sandbox import Fault, Operation, Profile, ReceivedRequest, Sandbox, StoredKey

KEYS = "/auth/api_keys/"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
SPEC: dict[str, Any] = json.loads((Path(__file__).parent.parent / "openapi.json").read_text())
ONE_KEY = {"$ref": "#/components/schemas/ApiKeyResponse"}
MANY_KEYS = {"type": "array", "items": ONE_KEY}
INVALID = {"$ref": "#/components/schemas/HTTPValidationError"}
PATIENCE = 10


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        assert list(self.json) == ["detail"]
        return self.json["detail"]


class Caller:
    """One connection to a server, and the token to send."""

    def __init__(self, url: str, token: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
        self.headers = {"Authorization": f"Bearer {token}"}

    def send(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> None:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, self.headers if headers is None else headers)

    def receive(self) -> Answer:
        response = self.connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def call(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> Answer:
        self.send(method, path, body, headers=headers)
        return self.receive()

    def create(self, **body: object) -> dict[str, Any]:
        answer = self.call("POST", KEYS, body)
        assert answer.status == 200, answer
        return answer.json  # type: ignore[no-any-return]

    def deactivate(self, key_id: str) -> Answer:
        return self.call("DELETE", f"{KEYS}deactivate/{key_id}")

    def list_ids(self) -> list[str]:
        return [key["id"] for key in self.call("GET", KEYS).json]


@contextmanager
def caller_on(url: str, token: str) -> Iterator[Caller]:
    caller = Caller(url, token)
    try:
        yield caller
    finally:
        caller.connection.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with caller_on(sandbox.url, sandbox.token) as caller:
        yield caller


@pytest.fixture
def spec_sandbox() -> Iterator[Sandbox]:
    with Sandbox(profile="spec") as sandbox:
        yield sandbox


@pytest.fixture
def spec_caller(spec_sandbox: Sandbox) -> Iterator[Caller]:
    with caller_on(spec_sandbox.url, spec_sandbox.token) as caller:
        yield caller


def stored(sandbox: Sandbox) -> list[StoredKey]:
    return sandbox.keys()


def valid(answer: Answer, schema: dict[str, Any]) -> Answer:
    """The answer, once it is seen to be what openapi.json promises."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    whole = {**schema, "components": SPEC["components"]}
    OAS31Validator(whole, format_checker=oas31_format_checker).validate(answer.json)
    return answer


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"


@contextmanager
def connection_reset() -> Iterator[None]:
    """Really reset: http.client's RemoteDisconnected, for an orderly end, is a ConnectionResetError too."""
    with pytest.raises(ConnectionResetError) as caught:
        yield
    assert caught.type is ConnectionResetError


def one_of_each(caller: Caller, *, headers: dict[str, str]) -> list[Answer]:
    return [
        caller.call("POST", KEYS, {}, headers=headers),
        caller.call("GET", KEYS, headers=headers),
        caller.call("GET", f"{KEYS}{UNKNOWN_ID}", headers=headers),
        caller.call("DELETE", f"{KEYS}deactivate/{UNKNOWN_ID}", headers=headers),
    ]


class TestEngineCreate:
    def test_with_roles_and_description(self, caller: Caller) -> None:
        answer = caller.call("POST", KEYS, {"roles": ["TASK-ADMIN"], "description": "Ünïcode 🔑"})
        assert answer.status == 200
        assert "Ünïcode 🔑".encode() in answer.body
        key = answer.json
        assert set(key) == {"id", "key", "description", "is_active", "created_at", "message", "roles"}
        assert (key["roles"], key["description"], key["is_active"]) == (["TASK-ADMIN"], "Ünïcode 🔑", True)
        assert isinstance(key["message"], str)
        assert key["message"]

    def test_of_an_empty_object_has_the_default_role_and_no_description(self, caller: Caller) -> None:
        key = caller.create()
        assert key["roles"] == ["VALIDATION-USER"]
        assert "description" not in key

    @pytest.mark.parametrize("roles", [None, []])
    def test_with_null_or_empty_roles_has_none(self, caller: Caller, roles: list[str] | None) -> None:
        assert caller.create(roles=roles)["roles"] == []

    def test_keeps_duplicate_roles_in_order(self, caller: Caller) -> None:
        roles = ["ORG-ADMIN", "TASK-ADMIN", "ORG-ADMIN"]
        key = caller.create(roles=roles)
        assert key["roles"] == roles
        assert caller.call("GET", f"{KEYS}{key['id']}").json["roles"] == roles

    def test_ignores_unknown_fields(self, caller: Caller) -> None:
        key = caller.create(description="kept", id="mine", key="mine", is_active=False, colour="red")
        assert "colour" not in key
        assert key["is_active"]
        assert "mine" not in (key["id"], key["key"])

    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            ({"roles": ["TASK-ADMIN", "EMPEROR"]}, "('body', 'roles', 1)"),
            ({"roles": ["EMPEROR"]}, "'input': 'EMPEROR'"),
            ({"roles": "TASK-ADMIN"}, "'input': 'TASK-ADMIN'"),
            ({"roles": [["TASK-ADMIN"]]}, "['TASK-ADMIN']"),
            ({"description": 17}, "17"),
            ({"description": "\ud800"}, "ud800"),
            (["a list"], "a list"),
            (None, "missing"),
            (b'"text"', "text"),
            (b"", "missing"),
            (b"{", "json_invalid"),
            (b"\xff", "json_invalid"),
            (b"[" * 100_000, "json_invalid"),
        ],
    )
    def test_of_something_invalid_is_400_with_the_errors_as_one_string(
        self, sandbox: Sandbox, caller: Caller, body: object, shown: str
    ) -> None:
        answer = caller.call("POST", KEYS, body)
        assert answer.status == 400
        assert isinstance(answer.detail, str)
        assert shown in answer.detail
        assert answer.detail.startswith("[{'type': ")
        assert sandbox.keys() == []

    @pytest.mark.parametrize(
        ("content_type", "status"),
        [
            ("text/plain", 400),
            ("application/x-www-form-urlencoded", 400),
            ("application/json; charset=utf-8", 200),
            ("application/merge-patch+json", 200),
        ],
    )
    def test_is_taken_as_json_only(self, caller: Caller, content_type: str, status: int) -> None:
        headers = {**caller.headers, "Content-Type": content_type}
        assert caller.call("POST", KEYS, {}, headers=headers).status == status

    def test_of_a_tenant_user_is_400(self, sandbox: Sandbox, caller: Caller) -> None:
        answer = caller.call("POST", KEYS, {"roles": ["TASK-ADMIN", "TENANT-USER"]})
        assert answer.status == 400
        assert answer.detail == (
            "Roles ['TENANT-USER'] cannot be assigned via this endpoint; use the tenant signup flow."
        )
        assert sandbox.keys() == []

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
    def test_of_broken_json_is_refused_before_the_token_is_looked_at(
        self, caller: Caller, headers: dict[str, str]
    ) -> None:
        assert caller.call("POST", KEYS, b"{", headers=headers).status == 400


class TestLimit:
    @pytest.mark.parametrize("profile", ["engine", "spec"])
    def test_counts_active_keys_only(self, profile: Profile) -> None:
        with Sandbox(limit=2, profile=profile) as sandbox, caller_on(sandbox.url, sandbox.token) as caller:
            first = caller.create()
            caller.create()
            refused = caller.call("POST", KEYS, {})
            assert (refused.status, refused.detail) == (400, "Maximum number of active keys reached")
            assert len(sandbox.keys()) == 2
            caller.deactivate(first["id"])
            caller.create()

    def test_holds_when_many_threads_create_at_once(self) -> None:
        barrier = threading.Barrier(16)
        with Sandbox(limit=40) as sandbox:

            def create_four(_: int) -> list[int]:
                with caller_on(sandbox.url, sandbox.token) as caller:
                    barrier.wait(PATIENCE)
                    return [caller.call("POST", KEYS, {}).status for _ in range(4)]

            with ThreadPoolExecutor(16) as pool:
                statuses = [status for four in pool.map(create_four, range(16)) for status in four]
            assert (statuses.count(200), statuses.count(400)) == (40, 24)
            assert len(sandbox.keys()) == 40
            assert len(sandbox.requests) == 64


class TestEngineList:
    def test_has_the_active_keys_without_their_secrets(self, caller: Caller) -> None:
        kept, ended = caller.create(description="kept"), caller.create(description="ended")
        caller.deactivate(ended["id"])
        answer = caller.call("GET", KEYS)
        assert answer.status == 200
        del kept["key"]
        assert answer.json == [{**kept, "message": ""}]

    def test_is_empty_without_keys(self, caller: Caller) -> None:
        assert caller.call("GET", KEYS).json == []

    def test_is_in_no_particular_order(self, sandbox: Sandbox, caller: Caller) -> None:
        made = [caller.create()["id"] for _ in range(12)]
        listed = caller.list_ids()
        assert sorted(listed) == sorted(made)
        assert listed not in (made, made[::-1], sorted(made))
        assert [key.id for key in stored(sandbox)] == made

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
    def test_without_the_slash_redirects_to_plain_http_at_the_host_header(
        self, sandbox: Sandbox, caller: Caller, method: str
    ) -> None:
        headers = {**caller.headers, "Host": "keys.example:8443"}
        answer = caller.call(method, "/auth/api_keys?page=2", b"{}", headers=headers)
        assert (answer.status, answer.body, answer.headers["content-length"]) == (307, b"", "0")
        assert answer.headers["location"] == "http://keys.example:8443/auth/api_keys/?page=2"
        assert sandbox.keys() == []


class TestEngineGet:
    def test_knows_a_deactivated_key(self, caller: Caller) -> None:
        key = caller.create(description="mine")
        caller.deactivate(key["id"])
        answer = caller.call("GET", f"{KEYS}{key['id']}")
        assert answer.status == 200
        assert answer.json["is_active"] is False
        assert set(answer.json) == {
            "id",
            "description",
            "is_active",
            "created_at",
            "deactivated_at",
            "message",
            "roles",
        }

    def test_of_an_active_key_has_no_deactivated_at_and_no_key(self, caller: Caller) -> None:
        key = caller.create()
        answer = caller.call("GET", f"{KEYS}{key['id'].upper()}")
        assert set(answer.json) == {"id", "is_active", "created_at", "message", "roles"}
        assert answer.json["id"] == key["id"]

    def test_of_an_unknown_id_is_404(self, caller: Caller) -> None:
        answer = caller.call("GET", f"{KEYS}{UNKNOWN_ID}")
        assert (answer.status, answer.detail) == (404, "API Key not found")

    @pytest.mark.parametrize("token", ["right", "wrong"])
    @pytest.mark.parametrize(("method", "path"), [("GET", KEYS), ("DELETE", f"{KEYS}deactivate/")])
    def test_of_no_uuid_is_400_before_the_token_is_checked(
        self, caller: Caller, method: str, path: str, token: str
    ) -> None:
        headers = caller.headers if token == "right" else {"Authorization": "Bearer wrong"}
        answer = caller.call(method, f"{path}not-a-uuid", headers=headers)
        assert answer.status == 400
        assert isinstance(answer.detail, str)
        assert "not-a-uuid" in answer.detail


class TestEngineDeactivate:
    def test_is_204_without_a_body(self, sandbox: Sandbox, caller: Caller) -> None:
        key = caller.create()
        assert sandbox.accepts(key["key"])
        answer = caller.deactivate(key["id"])
        assert (answer.status, answer.body) == (204, b"")
        assert not {"content-length", "transfer-encoding", "content-type"} & set(answer.headers)
        assert [stored.is_active for stored in stored(sandbox)] == [False]
        assert not sandbox.accepts(key["key"])

    def test_again_is_204_and_moves_deactivated_at(self, caller: Caller) -> None:
        key = caller.create()
        moments: list[str] = []
        for _ in range(2):
            assert caller.deactivate(key["id"]).status == 204
            moments.append(caller.call("GET", f"{KEYS}{key['id']}").json["deactivated_at"])
        assert moments[0] < moments[1]

    def test_of_an_unknown_id_is_404(self, caller: Caller) -> None:
        answer = caller.deactivate(UNKNOWN_ID)
        assert (answer.status, answer.detail) == (404, "API Key not found")


class TestAuthentication:
    @pytest.mark.parametrize(
        ("headers", "detail"),
        [
            ({}, "Requires authentication"),
            ({"Authorization": ""}, "Requires authentication"),
            ({"Authorization": "Bearer"}, "Bad credentials"),
            ({"Authorization": "Basic abc"}, "Bad credentials"),
            ({"Authorization": "Bearer a b"}, "Bad credentials"),
            ({"Authorization": "Bearer wrong"}, "Unauthorized"),
        ],
    )
    def test_what_is_refused(self, sandbox: Sandbox, caller: Caller, headers: dict[str, str], detail: str) -> None:
        answers = one_of_each(caller, headers=headers)
        assert [(answer.status, answer.detail) for answer in answers] == [(401, detail)] * 4
        assert sandbox.keys() == []

    def test_refuses_a_minted_key_even_an_org_admin(self, caller: Caller) -> None:
        secret = caller.create(roles=["ORG-ADMIN"])["key"]
        answers = one_of_each(caller, headers={"Authorization": f"Bearer {secret}"})
        assert [answer.status for answer in answers] == [401] * 4

    @pytest.mark.parametrize("cookie", ["ACCESS_TOKEN=wrong", 'ACCESS_TOKEN="Bearer wrong"'])
    def test_lets_a_cookie_win_over_a_good_header(self, caller: Caller, cookie: str) -> None:
        answers = one_of_each(caller, headers={**caller.headers, "Cookie": cookie})
        assert [answer.status for answer in answers] == [401] * 4

    def test_takes_a_good_cookie_and_leaves_other_cookies_alone(self, sandbox: Sandbox, caller: Caller) -> None:
        good = {"Cookie": f'ACCESS_TOKEN="Bearer {sandbox.token}"'}
        assert caller.call("GET", KEYS, headers=good).status == 200
        assert caller.call("GET", KEYS, headers={**caller.headers, "Cookie": "other=1"}).status == 200

    def test_of_a_wrong_token_comes_after_a_bad_role(self, caller: Caller) -> None:
        headers = {"Authorization": "Bearer wrong"}
        assert caller.call("POST", KEYS, {"roles": ["EMPEROR"]}, headers=headers).status == 400

    def test_takes_the_scheme_in_any_case(self, sandbox: Sandbox, caller: Caller) -> None:
        headers = {"Authorization": f"bEARER {sandbox.token}"}
        assert caller.call("GET", KEYS, headers=headers).status == 200


class TestEngineValues:
    def test_created_at_is_the_start_of_the_process(self) -> None:
        before = datetime.now()
        with Sandbox() as sandbox:
            after = datetime.now()
            with caller_on(sandbox.url, sandbox.token) as caller:
                moments = {caller.create()["created_at"] for _ in range(3)}
        assert len(moments) == 1
        (moment,) = moments
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?", moment)
        assert before <= datetime.fromisoformat(moment) <= after

    def test_deactivated_at_is_naive_local_time(self, caller: Caller) -> None:
        key = caller.create()
        before = datetime.now()
        caller.deactivate(key["id"])
        moment = datetime.fromisoformat(caller.call("GET", f"{KEYS}{key['id']}").json["deactivated_at"])
        assert moment.tzinfo is None
        assert before <= moment <= datetime.now()

    def test_id_and_key(self, caller: Caller) -> None:
        keys = [caller.create() for _ in range(3)]
        for key in keys:
            parsed = uuid.UUID(key["id"])
            assert (parsed.version, str(parsed)) == (4, key["id"])
            assert len(key["key"]) == 108
            key_id, secret = base64.b64decode(key["key"], validate=True).decode().split(":")
            assert key_id == key["id"]
            assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
        assert len({key["key"] for key in keys}) == 3


class TestEngineWire:
    def test_bodies_are_chunked_json_without_a_charset(self, caller: Caller) -> None:
        answers = [*one_of_each(caller, headers=caller.headers), caller.call("GET", "/elsewhere")]
        assert [answer.status for answer in answers] == [200, 200, 404, 404, 404]
        for answer in answers:
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["transfer-encoding"] == "chunked"
            assert "content-length" not in answer.headers
            assert not [name for name in answer.headers if "request-id" in name or "rate" in name]
            assert "retry-after" not in answer.headers

    @pytest.mark.parametrize("path", ["/", "/auth", "/auth/api_keys/a/b", "/auth/api_keys/deactivate/a/b"])
    def test_other_paths_are_404(self, caller: Caller, path: str) -> None:
        answer = caller.call("GET", path)
        assert (answer.status, answer.detail) == (404, "Not Found")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("DELETE", KEYS, "GET, POST"),
            ("PATCH", f"{KEYS}{UNKNOWN_ID}", "GET"),
            ("GET", f"{KEYS}deactivate/{UNKNOWN_ID}", "DELETE"),
        ],
    )
    def test_other_methods_are_405(self, caller: Caller, method: str, path: str, allowed: str) -> None:
        answer = caller.call(method, path)
        assert (answer.status, answer.detail) == (405, "Method Not Allowed")
        assert answer.headers["allow"] == allowed

    def test_a_connection_stays_open(self, caller: Caller) -> None:
        caller.connection.connect()
        opened = caller.connection.sock
        answers = one_of_each(caller, headers=caller.headers)
        answers += one_of_each(caller, headers={})
        answers.append(caller.call("HEAD", KEYS))
        answers.append(caller.call("GET", KEYS, b"a body that nobody asked for"))
        assert [answer.status for answer in answers] == [200, 200, 404, 404, *[401] * 4, 405, 200]
        assert caller.connection.sock is opened
        assert all("connection" not in answer.headers for answer in answers)

    def test_a_pool_reuses_its_connection(self, sandbox: Sandbox) -> None:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        with urllib3.HTTPConnectionPool("127.0.0.1", urlsplit(sandbox.url).port, maxsize=1) as pool:
            for _ in range(3):
                assert pool.request("GET", KEYS, headers=headers).json() == []
            assert (pool.num_connections, pool.num_requests) == (1, 3)

    @pytest.mark.parametrize(
        ("version", "headers", "end"),
        [
            ("1.1", "Connection: close\r\n", b"\r\n\r\n2\r\n[]\r\n0\r\n\r\n"),
            ("1.0", "", b"\r\n\r\n[]"),
            ("1.0", "Connection: keep-alive\r\n", b"\r\n\r\n[]"),
        ],
    )
    def test_a_client_that_wants_it_closed_sees_it_closed(
        self, sandbox: Sandbox, version: str, headers: str, end: bytes
    ) -> None:
        with socket.create_connection(_address(sandbox.url), PATIENCE) as connection:
            connection.sendall(_head("GET", KEYS, sandbox.token, headers, version))
            received = b"".join(iter(lambda: connection.recv(4096), b""))
        assert received.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in received
        assert received.endswith(end)

    def test_an_answer_to_head_has_no_body(self, sandbox: Sandbox) -> None:
        with socket.create_connection(_address(sandbox.url), PATIENCE) as connection:
            head = _head("HEAD", KEYS, sandbox.token)
            connection.sendall(head + _head("HEAD", KEYS, sandbox.token, "Connection: close\r\n"))
            received = b"".join(iter(lambda: connection.recv(4096), b""))
        answers = received.split(b"\r\n\r\n")
        assert [answer[:13] for answer in answers] == [b"HTTP/1.1 405 ", b"HTTP/1.1 405 ", b""]

    def test_what_is_no_http_is_refused_quietly(self, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
        with socket.create_connection(_address(sandbox.url), PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/eleven\r\n\r\n")
            assert b"400" in b"".join(iter(lambda: connection.recv(4096), b""))
        assert caplog.records == []

    def test_a_chunked_request_is_read(self, sandbox: Sandbox, caller: Caller) -> None:
        caller.connection.request("POST", KEYS, iter([b'{"descri', b'ption": "parts"}']), caller.headers)
        assert caller.receive().status == 200
        assert [key.description for key in stored(sandbox)] == ["parts"]

    def test_a_client_that_leaves_in_the_middle_of_its_request_does_nothing(
        self, sandbox: Sandbox, caller: Caller, capfd: pytest.CaptureFixture[str]
    ) -> None:
        before = threading.active_count()
        with socket.create_connection(_address(sandbox.url), PATIENCE) as connection:
            connection.sendall(_head("POST", KEYS, sandbox.token, "Content-Length: 100\r\n") + b"{}")
            eventually(lambda: threading.active_count() == before + 1)
        eventually(lambda: threading.active_count() == before)
        assert caller.list_ids() == []
        assert [received.operation for received in sandbox.requests] == ["list"]
        assert capfd.readouterr() == ("", "")


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def _head(method: str, path: str, token: str, headers: str = "", version: str = "1.1") -> bytes:
    line = f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n"
    return f"{line}Authorization: Bearer {token}\r\n{headers}\r\n".encode()


class TestSpec:
    def test_the_format_checker_knows_date_times(self) -> None:
        schema = {"type": "string", "format": "date-time"}
        checked = OAS31Validator(schema, format_checker=oas31_format_checker)
        assert not checked.is_valid("2026-01-01T00:00:00")

    def test_a_key_lives_by_the_schemas(self, spec_sandbox: Sandbox, spec_caller: Caller) -> None:
        created = valid(spec_caller.call("POST", KEYS, {"description": None}), ONE_KEY)
        key = created.json
        assert created.status == 200
        assert list(key) == list(SPEC["components"]["schemas"]["ApiKeyResponse"]["properties"])
        assert (key["description"], key["deactivated_at"]) == (None, None)
        assert (key["is_active"], key["roles"]) == (True, ["VALIDATION-USER"])
        assert spec_sandbox.accepts(key["key"])

        got = valid(spec_caller.call("GET", f"{KEYS}{key['id']}"), ONE_KEY)
        assert (got.status, got.json) == (200, {**key, "key": None, "message": None})
        listed = valid(spec_caller.call("GET", KEYS), MANY_KEYS)
        assert (listed.status, listed.json) == (200, [got.json])

        deactivated = valid(spec_caller.deactivate(key["id"]), ONE_KEY)
        assert (deactivated.status, deactivated.json["is_active"]) == (200, False)
        assert datetime.fromisoformat(deactivated.json["deactivated_at"])
        assert spec_caller.list_ids() == []
        assert not spec_sandbox.accepts(key["key"])

    def test_created_at_is_real_and_has_an_offset(self, spec_caller: Caller) -> None:
        before = datetime.now().astimezone()
        moments = [datetime.fromisoformat(spec_caller.create()["created_at"]) for _ in range(2)]
        assert before <= moments[0] < moments[1] <= datetime.now().astimezone()
        assert moments[0].utcoffset() == timedelta(0)

    @pytest.mark.parametrize(
        ("method", "path", "body", "place"),
        [
            ("POST", KEYS, {"roles": ["EMPEROR"]}, ["body", "roles", 0]),
            ("POST", KEYS, {"roles": ["TENANT-USER"]}, ["body", "roles", 0]),
            ("POST", KEYS, {"description": "\ud800"}, ["body", "description"]),
            ("POST", KEYS, b"", ["body"]),
            ("POST", KEYS, b"{", ["body", 1]),
            ("GET", f"{KEYS}not-a-uuid", None, ["path", "api_key_id"]),
            ("DELETE", f"{KEYS}deactivate/not-a-uuid", None, ["path", "api_key_id"]),
        ],
    )
    def test_invalid_is_422(
        self, spec_caller: Caller, method: str, path: str, body: object, place: list[str | int]
    ) -> None:
        answer = valid(spec_caller.call(method, path, body), INVALID)
        assert answer.status == 422
        assert [error["loc"] for error in answer.detail] == [place]

    def test_the_other_refusals_are_strings(self, spec_caller: Caller) -> None:
        unknown = spec_caller.call("GET", f"{KEYS}{UNKNOWN_ID}")
        assert (unknown.status, unknown.detail) == (404, "API Key not found")
        assert spec_caller.deactivate(UNKNOWN_ID).status == 404
        for answer in one_of_each(spec_caller, headers={"Authorization": "Bearer wrong"}):
            assert (answer.status, answer.detail) == (401, "Unauthorized")
        elsewhere = spec_caller.call("GET", "/auth/api_keys")
        assert (elsewhere.status, elsewhere.detail) == (404, "Not Found")
        assert spec_caller.call("PUT", KEYS).status == 405


class TestFaults:
    def test_drop_before_the_commit(self, sandbox: Sandbox, caller: Caller, capfd: pytest.CaptureFixture[str]) -> None:
        sandbox.queue(Fault.drop())
        with connection_reset():
            caller.call("POST", KEYS, {})
        assert sandbox.keys() == []
        assert sandbox.requests == [ReceivedRequest("POST", KEYS, "create", None)]
        caller.connection.close()
        caller.create()
        assert capfd.readouterr() == ("", "")

    def test_drop_after_the_commit(self, sandbox: Sandbox, caller: Caller) -> None:
        sandbox.queue(Fault.drop(committed=True))
        with connection_reset():
            caller.call("POST", KEYS, {"description": "there"})
        assert [(key.description, key.is_active) for key in stored(sandbox)] == [("there", True)]
        assert sandbox.requests[0].status is None

    def test_commit_late(self, sandbox: Sandbox, caller: Caller) -> None:
        sandbox.queue(Fault.commit_late(0.1))
        started = time.monotonic()
        with connection_reset():
            caller.call("POST", KEYS, {"description": "late"})
        eventually(sandbox.keys)
        assert time.monotonic() - started >= 0.1
        assert [key.description for key in stored(sandbox)] == ["late"]

    def test_commit_late_drops_at_once(self, sandbox: Sandbox, caller: Caller) -> None:
        sandbox.queue(Fault.commit_late(3600))
        with connection_reset():
            caller.call("POST", KEYS, {})
        assert sandbox.keys() == []

    def test_delay(self, sandbox: Sandbox, caller: Caller) -> None:
        sandbox.queue(Fault.delay(0.1))
        started = time.monotonic()
        caller.create()
        assert time.monotonic() - started >= 0.1

    @pytest.mark.parametrize("committed", [False, True])
    def test_silence_lasts_until_the_client_leaves(self, sandbox: Sandbox, caller: Caller, *, committed: bool) -> None:
        before = threading.active_count()
        sandbox.queue(Fault.silence(committed=committed))
        caller.connection.timeout = 0.2
        with pytest.raises(TimeoutError):
            caller.call("POST", KEYS, {})
        assert threading.active_count() == before + 1
        caller.connection.close()
        eventually(lambda: threading.active_count() == before)
        assert len(sandbox.keys()) == committed
        assert sandbox.requests[0].status is None

    def test_status_does_nothing_else(self, sandbox: Sandbox, caller: Caller) -> None:
        sandbox.queue(Fault.status(429, "slow down", retry_after=7))
        sandbox.queue(Fault.status(503))
        sandbox.queue(Fault.status(422, [{"loc": [], "msg": "no", "type": "no"}]))
        sandbox.queue(Fault.status(599, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"))
        answers = [caller.call("POST", KEYS, {}) for _ in range(4)]
        assert [answer.status for answer in answers] == [429, 503, 422, 599]
        assert [answer.detail for answer in answers] == [
            "slow down",
            "Service Unavailable",
            [{"loc": [], "msg": "no", "type": "no"}],
            None,
        ]
        assert [answer.headers.get("retry-after") for answer in answers] == [
            "7",
            None,
            None,
            "Wed, 21 Oct 2026 07:28:00 GMT",
        ]
        assert sandbox.keys() == []
        assert [received.status for received in sandbox.requests] == [429, 503, 422, 599]

    @pytest.mark.parametrize("committed", [False, True])
    def test_garbage(self, sandbox: Sandbox, caller: Caller, *, committed: bool) -> None:
        sandbox.queue(Fault.garbage(committed=committed))
        answer = caller.call("POST", KEYS, {})
        assert answer.status == 200
        with pytest.raises(ValueError, match="Expecting value"):
            _ = answer.json
        assert len(sandbox.keys()) == committed

    @pytest.mark.parametrize("profile", ["engine", "spec"])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_truncated(self, profile: Profile, *, chunked: bool) -> None:
        with Sandbox(profile=profile) as sandbox, caller_on(sandbox.url, sandbox.token) as caller:
            sandbox.queue(Fault.truncated(chunked=chunked), times=2)
            for method, path in [("POST", KEYS), ("DELETE", f"{KEYS}deactivate/")]:
                target = path + "".join(key.id for key in stored(sandbox))
                caller.send(method, target, {} if method == "POST" else None)
                response = caller.connection.getresponse()
                assert response.status == 200
                assert response.headers["Transfer-Encoding" if chunked else "Content-Length"]
                with pytest.raises(http.client.IncompleteRead) as caught:
                    response.read()
                assert caught.value.partial.startswith(b'{"')
                caller.connection.close()
            assert [key.is_active for key in stored(sandbox)] == [False]
            assert [received.status for received in sandbox.requests] == [200, 200]

    def test_hold_before_the_commit(self, sandbox: Sandbox, caller: Caller) -> None:
        arrived, release = threading.Event(), threading.Event()
        sandbox.queue(Fault.hold(arrived, release))
        caller.send("POST", KEYS, {})
        assert arrived.wait(PATIENCE)
        assert sandbox.keys() == []
        with caller_on(sandbox.url, sandbox.token) as other:
            other.create(description="overtook")
        release.set()
        assert caller.receive().status == 200
        assert [key.description for key in stored(sandbox)] == ["overtook", None]

    def test_hold_after_the_commit(self, sandbox: Sandbox, caller: Caller) -> None:
        arrived, release = threading.Event(), threading.Event()
        sandbox.queue(Fault.hold(arrived, release, committed=True))
        caller.send("POST", KEYS, {})
        assert arrived.wait(PATIENCE)
        (key,) = sandbox.keys()
        assert sandbox.requests[0].status is None
        release.set()
        assert caller.receive().json["id"] == key.id

    def test_a_client_that_leaves_while_held_is_committed_all_the_same(
        self, sandbox: Sandbox, caller: Caller, capfd: pytest.CaptureFixture[str]
    ) -> None:
        arrived, release = threading.Event(), threading.Event()
        sandbox.queue(Fault.hold(arrived, release))
        caller.send("POST", KEYS, {})
        assert arrived.wait(PATIENCE)
        caller.connection.close()
        release.set()
        eventually(sandbox.keys)
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("operation", ["create", "list", "get", "deactivate"])
    def test_meets_its_operation_only(self, sandbox: Sandbox, caller: Caller, operation: Operation) -> None:
        fault = Fault.status(500)
        sandbox.queue(fault, operation=operation)
        assert caller.call("GET", "/elsewhere").status == 404
        assert sandbox.unmet == [fault]
        usual = {"create": 200, "list": 200, "get": 404, "deactivate": 404}
        answers = one_of_each(caller, headers=caller.headers)
        assert [answer.status for answer in answers] == list((usual | {operation: 500}).values())
        assert sandbox.unmet == []
        answers = one_of_each(caller, headers=caller.headers)
        assert [answer.status for answer in answers] == list(usual.values())

    def test_are_met_once_in_the_order_of_the_queue(self, sandbox: Sandbox, caller: Caller) -> None:
        sandbox.queue(Fault.status(500), operation="get")
        sandbox.queue(Fault.status(501), times=2)
        sandbox.queue(Fault.status(502), operation="list")
        assert [repr(fault) for fault in sandbox.unmet] == [
            "Fault.status(500, None, retry_after=None)",
            "Fault.status(501, None, retry_after=None)",
            "Fault.status(501, None, retry_after=None)",
            "Fault.status(502, None, retry_after=None)",
        ]
        statuses = [caller.call("GET", KEYS).status for _ in range(4)]
        assert statuses == [501, 501, 502, 200]
        assert sandbox.unmet == [Fault.status(500)]
        assert caller.call("GET", f"{KEYS}{UNKNOWN_ID}").status == 500
        assert sandbox.unmet == []

    def test_for_an_operation_that_there_is_not_is_refused(self, sandbox: Sandbox) -> None:
        mistyped: Any = "creates"
        with pytest.raises(ValueError, match="one of create, list, get, deactivate"):
            sandbox.queue(Fault.drop(), operation=mistyped)
        assert sandbox.unmet == []

    def test_can_be_made_by_the_user(self, sandbox: Sandbox, caller: Caller) -> None:
        sandbox.queue(Fault("a teapot", lambda _: Response("short and stout", 418)))
        assert repr(sandbox.unmet) == "[a teapot]"
        answer = caller.call("GET", KEYS)
        assert (answer.status, answer.body) == (418, b"short and stout")


class TestLife:
    def test_requests_are_recorded_in_order(self, sandbox: Sandbox, caller: Caller) -> None:
        key = caller.create()
        caller.call("GET", KEYS)
        caller.call("GET", f"{KEYS}{key['id']}?x=1")
        caller.deactivate(key["id"])
        caller.call("GET", "/auth/api_keys")
        assert sandbox.requests == [
            ReceivedRequest("POST", KEYS, "create", 200),
            ReceivedRequest("GET", KEYS, "list", 200),
            ReceivedRequest("GET", f"{KEYS}{key['id']}", "get", 200),
            ReceivedRequest("DELETE", f"{KEYS}deactivate/{key['id']}", "deactivate", 204),
            ReceivedRequest("GET", "/auth/api_keys", None, 307),
        ]

    def test_keys_and_accepts_look_into_the_database(self, sandbox: Sandbox, caller: Caller) -> None:
        first = caller.create(description="one", roles=["ORG-ADMIN", "ORG-ADMIN"])
        second = caller.create(roles=[])
        caller.deactivate(first["id"])
        assert [(key.id, key.description, key.is_active, key.roles) for key in stored(sandbox)] == [
            (first["id"], "one", False, ("ORG-ADMIN", "ORG-ADMIN")),
            (second["id"], None, True, ()),
        ]
        assert sandbox.accepts(second["key"])
        assert not sandbox.accepts(first["key"])
        assert not sandbox.accepts(second["key"].swapcase())
        assert not sandbox.accepts("\ud800")

    def test_reset_forgets_keys_faults_and_requests(self, sandbox: Sandbox, caller: Caller) -> None:
        key = caller.create()
        sandbox.queue(Fault.drop(), operation="get")
        sandbox.reset()
        assert (sandbox.keys(), sandbox.unmet, sandbox.requests) == ([], [], [])
        assert not sandbox.accepts(key["key"])
        assert caller.call("GET", f"{KEYS}{key['id']}").status == 404
        caller.create()

    def test_reset_drops_what_is_under_way(self, sandbox: Sandbox) -> None:
        arrived, release = threading.Event(), threading.Event()
        faults = [Fault.hold(arrived, release), Fault.silence(), Fault.delay(3600), Fault.commit_late(3600)]
        before = threading.active_count()
        for fault in faults:
            sandbox.queue(fault)
        callers = [Caller(sandbox.url, sandbox.token) for _ in faults]
        for caller in callers:
            caller.send("POST", KEYS, {})
        eventually(lambda: len(sandbox.requests) == len(faults))
        assert arrived.wait(PATIENCE)
        sandbox.reset()
        for caller in callers:
            with connection_reset():
                caller.receive()
            caller.connection.close()
        eventually(lambda: threading.active_count() == before)
        assert sandbox.keys() == []

    def test_what_came_before_a_reset_takes_no_effect_after_it(self, sandbox: Sandbox, caller: Caller) -> None:
        arrived, release = threading.Event(), threading.Event()

        def outlive_the_reset(exchange: Exchange) -> Response:
            arrived.set()
            release.wait(PATIENCE)
            return exchange.answer()

        sandbox.queue(Fault("slow", outlive_the_reset))
        caller.send("POST", KEYS, {})
        assert arrived.wait(PATIENCE)
        sandbox.reset()
        release.set()
        with connection_reset():
            caller.receive()
        assert sandbox.keys() == []

    def test_stop_is_prompt_and_leaves_no_thread(self, capfd: pytest.CaptureFixture[str]) -> None:
        before = set(threading.enumerate())
        arrived, release = threading.Event(), threading.Event()
        sandbox = Sandbox().start()
        faults = [Fault.hold(arrived, release), Fault.silence(), Fault.delay(3600), Fault.commit_late(3600)]
        for fault in faults:
            sandbox.queue(fault)
        callers = [Caller(sandbox.url, sandbox.token) for _ in range(7)]
        for caller in callers[:4]:
            caller.send("POST", KEYS, {})
        eventually(lambda: len(sandbox.requests) == len(faults))
        assert arrived.wait(PATIENCE)
        callers[4].call("GET", KEYS)
        callers[5].connection.connect()
        callers[6].connection.connect()
        callers[6].connection.send(_head("POST", KEYS, sandbox.token, "Content-Length: 9\r\n") + b"{")
        started = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - started < 2
        assert set(threading.enumerate()) == before
        for caller in callers[:4]:
            with connection_reset():
                caller.receive()
        for caller in callers:
            caller.connection.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(_address(sandbox.url), PATIENCE)
        assert capfd.readouterr() == ("", "")

    def test_stop_ends_a_connection_whose_client_does_not_read(self) -> None:
        before = set(threading.enumerate())
        sandbox = Sandbox()
        sandbox.queue(Fault("big", lambda _: Response(b"x" * 50_000_000)))
        sandbox.start()
        with socket.create_connection(_address(sandbox.url), PATIENCE) as connection:
            connection.sendall(_head("GET", KEYS, sandbox.token))
            assert connection.recv(1, socket.MSG_PEEK) == b"H"
            sandbox.stop()
            assert set(threading.enumerate()) == before

    def test_stop_may_come_twice_or_without_start(self) -> None:
        sandbox = Sandbox()
        with pytest.raises(RuntimeError, match="not been started"):
            _ = sandbox.url
        assert sandbox.keys() == []
        sandbox.stop()
        sandbox.stop()
        with pytest.raises(RuntimeError, match="starts once"):
            sandbox.start()
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            sandbox.keys()

    def test_its_token_shows_by_name_only(self, sandbox: Sandbox) -> None:
        assert len(sandbox.token) >= 32
        assert sandbox.token not in repr(sandbox)
        assert sandbox.url in repr(sandbox)
        with Sandbox() as other:
            assert other.token != sandbox.token

    def test_takes_a_token(self) -> None:
        with Sandbox(token="mine") as sandbox, caller_on(sandbox.url, "mine") as caller:
            assert sandbox.token == "mine"
            caller.create()

    def test_does_not_read_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("API_KEYS_TOKEN", "ambient")
        sandbox = Sandbox()
        assert sandbox.token != "ambient"
        sandbox.stop()

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "::1"])
    def test_binds_loopback(self, host: str) -> None:
        try:
            sandbox = Sandbox(host=host).start()
        except OSError:
            pytest.skip(f"this machine has no {host}")
        with sandbox_stopped(sandbox), caller_on(sandbox.url, sandbox.token) as caller:
            caller.create()

    @pytest.mark.parametrize(
        "arguments",
        [
            {"host": "0.0.0.0"},
            {"host": ""},
            {"host": "192.0.2.1"},
            {"host": "example.org"},
            {"token": ""},
            {"token": "two words"},
            {"profile": "other"},
            {"limit": -1},
            {"port": 65536},
            {"port": -1},
        ],
    )
    def test_refuses_arguments_that_make_no_sense(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"the (host|token|profile|limit|port)"):
            Sandbox(**arguments)

    def test_a_port_in_use_is_an_error_that_says_so(self, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
        second = Sandbox(port=_address(sandbox.url)[1])
        with pytest.raises(OSError, match="in use"):
            second.start()
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            second.keys()
        assert capfd.readouterr() == ("", "")

    def test_a_port_can_be_had_again(self, sandbox: Sandbox, caller: Caller) -> None:
        caller.create()
        port = _address(sandbox.url)[1]
        sandbox.stop()
        with Sandbox(port=port) as second:
            assert second.url == sandbox.url


@contextmanager
def sandbox_stopped(sandbox: Sandbox) -> Iterator[None]:
    try:
        yield
    finally:
        sandbox.stop()


class TestFile:
    def test_survives_a_restart(self, tmp_path: Path) -> None:
        database = tmp_path / "keys.db"
        with Sandbox(database=database) as first, caller_on(first.url, first.token) as caller:
            kept, ended = caller.create(description="kept", roles=["ORG-AUDITOR"]), caller.create()
            caller.deactivate(ended["id"])
            before = caller.call("GET", KEYS).json
        with Sandbox(database=str(database), limit=1) as second:
            assert [(key.id, key.is_active) for key in stored(second)] == [
                (kept["id"], True),
                (ended["id"], False),
            ]
            assert second.accepts(kept["key"])
            with caller_on(second.url, second.token) as caller:
                assert caller.call("GET", KEYS).json == before
                assert caller.call("POST", KEYS, {}).status == 400
        assert list(tmp_path.iterdir()) == [database]

    def test_can_be_read_in_the_other_profile(self, tmp_path: Path) -> None:
        database = tmp_path / "keys.db"
        with Sandbox(database=database) as engine, caller_on(engine.url, engine.token) as caller:
            naive = datetime.fromisoformat(caller.create()["created_at"])
        with (
            Sandbox(database=database, profile="spec") as spec,
            caller_on(spec.url, spec.token) as caller,
        ):
            aware = datetime.fromisoformat(caller.call("GET", KEYS).json[0]["created_at"])
        assert naive.astimezone() == aware

    def test_holds_no_secret(self, tmp_path: Path) -> None:
        database = tmp_path / "keys.db"
        with Sandbox(database=database) as sandbox, caller_on(sandbox.url, sandbox.token) as caller:
            secret = caller.create(description="findable")["key"]
            during = database.read_bytes()
        for content in (during, database.read_bytes()):
            assert b"findable" in content
            for hidden in (secret, base64.b64decode(secret).decode().split(":")[1], sandbox.token):
                assert hidden.encode() not in content

    def test_that_is_no_database_is_an_error(self, tmp_path: Path) -> None:
        database = tmp_path / "keys.db"
        database.write_text("This is a letter, " * 100)
        with pytest.raises(sqlite3.DatabaseError, match="not a database"):
            Sandbox(database=database)

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is read-only to this user")
    def test_that_cannot_be_written_is_an_error(self, tmp_path: Path) -> None:
        database = tmp_path / "keys.db"
        Sandbox(database=database).stop()
        database.chmod(0o400)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            Sandbox(database=database)


class TestMounted:
    @pytest.mark.parametrize("threaded", [False, True])
    def test_in_a_pytest_httpserver(self, capfd: pytest.CaptureFixture[str], *, threaded: bool) -> None:
        sandbox = Sandbox()
        with sandbox_stopped(sandbox), HTTPServer("127.0.0.1", threaded=threaded) as server:
            server.expect_request(re.compile("/")).respond_with_handler(sandbox.respond)
            for fault in (Fault.drop(), Fault.drop(committed=True), Fault.truncated(), Fault.status(500)):
                sandbox.queue(fault)
            with caller_on(server.url_for(""), sandbox.token) as caller:
                for outcome in (ConnectionError, ConnectionError, http.client.IncompleteRead):
                    with pytest.raises(outcome):
                        caller.call("POST", KEYS, {"description": "mounted"})
                    caller.connection.close()
                assert caller.call("POST", KEYS, {}).status == 500
                key = caller.create(description="mounted")
                assert caller.call("GET", KEYS).status == 200
                assert caller.deactivate(key["id"]).status == 204
            server.check()
            assert [key.description for key in stored(sandbox)] == ["mounted"] * 3
        assert capfd.readouterr() == ("", "")

    def test_as_a_wsgi_application_whose_body_was_read_already(self) -> None:
        sandbox = Sandbox()
        with sandbox_stopped(sandbox), HTTPServer("127.0.0.1") as server:
            server.expect_request(re.compile("/")).respond_with_handler(
                lambda request: Response.from_app(sandbox.application, request.environ)
            )
            with caller_on(server.url_for(""), sandbox.token) as caller:
                assert caller.create(description="twice read")["description"] == "twice read"

    def test_under_a_prefix(self) -> None:
        sandbox = Sandbox()
        with sandbox_stopped(sandbox):
            client = WsgiClient(DispatcherMiddleware(Response("elsewhere"), {"/engine": sandbox.application}))
            headers = {"Authorization": f"Bearer {sandbox.token}"}
            assert client.get(f"/engine{KEYS}", headers=headers).json == []
            redirect = client.get("/engine/auth/api_keys", headers=headers)
            assert redirect.headers["Location"] == "http://localhost/engine/auth/api_keys/"

    def test_a_fault_of_the_socket_needs_one(self) -> None:
        sandbox = Sandbox()
        sandbox.queue(Fault.drop())
        with sandbox_stopped(sandbox), pytest.raises(RuntimeError, match="only Werkzeug's servers"):
            WsgiClient(sandbox.application).get(KEYS)


class Process:
    """The command line as a child process."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        unwanted = {"API_KEYS_TOKEN", "BEARER_TOKEN", "PYTHONUNBUFFERED"}
        clean = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "api_keys_client.sandbox", *arguments],
            env=clean | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ready(self) -> tuple[str, str]:
        """Its base URL, and all that it printed up to then."""
        assert self.process.stdout
        printed = ""
        for line in self.process.stdout:
            printed += line
            if match := re.fullmatch(r"Ready: (http://\S+)\n", line):
                return match[1], printed
        raise AssertionError(f"it ended instead: {printed}{self.end()}")

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        if number is not None:
            self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors


class TestCommandLine:
    def test_makes_up_a_token_and_prints_it(self) -> None:
        with Process() as process:
            url, printed = process.ready()
            assert "development and tests only" in printed
            match = re.search(r"^export API_KEYS_TOKEN=(\S{32,})$", printed, re.MULTILINE)
            assert match
            with caller_on(url, match[1]) as caller:
                caller.create()
            assert process.end(signal.SIGTERM) == (0, "", "")

    @pytest.mark.parametrize(
        "environment",
        [
            {"API_KEYS_TOKEN": "sesame"},
            {"BEARER_TOKEN": "sesame"},
            {"API_KEYS_TOKEN": "sesame", "BEARER_TOKEN": "other"},
            {"API_KEYS_TOKEN": "", "BEARER_TOKEN": "sesame"},
        ],
    )
    def test_takes_the_token_of_the_environment_and_does_not_print_it(self, environment: dict[str, str]) -> None:
        with Process(**environment) as process:
            url, printed = process.ready()
            assert f"export API_KEYS_BASE_URL={url}\n" in printed
            assert "TOKEN" not in printed
            assert "sesame" not in printed
            with caller_on(url, "sesame") as caller:
                caller.create()
            assert process.end(signal.SIGINT) == (0, "", "")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ends_cleanly_while_a_request_is_in_flight(self, number: signal.Signals) -> None:
        with Process(API_KEYS_TOKEN="sesame") as process:
            url, _ = process.ready()
            with (
                caller_on(url, "sesame") as idle,
                socket.create_connection(_address(url), PATIENCE) as connection,
            ):
                idle.create()
                connection.sendall(_head("POST", KEYS, "sesame", "Content-Length: 2\r\n") + b"{")
                idle.create()
                assert process.end(number) == (0, "", "")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_a_file_survives(self, tmp_path: Path, number: signal.Signals) -> None:
        database = tmp_path / "keys.db"
        with Process("--db", str(database), API_KEYS_TOKEN="sesame") as process:
            url, _ = process.ready()
            with caller_on(url, "sesame") as caller:
                key = caller.create(description="kept")
            process.end(number)
        with Process("--db", str(database), API_KEYS_TOKEN="sesame") as process:
            url, _ = process.ready()
            with caller_on(url, "sesame") as caller:
                assert caller.list_ids() == [key["id"]]
        assert key["key"].encode() not in database.read_bytes()

    def test_takes_profile_limit_port_and_host(self, sandbox: Sandbox) -> None:
        port = _address(sandbox.url)[1]
        sandbox.stop()
        options = ["--profile", "spec", "--limit", "1", "--port", str(port), "--host", "localhost"]
        with Process(*options, API_KEYS_TOKEN="sesame") as process:
            url, _ = process.ready()
            assert url == f"http://127.0.0.1:{port}"
            with caller_on(url, "sesame") as caller:
                key = caller.create()
                assert caller.call("POST", KEYS, {}).status == 400
                assert caller.deactivate(key["id"]).status == 200

    def test_a_port_in_use_is_one_line(self, sandbox: Sandbox) -> None:
        with Process("--port", str(_address(sandbox.url)[1])) as process:
            self.is_one_line(process.end(), "in use", code=1)

    @pytest.mark.parametrize("content", [b"This is a letter. " * 100, None])
    def test_an_unusable_database_is_one_line(self, tmp_path: Path, content: bytes | None) -> None:
        database = tmp_path / "folder" / "keys.db"
        if content is not None:
            database.parent.mkdir()
            database.write_bytes(content)
        with Process("--db", str(database)) as process:
            self.is_one_line(process.end(), str(database))

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_a_host_that_is_not_loopback_is_one_line(self, host: str) -> None:
        with Process("--host", host) as process:
            self.is_one_line(process.end(), "loopback")

    def test_an_unusable_token_is_one_line_without_it(self) -> None:
        with Process(API_KEYS_TOKEN="open sesame") as process:
            code, output, errors = process.end()
            self.is_one_line((code, output, errors), "token")
            assert "sesame" not in errors

    def is_one_line(self, end: tuple[int, str, str], problem: str, *, code: int = 2) -> None:
        ended_with, output, errors = end
        assert (ended_with, output) == (code, "")
        assert errors.startswith("sandbox: ")
        assert problem in errors
        assert errors.count("\n") == 1
