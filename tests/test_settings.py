"""What a client can be set to; everything wrong is refused before anything is sent, and no text shows a secret."""

from __future__ import annotations

import pickle
import ssl
import traceback
from typing import Any

import pytest
from pydantic import SecretStr

from api_keys_client import ApiKeysClient, ApiKeysError, ConfigurationError, Outcome

SECRET = "s3cret-t0ken"


def refusal(*arguments: Any, **options: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        ApiKeysClient(*arguments, **{"token": SECRET, **options})
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.outcome is Outcome.NOT_SENT
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if "/api_keys_client/" in frame.filename]
    assert frames
    for text in (str(error), repr(error), *(str(frame.locals) for frame in frames)):
        assert "s3cret" not in text
    return error


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
    refusal(token=token)
    client = ApiKeysClient(token=lambda: token)
    with pytest.raises(ConfigurationError) as caught:
        client.list()
    assert "s3cret" not in str(caught.value)


def test_no_token_is_refused() -> None:
    assert "API_KEYS_TOKEN" in str(refusal(token=None))


@pytest.mark.parametrize("name", ["API_KEYS_TOKEN", "BEARER_TOKEN"])
@pytest.mark.parametrize("value", ["", "s3cret\n"])
def test_a_bad_token_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert name in str(refusal(token=None))


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "localhost",
        "localhost:8000",
        "ftp://localhost",
        "//localhost",
        "http://",
        "https://user:s3cret@example.com",
        "https://s3cret@example.com",
        "https://example.com?s3cret=1",
        "https://example.com#s3cret",
        "https://example.com/\n",
        "https://exa mple.com",
        "https://example.com/\x7f",
        "https://example.com\\@localhost",
        "https://exämple.com",
        "https://example.com:99999999",
        "http://[::1",
        b"http://localhost",
        7,
    ],
)
def test_a_bad_base_url_is_refused(base_url: Any) -> None:
    refusal(base_url)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "0.0.0.0", "[2001:db8::1]", "localhost.example.com"])
def test_plain_http_to_another_host_needs_a_word(host: str) -> None:
    assert "allow_http" in str(refusal(f"http://{host}"))
    ApiKeysClient(f"http://{host}", token=SECRET, allow_http=True)
    ApiKeysClient(f"https://{host}", token=SECRET)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_plain_http_to_loopback_does_not(host: str) -> None:
    ApiKeysClient(f"http://{host}:8000/prefix", token=SECRET)


def test_the_environment_is_read_and_arguments_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(ApiKeysClient(token=SECRET)) == "<ApiKeysClient http://localhost>"
    monkeypatch.setenv("API_KEYS_BASE_URL", "https://example.com/engine/")
    monkeypatch.setenv("API_KEYS_TOKEN", SECRET)
    assert repr(ApiKeysClient()) == "<ApiKeysClient https://example.com/engine>"
    assert repr(ApiKeysClient("http://localhost:1")) == "<ApiKeysClient http://localhost:1>"
    monkeypatch.setenv("API_KEYS_BASE_URL", "")
    refusal()


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": 1e9},
        {"timeout": "5"},
        {"timeout": True},
        {"timeout": (1, 2, 3)},
        {"timeout": (1, None)},
        {"deadline": 0},
        {"deadline": "60"},
        {"max_attempts": 0},
        {"max_attempts": 1.5},
        {"max_attempts": True},
        {"ssl_context": True},
        {"ssl_context": "ca.pem"},
        {"headers": {"Authorization": "Bearer s3cret"}},
        {"headers": {"host": "s3cret"}},
        {"headers": {"X-Y": "s3cret\r\nX: y"}},
        {"headers": {"X-Y": 7}},
        {"headers": {"X Y": "s3cret"}},
        {"headers": {"": "s3cret"}},
        {"headers": {7: "s3cret"}},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    refusal(**options)


@pytest.mark.parametrize(
    "proxy", ["s3cret", "socks5://user:s3cret@proxy", "http://user:s3cret@", "http://user:s3cret@pro xy", 7]
)
def test_a_bad_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: Any) -> None:
    refusal("https://example.com", proxy=proxy)
    if isinstance(proxy, str):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        refusal("https://example.com")


def test_views_are_checked_too() -> None:
    client = ApiKeysClient(token=SECRET)
    views: list[dict[str, Any]] = [
        {"token": "s3cret\n"},
        {"timeout": 0},
        {"max_attempts": 0},
        {"headers": {"Host": "x"}},
    ]
    for options in views:
        with pytest.raises(ConfigurationError):
            client.with_options(**options)


def test_a_token_function_is_asked_on_each_call_only() -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        raise LookupError("the vault is closed")

    client = ApiKeysClient("http://127.0.0.1:1", token=token)
    assert asked == []
    with pytest.raises(LookupError):
        client.list()
    assert asked == [1]


def test_no_repr_or_pickle_shows_the_token() -> None:
    context = ssl.create_default_context()
    client = ApiKeysClient("https://example.com", token=SECRET, proxy="http://user:s3cret@proxy", ssl_context=context)
    assert "s3cret" not in repr(client)
    assert "s3cret" not in repr(vars(client))
    with pytest.raises(TypeError, match="not copied or pickled"):
        pickle.dumps(client)


def test_refusals_are_errors_of_ours() -> None:
    assert issubclass(ConfigurationError, ApiKeysError)
