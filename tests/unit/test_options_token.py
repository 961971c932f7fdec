"""Where a client has its token from; a wrong one is refused, and no text shows one."""

from __future__ import annotations

import pickle
import ssl
from typing import Any

import pytest
from pydantic import SecretStr

from api_keys_client import ApiKeysClient, ConfigurationError
from api_keys_client._core.options import ClientOptions, resolve_settings
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
@pytest.mark.parametrize("value", ["", "s3cret\n"])
def test_a_bad_token_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert name in str(refusal(token=None))


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


def test_an_async_token_function_is_refused() -> None:
    async def token() -> str:
        return SECRET

    class Vault:
        async def __call__(self) -> str:
            return SECRET

    for source in (token, Vault()):
        assert "this one is async" in str(refusal(token=source))


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
