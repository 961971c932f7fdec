"""The client's calls against the sandbox, over a real socket."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from api_keys_client import (
    UNSET,
    ApiConnectionError,
    ApiKeysClient,
    AuthenticationError,
    Deactivation,
    InvalidRequestError,
    KeyLimitReachedError,
    KeyNotFoundError,
    Outcome,
    Role,
    RotationError,
    ServerError,
    key_id_from_secret,
)
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.clients import Connect, requests

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("driver", ["sync", "async"])
@pytest.mark.parametrize("sandbox", ["engine", "spec"], indirect=True)
def test_a_key_lives_its_whole_life(sandbox: Sandbox, client: ApiKeysClient) -> None:
    created = client.create("ci", [Role.TASK_ADMIN, "ORG-AUDITOR"])
    secret = created.key.get_secret_value()
    assert sandbox.accepts(secret)
    assert created.roles == ["TASK-ADMIN", "ORG-AUDITOR"]
    assert created.description == "ci"
    assert [record.id for record in client.list()] == [created.id]
    assert client.get(created.id).is_active
    assert client.get(created.id).key is None
    assert key_id_from_secret(secret) == created.id

    gone = client.deactivate(created.id)
    assert gone.id == created.id
    assert not gone.is_active
    assert not sandbox.accepts(secret)
    assert client.list() == []
    assert not client.get(created.id).is_active


def test_a_204_is_read_back_and_a_record_is_not() -> None:
    for profile, expected in (("engine", ["create", "deactivate", "get"]), ("spec", ["create", "deactivate"])):
        with (
            Sandbox(profile=profile) as sandbox,  # type: ignore[arg-type]  # a tuple's str
            ApiKeysClient(sandbox.url, token=sandbox.token) as client,
        ):
            assert not client.deactivate(client.create("x").id).is_active
            assert requests(sandbox) == expected


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({}, {}),
        ({"description": UNSET, "roles": UNSET}, {}),
        ({"description": None, "roles": None}, {"description": None, "roles": None}),
        ({"roles": []}, {"roles": []}),
        ({"description": "", "roles": {"TASK-ADMIN": 1}.keys()}, {"description": "", "roles": ["TASK-ADMIN"]}),
        ({"description": "ключ 🔑"}, {"description": "ключ 🔑"}),
    ],
)
def test_unset_none_and_empty_go_out_differently(
    httpserver: HTTPServer, connect: Connect, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    record = {"id": UNKNOWN_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "key": "secret"}
    httpserver.expect_oneshot_request("/auth/api_keys/", "POST", json=sent).respond_with_json(record)
    connect(httpserver.url_for(""), token="token").create(**arguments)
    httpserver.check_assertions()


def test_unknown_fields_and_roles_are_read(httpserver: HTTPServer, connect: Connect) -> None:
    record = {"id": UNKNOWN_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "roles": ["NEW"], "new": [1]}
    httpserver.expect_request(f"/auth/api_keys/{UNKNOWN_ID}").respond_with_json(record)
    assert connect(httpserver.url_for(""), token="token").get(UNKNOWN_ID).roles == ["NEW"]


@pytest.mark.parametrize("prefix", ["/", "/team/engine/", f"/tenants/{uuid.UUID(int=0)}"])
@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_base_url_may_have_a_path(httpserver: HTTPServer, connect: Connect, prefix: str) -> None:
    httpserver.expect_request(f"{prefix.rstrip('/')}/auth/api_keys/").respond_with_json([])
    assert connect(httpserver.url_for(prefix), token="token").list() == []


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_what_is_sent(httpserver: HTTPServer, connect: Connect) -> None:
    httpserver.expect_request("/auth/api_keys/").respond_with_json([])
    client = connect(httpserver.url_for(""), token="token", headers={"X-Team": "platform"})
    client.list()
    client.with_options(headers={"x-team": "other", "User-Agent": "mine/1"}, token=lambda: "fresh").list()
    first, second = (request.headers for request, _ in httpserver.log)
    assert first["Authorization"] == "Bearer token"
    assert first["Accept"] == "application/json"
    assert re.fullmatch(r"api-keys-client/[\d.]+", first["User-Agent"])
    assert first["X-Team"] == "platform"
    assert second["Authorization"] == "Bearer fresh"
    assert second["User-Agent"] == "mine/1"
    assert second.getlist("X-Team") == ["other"]
    assert "Cookie" not in second


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_list_filters(client: ApiKeysClient) -> None:
    ci = client.create("ci", ["TASK-ADMIN"])
    with client.temporary_key("ci", ["ORG-ADMIN"]) as temporary:
        client.create("other", ["TASK-ADMIN"])
        assert {record.id for record in client.list("ci")} == {ci.id, temporary.id}
        assert {record.id for record in client.list(role=Role.ORG_ADMIN)} == {temporary.id}
        assert {record.id for record in client.list("ci", "TASK-ADMIN")} == {ci.id}
        assert client.list("nobody") == []


@pytest.mark.parametrize("key_id", [UNKNOWN_ID.upper(), uuid.UUID(UNKNOWN_ID)])
def test_ids_of_any_case_go_out_canonical(sandbox: Sandbox, client: ApiKeysClient, key_id: str | uuid.UUID) -> None:
    with pytest.raises(KeyNotFoundError):
        client.get(key_id)
    assert sandbox.requests[0].path == f"/auth/api_keys/{UNKNOWN_ID}"


def test_a_bad_id_is_refused_before_anything_is_sent(sandbox: Sandbox, client: ApiKeysClient) -> None:
    odd: list[Any] = ["", "..", "a/b", b"8f2b6a1c", 7, None, "x", UNKNOWN_ID + "/", "{" + UNKNOWN_ID + "}"]
    for key_id in [*odd, UNKNOWN_ID.replace("-", "")]:
        calls: list[Callable[[], object]] = [
            partial(client.get, key_id),
            partial(client.deactivate, key_id),
            partial(client.deactivate_many, [UNKNOWN_ID, key_id]),
        ]
        for call in calls:
            with pytest.raises(InvalidRequestError) as caught:
                call()
            assert caught.value.outcome is Outcome.NOT_SENT
            assert isinstance(caught.value, ValueError)
        assert sandbox.requests == []


def test_a_description_has_an_end(sandbox: Sandbox, client: ApiKeysClient) -> None:
    for longest in ("x" * 65_536, "é" * 32_768):
        assert client.create(longest).description == longest
        with pytest.raises(InvalidRequestError, match="at most 64 KiB"):
            client.create(longest + "x")
        with pytest.raises(InvalidRequestError, match="at most 64 KiB"), client.temporary_key(longest):
            pytest.fail("there is no key")
    assert requests(sandbox) == ["create", "create"]
    old = client.list()[0]
    with pytest.raises(RotationError, match=r"at most 64 KiB.*Say with description="):
        client.rotate(old.id, store=lambda _: None)
    assert client.rotate(old.id, store=lambda _: None, description="short").new.is_active


def test_records_in_place_of_ids_are_told_from_them(sandbox: Sandbox, client: ApiKeysClient) -> None:
    client.create("ci")
    records: Any = client.list()
    with pytest.raises(InvalidRequestError, match=r"this is ApiKeyResponse\. Of a record, give its id"):
        client.deactivate_many(records)
    with pytest.raises(InvalidRequestError, match="this string is none"):
        client.get("ci")
    assert requests(sandbox) == ["create", "list"]


@pytest.mark.parametrize("role", ["task-admin", "TASK_ADMIN", "Task_Admin"])
def test_a_role_that_is_one_but_for_its_spelling_finds_nothing_and_is_refused(
    sandbox: Sandbox, client: ApiKeysClient, role: str
) -> None:
    with pytest.raises(InvalidRequestError, match="as it is spelled: TASK-ADMIN"):
        client.list(role=role)
    assert requests(sandbox) == []
    assert client.list(role="TENANT-USER") == client.list(role=Role.TASK_ADMIN) == []
    assert f"{Role.TASK_ADMIN}" == str(Role.TASK_ADMIN) == "TASK-ADMIN"


def test_a_bad_request_is_refused_before_anything_is_sent(sandbox: Sandbox, client: ApiKeysClient) -> None:
    arguments: Any
    for arguments in [
        {"roles": ["ADMIN"]},
        {"roles": "TASK-ADMIN"},
        {"roles": [None]},
        {"roles": [["TASK-ADMIN"]]},
        {"roles": 7},
        {"description": 7},
        {"description": b"ci"},
        {"description": "a\0b"},
        {"description": "\ud83d"},
    ]:
        with pytest.raises(InvalidRequestError) as caught:
            client.create(**arguments)
        assert caught.value.outcome is Outcome.NOT_SENT
        assert sandbox.requests == []


def test_a_bad_bound_is_refused(sandbox: Sandbox, client: ApiKeysClient) -> None:
    bound: Any
    for bound in [0, -1, True, "8", 2.0]:
        with pytest.raises(InvalidRequestError, match="bound= is a whole number from 1 on"):
            client.deactivate_many([UNKNOWN_ID], bound=bound)
        assert sandbox.requests == []


def test_a_string_for_many_ids_is_refused(sandbox: Sandbox, client: ApiKeysClient) -> None:
    with pytest.raises(InvalidRequestError):
        client.deactivate_many(UNKNOWN_ID)
    assert sandbox.requests == []


def test_errors_of_the_server(sandbox: Sandbox, client: ApiKeysClient) -> None:
    with pytest.raises(KeyNotFoundError) as missing:
        client.deactivate(UNKNOWN_ID)
    assert missing.value.status == 404
    assert missing.value.key_id == UNKNOWN_ID
    assert missing.value.outcome is Outcome.REJECTED
    with pytest.raises(AuthenticationError):
        client.with_options(token="wrong").list()
    minted = client.create("minted").key
    with pytest.raises(AuthenticationError):
        client.with_options(token=minted).list()


def test_the_key_limit(connect: Connect) -> None:
    with Sandbox(limit=1) as sandbox:
        client = connect(sandbox.url, token=sandbox.token)
        client.create()
        with pytest.raises(KeyLimitReachedError) as caught:
            client.create()
        assert caught.value.outcome is Outcome.REJECTED


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_many_deactivations_do_not_stop_at_a_failure(sandbox: Sandbox, client: ApiKeysClient) -> None:
    ids = [client.create(f"key {number}").id for number in range(12)]
    ids.insert(5, UNKNOWN_ID)
    told: list[Deactivation] = []
    outcomes = client.deactivate_many(iter(ids), told.append)
    assert [outcome.key_id for outcome in outcomes] == ids
    assert isinstance(outcomes[5].error, KeyNotFoundError)
    assert all(outcome.record and not outcome.record.is_active for outcome in outcomes if outcome.error is None)
    assert sorted(told, key=lambda outcome: ids.index(outcome.key_id)) == outcomes
    assert not any(key.is_active for key in sandbox.keys())
    assert client.deactivate_many([]) == []


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_an_interrupted_many_tells_those_done(sandbox: Sandbox, client: ApiKeysClient) -> None:
    ids = [client.create().id for _ in range(30)]
    told: list[str] = []

    def interrupt(outcome: Deactivation) -> None:
        told.append(outcome.key_id)
        if len(told) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.deactivate_many(ids, interrupt, bound=2)
    assert len(told) < 30
    assert set(told) == {key.id for key in sandbox.keys() if not key.is_active}


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_view_shares_the_connections_and_leaves_them_open(sandbox: Sandbox, client: ApiKeysClient) -> None:
    with client.with_options(max_attempts=1, timeout=5, deadline=9) as view:
        assert view.list() == []
        sandbox.queue(Fault.status(503))
        with pytest.raises(ServerError) as caught:
            view.list()
        assert caught.value.attempts == 1
    assert client.list() == []
    client.close()
    with pytest.raises(ApiConnectionError, match="closed"):
        view.list()


def test_a_view_of_a_subclass_has_what_it_keeps(engine: Sandbox) -> None:
    class Mine(ApiKeysClient):
        def __init__(self, url: str, token: str) -> None:
            super().__init__(url, token=token)
            self.team = "platform"

    with Mine(engine.url, engine.token) as client:
        assert client.with_options(max_attempts=1).team == "platform"


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_closed_client_says_so(sandbox: Sandbox, client: ApiKeysClient) -> None:
    client.close()
    client.close()
    with pytest.raises(ApiConnectionError, match="closed") as caught:
        client.create("x")
    assert caught.value.outcome is Outcome.NOT_SENT
    assert sandbox.requests == []


def test_the_generated_layer_works_on_the_same_connections(engine: Sandbox) -> None:
    with ApiKeysClient(engine.url, token=engine.token) as client:
        created = client.create("ci")
        api = client.generated
        assert [record.id for record in api.get_all_active_api_keys_auth_api_keys_get()] == [created.id]
    with pytest.raises(ApiConnectionError, match="closed"):
        api.get_all_active_api_keys_auth_api_keys_get()
