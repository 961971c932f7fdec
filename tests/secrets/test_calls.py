"""Neither the token, nor a minted secret, nor the proxy's password shows, however a call ends and however one looks."""

from __future__ import annotations

import base64
import http.client
import logging
import pickle
from typing import Any

import pytest
import rich.pretty
from pydantic import SecretStr

from api_keys_client import ApiKeysError, ConfigurationError, CreatedKey, InvalidRequestError, NotStored, RotationError
from tests.support.clients import Connect
from tests.support.endings import EXITS
from tests.support.leaks import (
    CREATED,
    ECHO,
    KEY_ID,
    MINTED,
    RECORD,
    ROUTES,
    TOKEN,
    assert_error_hides,
    assert_hidden,
    assert_no_view_shows,
    chain,
    echo,
    end_of,
    logged,
    reply,
)
from tests.support.wire import Act, Peer, Request, Server


def hold(peer: Peer, _: Request) -> None:
    peer.hold()


# What the way to the server and the kind of token change is seen in these already.
ON_EACH_ROUTE = (
    "a record",
    "a created key",
    "get answered 401 Unauthorized",
    "create answered with text",
    "an answer that is not HTTP",
    "an echo in the reason",
    "a connection closed",
    "silence",
)


@pytest.mark.parametrize(
    ("name", "route"),
    [(name, "str") for name in EXITS] + [(name, route) for route in ROUTES if route != "str" for name in ON_EACH_ROUTE],
)
def test_no_end_of_a_call_shows_a_secret(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, route: str
) -> None:
    call, said, fails = EXITS[name]
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    acts: list[Act] = [hold if said is None else echo(said)] * 9
    with Server(*acts) as server, logged() as records:
        timeout = (1.0, 0.1 if said is None else 5.0)
        client = connect(**ROUTES[route](server.url), timeout=timeout, deadline=3, max_attempts=1)
        ended = end_of(call, client)
        if isinstance(ended, ApiKeysError):
            assert fails is not False or route == "tunnel"
            assert [*chain(ended)] == [ended]
            assert assert_error_hides(ended)
            assert vars(pickle.loads(pickle.dumps(ended))) == vars(ended)
        else:
            assert not fails
            for thing in (ended, *(ended if isinstance(ended, list) else ())):
                assert_no_view_shows(thing, "the result")
        assert server.requests
    for record in records:
        assert_hidden(f"{record.__dict__} {logging.Formatter().format(record)}", f"the log of {record.name}")
    assert any(record.name == "api_keys_client" for record in records)
    printed = capfd.readouterr()
    assert_hidden(printed.out + printed.err, "the terminal")


def test_a_password_beyond_ascii_is_sent_as_utf_8(connect: Connect) -> None:
    with Server(echo(reply("200 OK", RECORD))) as server:
        proxy = server.url.replace("//", "//user:p%D0%B6@")
        connect("http://engine.example", token=TOKEN, allow_http=True, proxy=proxy).get(KEY_ID)
        sent = server.requests[0].headers["proxy-authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")).decode() == "user:pж"


@pytest.mark.parametrize("token", [f"{TOKEN}\n", TOKEN.encode(), SecretStr(f"{TOKEN} "), None, "raises"])
def test_no_failing_token_function_shows_a_secret(connect: Connect, token: Any) -> None:
    def ask() -> Any:
        if token == "raises":
            raise LookupError("the vault is closed")
        return token

    with pytest.raises((ConfigurationError, LookupError)) as caught:
        connect("http://127.0.0.1:9", token=ask, headers={"X-Other-Key": TOKEN}).create("ci")
    assert assert_error_hides(caught.value)


def test_a_servers_words_stay_readable(connect: Connect) -> None:
    other = base64.b64encode(b"this is long enough to be a secret, but it is none at all").decode()
    path = f"/auth/keys/{MINTED}"
    with Server(
        echo(reply("400 Bad Request", {"detail": f"@token@: {KEY_ID}, {other}, {path}, 20{MINTED}."}))
    ) as server:
        with pytest.raises(InvalidRequestError) as caught:
            connect(server.url, token=TOKEN).get(KEY_ID)
    assert caught.value.detail == f"[token]: {KEY_ID}, {other}, [secret], [secret]."


STORES: dict[str, Exception | None] = {
    "done": None,
    "refused": NotStored("the vault is sealed"),
    "failed": LookupError("the vault is closed"),
}


@pytest.mark.parametrize("name", STORES)
def test_no_end_of_a_rotation_shows_a_secret(connect: Connect, name: str) -> None:
    def store(new: CreatedKey) -> None:
        assert new.key.get_secret_value() == MINTED
        problem = STORES[name]
        if problem:
            raise problem

    old = {**RECORD, "id": "00000000-0000-4000-8000-000000000000"}
    refusal = reply("403 Forbidden", {"detail": ECHO})
    acts = [echo(reply("200 OK", [old])), echo(reply("200 OK", CREATED)), *[echo(refusal)] * 9]
    with Server(*acts) as server:
        client = connect(server.url, token=TOKEN)
        with pytest.raises(RotationError) as caught:
            client.rotate(old["id"], store=store)
        assert assert_error_hides(caught.value)
    with Server(*acts) as server:
        client = connect(server.url, token=TOKEN)
        kept = end_of(lambda client: client.rotate(old["id"], store=store, keep_old=True), client)
        assert_hidden(f"{kept} {kept!r} {vars(kept)} {rich.pretty.pretty_repr(kept)}", "what keeps the old key")
