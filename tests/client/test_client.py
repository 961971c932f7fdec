"""The client's calls against the sandbox, over a real socket."""

from __future__ import annotations

import re
import uuid

import pytest

from api_keys_client import (
    ApiConnectionError,
    ApiKeysClient,
    AuthenticationError,
    Deactivation,
    KeyNotFoundError,
    Outcome,
    Role,
    ServerError,
    key_id_from_secret,
)
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.clients import Connect, requests
from tests.support.wire import KEY_ID, Server, answer

both_drivers = pytest.mark.parametrize("driver", ["sync", "async"])


@both_drivers
@pytest.mark.parametrize(
    # The engine answers a deactivation without the record, which is asked for.
    ("sandbox", "ending"),
    [("engine", ["deactivate", "get"]), ("spec", ["deactivate"])],
    indirect=["sandbox"],
)
def test_a_key_lives_its_whole_life(sandbox: Sandbox, client: ApiKeysClient, ending: list[str]) -> None:
    created = client.create("ci", [Role.TASK_ADMIN, "ORG-AUDITOR"])
    secret = created.key.get_secret_value()
    assert sandbox.accepts(secret)
    assert created.roles == ["TASK-ADMIN", "ORG-AUDITOR"]
    assert created.description == "ci"
    assert [record.id for record in client.list()] == [created.id]
    assert client.get(created.id).is_active
    assert client.get(created.id).key is None
    assert key_id_from_secret(secret) == created.id

    before = len(sandbox.requests)
    gone = client.deactivate(created.id)
    assert (gone.id, gone.is_active) == (created.id, False)
    assert requests(sandbox)[before:] == ending
    assert not sandbox.accepts(secret)
    assert client.list() == []
    assert not client.get(created.id).is_active


@both_drivers
def test_what_is_sent(connect: Connect) -> None:
    with Server(*[answer(200, b"[]", "Set-Cookie: ACCESS_TOKEN=x")] * 3) as server:
        client = connect(f"{server.url}/tenants/{uuid.UUID(int=0)}/", token="token", headers={"X-Team": "platform"})
        client.list()
        client.with_options(headers={"x-team": "other", "User-Agent": "mine/1"}, token=lambda: "fresh").list()
    first, second = (request.headers for request in server.requests)
    assert {request.target for request in server.requests} == {f"/tenants/{uuid.UUID(int=0)}/auth/api_keys/"}
    assert (first["authorization"], first["accept"]) == ("Bearer token", "application/json")
    assert re.fullmatch(r"api-keys-client/[\d.]+", first["user-agent"])
    assert (first["x-team"], second["x-team"]) == ("platform", "other")
    assert (second["authorization"], second["user-agent"]) == ("Bearer fresh", "mine/1")
    assert "cookie" not in second


@both_drivers
def test_list_filters(client: ApiKeysClient) -> None:
    ci = client.create("ci", ["TASK-ADMIN"])
    with client.temporary_key("ci", ["ORG-ADMIN"]) as temporary:
        client.create("other", ["TASK-ADMIN"])
        assert {record.id for record in client.list("ci")} == {ci.id, temporary.id}
        assert {record.id for record in client.list(role=Role.ORG_ADMIN)} == {temporary.id}
        assert {record.id for record in client.list("ci", "TASK-ADMIN")} == {ci.id}
        assert client.list("nobody") == []


def test_errors_of_the_server(client: ApiKeysClient) -> None:
    with pytest.raises(KeyNotFoundError) as missing:
        client.deactivate(KEY_ID)
    assert (missing.value.status, missing.value.key_id) == (404, KEY_ID)
    assert missing.value.outcome is Outcome.REJECTED
    for token in ("wrong", client.create("minted").key):
        with pytest.raises(AuthenticationError):
            client.with_options(token=token).list()


@both_drivers
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


@both_drivers
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


@both_drivers
def test_a_closed_client_says_so(sandbox: Sandbox, client: ApiKeysClient) -> None:
    client.list()
    client.close()
    client.close()
    with pytest.raises(ApiConnectionError, match="the client is closed") as caught:
        client.create("x")
    assert caught.value.outcome is Outcome.NOT_SENT
    assert requests(sandbox) == ["list"]
