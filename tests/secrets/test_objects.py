"""No object shows a secret: of a client, of the sandbox, of the generated code, or of what was refused."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable
from typing import Any, cast

import pytest
import rich.pretty
from pydantic import SecretStr, ValidationError

from _generated import ApiKeyResponse, HTTPValidationError, LocationInner, NewApiKeyRequest
from api_keys_client import ApiKeysClient, AsyncApiKeysClient, InvalidRequestError
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.leaks import (
    CREATED,
    KEY_ID,
    MINTED,
    RECORD,
    ROUTES,
    TOKEN,
    assert_hidden,
    assert_no_view_shows,
    chain,
    echo,
    reply,
    views,
)
from tests.support.wire import Server


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", [ApiKeysClient, AsyncApiKeysClient])
def test_no_object_that_a_client_is_made_of_shows_a_secret(
    kind: Callable[..., ApiKeysClient | AsyncApiKeysClient], route: str
) -> None:
    client = kind(**ROUTES[route]("http://127.0.0.1:9"))
    waiting: list[Any] = [client, client.with_options(token=TOKEN, headers={"X-Other-Key": TOKEN})]
    seen = set[int]()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        assert_hidden(f"{thing!r} {thing} {rich.pretty.pretty_repr(thing)}", type(thing).__name__)
        if type(thing).__module__.startswith(("api_keys_client", "_generated")):
            attributes = [*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())]
            waiting += [getattr(thing, name) for name in attributes]
    assert len(seen) > 30
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied or pickled"):
            refused(client)


def test_no_text_shows_what_was_given_in_a_wrong_place() -> None:
    client = ApiKeysClient("http://127.0.0.1:9", token=TOKEN)
    secret: Any = MINTED
    calls: list[Callable[[], object]] = [
        lambda: client.get(secret),
        lambda: client.get(cast("Any", SecretStr(secret))),
        lambda: client.deactivate_many(secret),
        lambda: client.deactivate_many([KEY_ID, secret]),
        lambda: client.create("ci", [secret]),
        lambda: client.create("ci", ["TASK-ADMIN", TOKEN]),
        lambda: client.create(cast("Any", [secret])),
        lambda: client.create(f"\0{secret}"),
        lambda: client.rotate(secret, store=print),
        lambda: client.rotate(KEY_ID, store=secret),
        lambda: client.rotate(KEY_ID, store=print, leftovers=secret),
    ]
    for call in calls:
        with pytest.raises(InvalidRequestError) as caught:
            call()
        for link in chain(caught.value):
            assert_no_view_shows(link, type(link).__name__)


def test_no_validation_error_of_a_generated_model_shows_a_secret() -> None:
    record = ApiKeyResponse(**{**RECORD, "key": SecretStr(MINTED)})
    secret: Any = MINTED
    api = ApiKeysClient(token=TOKEN).generated
    wrong: list[Callable[[], object]] = [
        lambda: NewApiKeyRequest(description=cast("Any", {TOKEN: secret}), roles=[secret]),
        lambda: ApiKeyResponse(id=cast("Any", [secret]), is_active=secret, created_at=secret, roles=cast("Any", TOKEN)),
        lambda: ApiKeyResponse.from_dict({**RECORD, "key": [secret]}),
        lambda: ApiKeyResponse.model_validate_json(secret),
        lambda: setattr(record, "key", [secret]),
        lambda: setattr(record, "id", SecretStr(secret)),
        lambda: HTTPValidationError(detail=[secret]),
        lambda: LocationInner(actual_instance={secret: TOKEN}),
        lambda: api.create_api_key_auth_api_keys_post(cast("Any", {"roles": [secret]})),
        lambda: api.get_api_key_auth_api_keys_api_key_id_get(cast("Any", [secret])),
        lambda: api.get_api_key_auth_api_keys_api_key_id_get(KEY_ID, _headers=secret),
    ]
    for make in wrong:
        with pytest.raises((ValidationError, ValueError)) as caught:
            make()
        for link in chain(caught.value):
            assert_hidden(f"{link} {link!r} {''.join(traceback.format_exception_only(link))}", type(link).__name__)
            if isinstance(link, ValidationError):
                without = link.errors(include_input=False, include_context=False), link.json(include_input=False)
                assert_hidden(str(without), "what is asked for without the input")


def test_no_record_of_the_generated_client_shows_or_pickles_its_secret() -> None:
    with Server(*[echo(reply("200 OK", CREATED, "Content-Type: application/json"))] * 2) as server:
        with ApiKeysClient(server.url, token=TOKEN) as client:
            created = client.generated.create_api_key_auth_api_keys_post(NewApiKeyRequest(description="ci"))
            assert created.key
            assert created.key.get_secret_value() == MINTED
            assert_no_view_shows(created, "the generated record")
            assert_no_view_shows(client.generated, "the generated API")
            with pytest.raises(TypeError, match="not pickled"):
                pickle.dumps(created)
            assert copy.deepcopy(created) == created
    without = ApiKeyResponse(**RECORD)
    assert pickle.loads(pickle.dumps(without)) == without


def test_no_object_of_the_sandbox_shows_a_secret() -> None:
    with Sandbox(token=TOKEN) as sandbox:
        client = ApiKeysClient(sandbox.url, token=TOKEN)
        sandbox.queue(Fault.status(503, "later"), operation="list")
        secret = client.create("ci").key.get_secret_value()
        assert sandbox.accepts(secret)
        for thing in (sandbox, *sandbox.requests, *sandbox.keys(), *sandbox.unmet):
            for name, text in views(thing):
                # Its attributes are public, and the token is one.
                if thing is not sandbox or name != "vars":
                    assert_hidden(text, f"{name} of {type(thing).__name__}")
                    assert secret.encode() not in (text.encode() if isinstance(text, str) else text)
