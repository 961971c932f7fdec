"""`kind` of a connection error: what failed, for a program that would else have to read the text."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, get_args

import pytest
import trustme

from api_keys_client import ApiConnectionError
from api_keys_client.errors import FailureKind
from api_keys_client.sandbox import Sandbox
from tests.support.certificates import presenting, trusting
from tests.support.clients import Connect
from tests.support.failing import unresolved_at_once
from tests.support.wire import KEY_ID, Peer, Server, answer, say

AUTHORITY = trustme.CA()

Where = Callable[[ExitStack], dict[str, Any]]


def served(*acts: Any, clients: ssl.SSLContext | None = None, **options: Any) -> Where:
    """A client of a server that acts like this."""

    def where(stack: ExitStack) -> dict[str, Any]:
        return {"base_url": stack.enter_context(Server(*acts, **options)).url, "ssl_context": clients}

    return where


def no_server(_: ExitStack) -> dict[str, Any]:
    with Server() as gone:
        return {"base_url": gone.url}


def a_plain_server(stack: ExitStack) -> dict[str, Any]:
    return {"base_url": stack.enter_context(Sandbox()).url.replace("http:", "https:")}


def through_a_proxy(stack: ExitStack) -> dict[str, Any]:
    proxy = stack.enter_context(Server(answer(407)))
    return {"base_url": "https://engine.example", "proxy": proxy.url}


CASES: dict[str, tuple[Where, FailureKind]] = {
    "an unknown name": (lambda _: {"base_url": "https://engine.invalid"}, "dns"),
    "nobody there": (no_server, "refused"),
    "reset": (served(say(then=Peer.reset)), "reset"),
    "closed without an answer": (served(say()), "reset"),
    "cut off": (served(say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[")), "reset"),
    "closed in TLS": (served(say(), tls=presenting(AUTHORITY), clients=trusting(AUTHORITY)), "reset"),
    "no HTTP": (served(say(b"220 mail.example ESMTP\r\n")), "protocol"),
    "interim only": (served(say(b"HTTP/1.1 101 Switching\r\n\r\n")), "protocol"),
    "too late": (served(say(then=Peer.hold)), "timeout"),
    "another authority": (served(tls=presenting(AUTHORITY), clients=trusting(trustme.CA())), "tls_untrusted"),
    "another host": (
        served(tls=presenting(AUTHORITY, "engine.example"), clients=trusting(AUTHORITY)),
        "tls_untrusted",
    ),
    "no certificate of ours": (
        served(tls=presenting(AUTHORITY, clients_of=AUTHORITY), clients=trusting(AUTHORITY)),
        "tls_refused",
    ),
    "plain http": (a_plain_server, "not_tls"),
    "a proxy's refusal": (through_a_proxy, "proxy"),
}


@pytest.fixture(autouse=True)
def _names_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unresolved_at_once(monkeypatch)


@contextmanager
def failing() -> Iterator[pytest.ExceptionInfo[ApiConnectionError]]:
    with pytest.raises(ApiConnectionError) as caught:
        yield caught


@pytest.mark.parametrize("name", CASES)
def test_the_kind_says_what_failed(connect: Connect, name: str) -> None:
    where, kind = CASES[name]
    with ExitStack() as stack:
        client = connect(token="token", max_attempts=1, timeout=1, **where(stack))
        with failing() as caught:
            client.get(KEY_ID)
    assert caught.value.kind == kind


def test_the_kind_of_a_closed_client(connect: Connect) -> None:
    client = connect("http://127.0.0.1:9", token="token")
    client.close()
    with failing() as caught:
        client.get(KEY_ID)
    assert caught.value.kind == "closed"


def test_every_kind_but_the_rest_has_a_case() -> None:
    assert {kind for _, kind in CASES.values()} | {"closed", "tls", "other"} == {*get_args(FailureKind)}
