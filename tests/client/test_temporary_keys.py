"""A key that ends with its block, however the block or the making of the key ends."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import pytest

from api_keys_client import UNSET, ApiKeysClient, ApiKeysError, InvalidRequestError, OutcomeUnknownError
from api_keys_client.sandbox import Fault, Sandbox
from api_keys_client.sandbox.faults import Exchange
from tests.support.clients import Connect, requests
from tests.support.interrupts import press_here


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_temporary_key_ends_with_its_block(sandbox: Sandbox, client: ApiKeysClient) -> None:
    with client.temporary_key("ci", ["TASK-ADMIN"]) as temporary:
        assert sandbox.accepts(temporary.key.get_secret_value())
        assert re.fullmatch(r"ci \(temporary, made [0-9TZ:-]{20} #[0-9a-f]{12}\)", temporary.description or "")
    with pytest.raises(ZeroDivisionError), client.temporary_key() as other:
        assert (other.description or "").startswith("(temporary, made ")
        raise ZeroDivisionError
    assert not any(key.is_active for key in sandbox.keys())


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no thread can be interrupted here")
def test_ctrl_c_again_and_again_does_not_keep_a_temporary_key(engine: Sandbox) -> None:
    """The sync client's: the async one's tests cancel a task."""

    def act(exchange: Exchange) -> Any:
        for _ in range(3):
            press_here()
            exchange.pause(0.05)
        return exchange.answer()

    engine.queue(Fault("interrupting", act), operation="deactivate")
    with ApiKeysClient(engine.url, token=engine.token) as client:
        with pytest.raises(KeyboardInterrupt), client.temporary_key("ci"):
            signal.raise_signal(signal.SIGINT)
    assert requests(engine) == ["create", "deactivate", "get"]
    assert [key.is_active for key in engine.keys()] == [False]


def test_ctrl_c_in_the_creation_of_a_temporary_key_says_what_was_seen(engine: Sandbox) -> None:
    def act(exchange: Exchange) -> Any:
        exchange.answer()
        press_here()
        return Fault.silence().act(exchange)

    engine.queue(Fault("interrupting", act), operation="create")
    with ApiKeysClient(engine.url, token=engine.token) as client:
        with pytest.raises(KeyboardInterrupt) as caught, client.temporary_key("ci"):
            pytest.fail("there is no key to work with")
    (key,) = engine.keys()
    assert not key.is_active
    assert vars(caught.value)["__notes__"] == [f"Key {key.id} was made and has been deactivated."]


@pytest.mark.parametrize("fault", [Fault.drop(committed=True), Fault.garbage(), Fault.truncated()])
def test_a_temporary_key_that_was_cut_off_is_undone(sandbox: Sandbox, client: ApiKeysClient, fault: Fault) -> None:
    sandbox.queue(fault, operation="create")
    with pytest.raises(OutcomeUnknownError) as caught, client.temporary_key("ci"):
        pytest.fail("there is no key to work with")
    (key,) = sandbox.keys()
    assert not key.is_active
    assert f"Key {key.id} was made and has been deactivated" in str(caught.value)


@pytest.mark.parametrize("hidden", [True, False])
def test_a_temporary_key_whose_id_is_known_is_undone_by_it(
    sandbox: Sandbox, client: ApiKeysClient, hidden: bool
) -> None:
    def act(exchange: Exchange) -> Any:
        answer = exchange.answer()
        answer.set_data(json.dumps({**json.loads(answer.get_data()), "key": None}))
        return answer

    sandbox.queue(Fault("without its secret", act), operation="create")
    if hidden:
        sandbox.queue(Fault.status(503), operation="list", times=9)
    with pytest.raises(ApiKeysError) as caught, client.temporary_key("ci"):
        pytest.fail("there is no key to work with")
    (key,) = sandbox.keys()
    assert not key.is_active
    assert f"Key {key.id} was made and has been deactivated" in str(caught.value)
    assert "list" not in requests(sandbox)


@pytest.mark.parametrize("description", [5, b"ci", UNSET, ["ci"], "c\0i"])
def test_a_bad_description_of_a_temporary_key_is_refused(
    sandbox: Sandbox, client: ApiKeysClient, description: Any
) -> None:
    with pytest.raises(InvalidRequestError), client.temporary_key(description):
        pytest.fail("there is no key to work with")
    assert sandbox.requests == []


def test_a_temporary_key_that_comes_late_is_undone(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.commit_late(0.1), operation="create")
    with pytest.raises(OutcomeUnknownError), client.temporary_key("ci"):
        pytest.fail("there is no key to work with")
    assert [key.is_active for key in sandbox.keys()] == [False]


def test_a_temporary_key_that_cannot_be_undone_is_named(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.drop(committed=True), operation="create")
    sandbox.queue(Fault.status(403), operation="deactivate")
    with pytest.raises(OutcomeUnknownError) as caught, client.temporary_key("ci"):
        pytest.fail("there is no key to work with")
    (key,) = sandbox.keys()
    assert f"Key {key.id} was made and could not be deactivated" in str(caught.value)


def test_a_temporary_key_that_was_never_seen_is_named_by_its_nonce(sandbox: Sandbox, connect: Connect) -> None:
    client = connect(sandbox.url, token=sandbox.token)
    sandbox.queue(Fault.drop(), operation="create")
    with pytest.raises(OutcomeUnknownError, match=r"No such key was seen; one may still appear, with #[0-9a-f]{12}"):
        with client.temporary_key("ci"):
            pytest.fail("there is no key to work with")


def test_a_refused_temporary_key_is_not_looked_for(sandbox: Sandbox, client: ApiKeysClient) -> None:
    sandbox.queue(Fault.status(403), operation="create")
    with pytest.raises(ApiKeysError), client.temporary_key("ci"):
        pytest.fail("there is no key to work with")
    assert requests(sandbox) == ["create"]
