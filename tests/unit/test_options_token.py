"""Where a client has its token from; a wrong one is refused, and no text shows one."""

from __future__ import annotations

import pickle
import ssl
from typing import Any, cast

import pytest
from pydantic import SecretStr

from api_keys_client import ApiConnectionError, ApiKeysClient, ConfigurationError
from api_keys_client._core.options import ClientOptions, resolve_settings
from tests.support.clients import Connect
from tests.support.options import SECRET, checked, refusal


@pytest.mark.parametrize(
    "token",
    [
        "",
        "s3cret\n",
        "s3cret\r\nX: y",
        "s3cret\0",
        "s3cret s3cret",
        " s3cret",
        "s3cretж",
        b"s3cret",
        7,
        SecretStr(""),
        SecretStr("s3cret\n"),
    ],
)
def test_a_bad_token_is_refused(token: Any) -> None:
    assert " token= " in str(refusal(token=token))
    client = ApiKeysClient(token=lambda: token)
    with pytest.raises(ConfigurationError) as caught:
        client.list()
    assert " token= " in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(("token", "kind"), [(b"s3cret", "bytes"), (SecretStr("s3cret\n"), "line end"), ("", "empty")])
def test_a_bad_token_is_told_from_another(token: Any, kind: str) -> None:
    assert kind in str(refusal(token=token))


def test_no_token_is_refused() -> None:
    assert "API_KEYS_TOKEN" in str(refusal(token=None))


@pytest.mark.parametrize("name", ["API_KEYS_TOKEN", "BEARER_TOKEN"])
def test_a_bad_token_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "s3cret\n")
    assert f"from {name} holds" in str(refusal(token=None))


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS_TOKEN", "")
    monkeypatch.setenv("API_KEYS_BASE_URL", "")
    assert "There is no token" in str(refusal(token=None))
    monkeypatch.setenv("BEARER_TOKEN", "")
    assert "There is no token" in str(refusal(token=None))
    monkeypatch.setenv("BEARER_TOKEN", SECRET)
    settings = checked(base_url=cast("str", None), token=None)
    assert (settings.token.header(), str(settings.base_url)) == (f"Bearer {SECRET}", "http://localhost")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("engine.example.com", "begins with"),
        ("https://e x", "is no URL"),
        ("http://example.com", "is plain http"),
        ("https://u:p@example.com", "is a host"),
        ("https://example.com/team/auth/api_keys/", "ends where this API begins: leave /auth/api_keys"),
    ],
)
def test_an_error_says_where_a_url_came_from(monkeypatch: pytest.MonkeyPatch, url: str, problem: str) -> None:
    assert str(refusal(url)).startswith(f"The base URL {problem}")
    monkeypatch.setenv("API_KEYS_BASE_URL", url)
    assert str(refusal()).startswith(f"The base URL from API_KEYS_BASE_URL {problem}")


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_context_that_was_made_before_the_class_was_replaced_will_do(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As truststore replaces it."""
    context = ssl.create_default_context()
    monkeypatch.setattr(ssl, "SSLContext", type("SSLContext", (ssl.SSLContext,), {}))
    with pytest.raises(ApiConnectionError):
        connect("https://127.0.0.1:1", token=SECRET, ssl_context=context, max_attempts=1).list()


def test_a_token_function_is_asked_on_each_call_only() -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        raise LookupError("the vault is closed")

    client = ApiKeysClient("http://127.0.0.1:1", token=token)
    assert asked == []
    with pytest.raises(ConfigurationError, match="The function given as token= raised LookupError") as caught:
        client.list()
    assert isinstance(caught.value.__cause__, LookupError)
    assert caught.value.attempts == 0
    assert asked == [1]


def test_no_repr_or_pickle_shows_the_token() -> None:
    context = ssl.create_default_context()
    client = ApiKeysClient("https://example.com", token=SECRET, proxy="http://user:s3cret@proxy", ssl_context=context)
    assert "s3cret" not in repr(client)
    assert "s3cret" not in repr(vars(client))
    with pytest.raises(TypeError, match="not copied or pickled"):
        pickle.dumps(client)


@pytest.mark.parametrize("given", [SECRET, SecretStr(SECRET), lambda: SECRET, lambda: SecretStr(SECRET)])
def test_a_token_is_given_in_four_ways(given: Any) -> None:
    assert checked(token=given).token.header() == f"Bearer {SECRET}"
    assert checked(token="!~").token.header() == "Bearer !~"


def test_a_token_comes_from_the_argument_then_our_variable_then_the_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "third")
    assert checked(token=None).token.header() == "Bearer third"
    monkeypatch.setenv("API_KEYS_TOKEN", "second")
    assert checked(token=None).token.header() == "Bearer second"
    assert checked(token="first").token.header() == "Bearer first"


def test_no_holder_of_a_secret_shows_it() -> None:
    given = ClientOptions("https://example.com", SECRET, headers={"X-Key": SECRET}, proxy=f"http://user:{SECRET}@proxy")
    settings = resolve_settings(given)
    for holder in (given, settings, settings.token, settings.headers, settings.proxy):
        for text in (repr(holder), str(holder), f"{holder}"):
            assert SECRET not in text
