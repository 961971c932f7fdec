"""What a client can be set to; everything wrong is refused before anything is sent."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from api_keys_client import ApiKeysClient, ApiKeysError, ConfigurationError
from api_keys_client._core.options import ClientOptions, Proxy, SecretHeaders, Settings, resolve_settings
from tests.support.options import SECRET, checked, refusal


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
    assert "The base URL" in str(refusal(base_url))


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        (7, "not int"),
        ("https://exa mple.com", "space"),
        ("ftp://localhost", "begins with https:// or http://"),
        ("https://example.com?s3cret=1", "query"),
    ],
)
def test_a_bad_base_url_is_told_from_another(base_url: Any, why: str) -> None:
    assert why in str(refusal(base_url))


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "0.0.0.0", "[2001:db8::1]", "localhost.example.com"])
def test_plain_http_to_another_host_needs_a_word(host: str) -> None:
    assert "allow_http" in str(refusal(f"http://{host}"))
    ApiKeysClient(f"http://{host}", token=SECRET, allow_http=True)
    ApiKeysClient(f"https://{host}", token=SECRET)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "[::1%25X]"])
def test_plain_http_to_loopback_does_not(host: str) -> None:
    ApiKeysClient(f"http://{host}:8000/prefix", token=SECRET)


def test_the_environment_is_read_and_arguments_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(ApiKeysClient(token=SECRET)) == "<ApiKeysClient http://localhost>"
    monkeypatch.setenv("API_KEYS_BASE_URL", "https://example.com/engine/")
    monkeypatch.setenv("API_KEYS_TOKEN", SECRET)
    assert repr(ApiKeysClient()) == "<ApiKeysClient https://example.com/engine>"
    assert repr(ApiKeysClient("http://localhost:1")) == "<ApiKeysClient http://localhost:1>"


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
        {"headers": {"X-Y": "s3cret\x7f"}},
        {"headers": {"X-Y": 7}},
        {"headers": {"X Y": "s3cret"}},
        {"headers": {"": "s3cret"}},
        {"headers": {7: "s3cret"}},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    assert f"{name}=" in str(refusal(**options))


OWN_HEADERS = (
    "Accept",
    "AUTHORIZATION",
    "connection",
    "Content-Length",
    "Content-Type",
    "Host",
    "Transfer-Encoding",
)


@pytest.mark.parametrize("headers", [{"X-Y": "s3cret\n"}, *({name: "s3cret"} for name in OWN_HEADERS)])
def test_a_bad_header_is_named(headers: dict[str, str]) -> None:
    (name,) = headers
    assert name in str(refusal(headers=headers))


@pytest.mark.parametrize("value", ["false", "0", 1, None])
def test_plain_http_takes_true_or_false(value: Any) -> None:
    assert "allow_http= is True or False" in str(refusal("http://example.com", allow_http=value))


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


def test_refusals_are_errors_of_ours() -> None:
    assert issubclass(ConfigurationError, ApiKeysError)


def times(settings: Settings) -> tuple[float, float, float, int]:
    return settings.connect_timeout, settings.answer_timeout, settings.deadline, settings.max_attempts


def test_what_is_not_set_has_its_default() -> None:
    settings = resolve_settings(ClientOptions(token=SECRET))
    assert settings.base_url == ("http", "localhost", None, "")
    assert times(settings) == (5, 30, 60, 3)
    assert settings.token.header() == f"Bearer {SECRET}"
    assert [*settings.headers] == ["User-Agent"]
    assert (settings.ssl_context, settings.proxy) == (None, None)


def test_what_is_set_holds() -> None:
    context = ssl.create_default_context()
    settings = checked(
        "https://example.com:8443/engine/X/",
        timeout=(1, 2.5),
        deadline=86_400,
        max_attempts=1,
        headers={"user-agent": "mine/1", "X-Team": "a\tb c~", "!#$%&'*+.^_`|~-09azAZ": ""},
        ssl_context=context,
        proxy="https://proxy",
    )
    assert settings.base_url == ("https", "example.com", 8443, "/engine/X")
    assert str(settings.base_url) == "https://example.com:8443/engine/X"
    assert times(settings) == (1, 2.5, 86_400, 1)
    assert settings.headers == {"user-agent": "mine/1", "X-Team": "a\tb c~", "!#$%&'*+.^_`|~-09azAZ": ""}
    assert settings.ssl_context is context
    assert settings.proxy == Proxy("https://proxy", SecretHeaders())


@pytest.mark.parametrize("name", ["timeout", "deadline"])
def test_times_are_bounded(name: str) -> None:
    accepted: dict[str, Any] = {name: 0.001}
    checked(**accepted)
    refusal(**{name: 86_400.5})


def test_one_timeout_is_both() -> None:
    assert times(checked(timeout=7))[:2] == (7, 7)
    assert "pair" in str(refusal(timeout=(1, 2, 3)))


def test_a_view_keeps_what_it_is_not_told() -> None:
    base = checked(
        timeout=(1, 2),
        deadline=3,
        max_attempts=4,
        headers={"X-Team": "a", "X-Who": "b"},
        ssl_context=ssl.create_default_context(),
        proxy="http://proxy",
    )
    same = resolve_settings(ClientOptions(), base=base)
    assert vars(same) == vars(base)
    other = resolve_settings(
        ClientOptions(token="other", timeout=(5, 6), deadline=7, max_attempts=8, headers={"x-team": "c"}),
        base=base,
    )
    assert other.token.header() == "Bearer other"
    assert times(other) == (5, 6, 7, 8)
    assert other.headers == {"User-Agent": base.headers["User-Agent"], "X-Who": "b", "x-team": "c"}
    assert base.headers["X-Team"] == "a"
    assert (other.base_url, other.ssl_context, other.proxy) == (base.base_url, base.ssl_context, base.proxy)
