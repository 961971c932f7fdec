"""The sandbox over real sockets: what each operation of the engine answers, and the limit."""

from __future__ import annotations

import base64
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from api_keys_client.sandbox import Profile, Sandbox
from tests.support.calling import KEYS, PATIENCE, UNKNOWN_ID, Caller, caller_on, stored


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
        self, engine: Sandbox, caller: Caller, body: object, shown: str
    ) -> None:
        answer = caller.call("POST", KEYS, body)
        assert answer.status == 400
        assert isinstance(answer.detail, str)
        assert shown in answer.detail
        assert answer.detail.startswith("[{'type': ")
        assert engine.keys() == []

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

    def test_of_a_tenant_user_is_400(self, engine: Sandbox, caller: Caller) -> None:
        answer = caller.call("POST", KEYS, {"roles": ["TASK-ADMIN", "TENANT-USER"]})
        assert answer.status == 400
        assert answer.detail == (
            "Roles ['TENANT-USER'] cannot be assigned via this endpoint; use the tenant signup flow."
        )
        assert engine.keys() == []

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

    def test_is_in_no_particular_order(self, engine: Sandbox, caller: Caller) -> None:
        made = [caller.create()["id"] for _ in range(12)]
        listed = caller.list_ids()
        assert sorted(listed) == sorted(made)
        assert listed not in (made, made[::-1], sorted(made))
        assert [key.id for key in stored(engine)] == made

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
    def test_without_the_slash_redirects_to_plain_http_at_the_host_header(
        self, engine: Sandbox, caller: Caller, method: str
    ) -> None:
        headers = {**caller.headers, "Host": "keys.example:8443"}
        answer = caller.call(method, "/auth/api_keys?page=2", b"{}", headers=headers)
        assert (answer.status, answer.body, answer.headers["content-length"]) == (307, b"", "0")
        assert answer.headers["location"] == "http://keys.example:8443/auth/api_keys/?page=2"
        assert engine.keys() == []


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
    def test_is_204_without_a_body(self, engine: Sandbox, caller: Caller) -> None:
        key = caller.create()
        assert engine.accepts(key["key"])
        answer = caller.deactivate(key["id"])
        assert (answer.status, answer.body) == (204, b"")
        assert not {"content-length", "transfer-encoding", "content-type"} & set(answer.headers)
        assert [stored.is_active for stored in stored(engine)] == [False]
        assert not engine.accepts(key["key"])

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
