"""What a client can be set to: a wrong setting is refused before anything is sent, and shows no secret."""

from __future__ import annotations

import os
import ssl
import traceback
from collections import UserDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import pytest
from pydantic import SecretStr

from api_keys_client import ApiConnectionError, ApiKeysClient, ConfigurationError, Outcome
from api_keys_client._core.options import ClientOptions, Proxy, SecretHeaders, Settings, resolve_settings
from api_keys_client._transport.system import environment
from tests.support.clients import Connect

SECRET = "s3cret-t0ken"
URL = "https://example.com"


def refusal(*arguments: Any, **options: Any) -> str:
    """What the refusal of a setting says; it shows no secret, not even in the locals of our frames."""
    with pytest.raises(ConfigurationError) as caught:
        ApiKeysClient(*arguments, **{"token": SECRET, **options})
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.outcome is Outcome.NOT_SENT
    assert "correct the setting" in error.next_step
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if "/api_keys_client/" in frame.filename]
    assert frames
    for text in (str(error), repr(error), *(str(frame.locals) for frame in frames)):
        assert "s3cret" not in text
    return str(error)


def checked(base_url: str | None = URL, token: Any = SECRET, **options: Any) -> Settings:
    return resolve_settings(ClientOptions(base_url, token, **options), environment())


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
    headers = {"user-agent": "mine/1", "X-Team": "a\tb c~", "!#$%&'*+.^_`|~-09azAZ": ""}
    settings = checked(
        "https://example.com:8443/engine/X/",
        timeout=(1, 2.5),
        deadline=86_400,
        max_attempts=1,
        headers=headers,
        ssl_context=context,
        proxy="https://proxy",
    )
    assert settings.base_url == ("https", "example.com", 8443, "/engine/X")
    assert str(settings.base_url) == "https://example.com:8443/engine/X"
    assert times(settings) == (1, 2.5, 86_400, 1)
    assert settings.headers == headers
    assert settings.ssl_context is context
    assert settings.proxy == Proxy("https://proxy", SecretHeaders())


def test_a_view_keeps_what_it_is_not_told() -> None:
    base = checked(
        timeout=(1, 2),
        deadline=3,
        max_attempts=4,
        headers={"X-Team": "a", "X-Who": "b"},
        ssl_context=ssl.create_default_context(),
        proxy="http://proxy",
    )
    assert vars(resolve_settings(ClientOptions(), base=base)) == vars(base)
    told = ClientOptions(token="other", timeout=(5, 6), deadline=7, max_attempts=8, headers={"x-team": "c"})
    other = resolve_settings(told, base=base)
    assert other.token.header() == "Bearer other"
    assert times(other) == (5, 6, 7, 8)
    assert other.headers == {"User-Agent": base.headers["User-Agent"], "X-Who": "b", "x-team": "c"}
    assert base.headers["X-Team"] == "a"
    assert (other.base_url, other.ssl_context, other.proxy) == (base.base_url, base.ssl_context, base.proxy)


@pytest.mark.parametrize(
    "wrong", [{"token": "s3cret\n"}, {"timeout": 0}, {"max_attempts": 0}, {"headers": {"Host": ""}}]
)
def test_a_view_is_checked_too(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ApiKeysClient(token=SECRET).with_options(**wrong)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("timeout", [0, -1, float("nan"), float("inf"), 86_400.5, "5", True, (1, None)]),
        ("deadline", [0, 86_400.5, "60"]),
        ("max_attempts", [0, 1.5, True]),
        ("ssl_context", [True, "ca.pem"]),
        ("ca_file", ["", b"ca.pem", 7]),
        ("headers", [{"": "s3cret"}, {"X Y": "s3cret"}, {7: "s3cret"}]),
    ],
)
def test_a_bad_option_is_refused(option: str, values: list[Any]) -> None:
    for value in values:
        assert f"{option}=" in refusal(**{option: value})


def test_a_timeout_is_one_number_or_two() -> None:
    assert times(checked(timeout=7))[:2] == (7, 7)
    assert times(checked(timeout=0.001, deadline=0.001))[1:3] == (0.001, 0.001)
    assert "pair" in refusal(timeout=(1, 2, 3))


def test_what_tls_trusts_is_said_once() -> None:
    assert checked(ca_file="ca.pem").ca_file == checked(ca_file=Path("ca.pem")).ca_file == "ca.pem"
    assert "give one of them" in refusal(ca_file="ca.pem", ssl_context=ssl.create_default_context())


OWN_HEADERS = ("Accept", "AUTHORIZATION", "connection", "Content-Length", "Content-Type", "Host", "Transfer-Encoding")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("X-Y", value) for value in ("s3cret\r\nX: y", "s3cret\n", "s3cret\x7f", 7)),
        *((own, "s") for own in OWN_HEADERS),
    ],
)
def test_a_bad_header_is_named(name: str, value: Any) -> None:
    told = refusal(headers={name: value})
    assert "headers=" in told
    assert name in told


class TestTheBaseUrl:
    @pytest.mark.parametrize(
        ("problem", "urls"),
        [
            ("is a string, not int", [7]),
            ("is a string, not bytes", [b"http://localhost"]),
            ("is no URL", ["", "https://exa mple.com", f"{URL}/\n", f"{URL}/\x7f", f"{URL}\\@localhost"]),
            ("is no URL", ["https://exämple.com", f"{URL}:99999999", "http://[::1"]),
            ("begins with https:// or http://", ["localhost", "localhost:8000", "ftp://localhost", "//localhost"]),
            (
                "is a host and at most a path",
                ["http://", "https://user:s3cret@example.com", "https://s3cret@example.com"],
            ),
            ("is a host and at most a path", [f"{URL}?s3cret=1", f"{URL}#s3cret"]),
            ("ends where this API begins: leave /auth/api_keys", [f"{URL}/team/auth/api_keys/"]),
        ],
    )
    def test_a_bad_one_is_refused(self, monkeypatch: pytest.MonkeyPatch, problem: str, urls: list[Any]) -> None:
        for url in urls:
            assert refusal(url).startswith(f"The base URL {problem}")
            if url and isinstance(url, str):
                monkeypatch.setenv("API_KEYS_BASE_URL", url)
                assert refusal().startswith(f"The base URL from API_KEYS_BASE_URL {problem}")

    @pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "0.0.0.0", "[2001:db8::1]", "localhost.example.com"])
    def test_plain_http_to_another_host_needs_a_word(self, host: str) -> None:
        assert "allow_http" in refusal(f"http://{host}")
        checked(f"http://{host}", allow_http=True)
        checked(f"https://{host}")

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]", "[::1%25X]"])
    def test_plain_http_to_loopback_does_not(self, host: str) -> None:
        checked(f"http://{host}:8000/prefix")

    @pytest.mark.parametrize("value", ["false", "0", 1, None])
    def test_plain_http_takes_true_or_false(self, value: Any) -> None:
        assert "allow_http= is True or False" in refusal("http://example.com", allow_http=value)

    def test_it_comes_from_the_argument_then_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("API_KEYS_BASE_URL", "")
        assert str(checked(None).base_url) == "http://localhost"
        monkeypatch.setenv("API_KEYS_BASE_URL", "https://example.com/engine/")
        assert str(checked(None).base_url) == "https://example.com/engine"
        assert repr(ApiKeysClient("http://localhost:1", token=SECRET)) == "<ApiKeysClient http://localhost:1>"


class TestTheToken:
    @pytest.mark.parametrize(
        ("problem", "tokens"),
        [
            ("is no string but bytes", [b"s3cret"]),
            ("is no string but int", [7]),
            ("is empty", ["", SecretStr("")]),
            ("holds", ["s3cret\n", "s3cret\r\nX: y", "s3cret\0", "s3cret s3cret", " s3cret", "s3cretж"]),
            ("holds", [SecretStr("s3cret\n")]),
        ],
    )
    def test_a_bad_one_is_refused(self, problem: str, tokens: list[Any]) -> None:
        for token in tokens:
            assert f"The token from token= {problem}" in refusal(token=token)
            with pytest.raises(ConfigurationError) as caught:
                ApiKeysClient(token=lambda token=token: token).list()
            assert " token= " in str(caught.value)
            assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize("name", ["API_KEYS_TOKEN", "BEARER_TOKEN"])
    def test_a_bad_one_in_the_environment_is_refused(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv(name, "s3cret\n")
        assert f"from {name} holds" in refusal(token=None)

    @pytest.mark.parametrize("given", [SECRET, SecretStr(SECRET), lambda: SECRET, lambda: SecretStr(SECRET)])
    def test_it_is_given_in_four_ways(self, given: Any) -> None:
        assert checked(token=given).token.header() == f"Bearer {SECRET}"
        assert checked(token="!~").token.header() == "Bearer !~"

    def test_it_comes_from_the_argument_then_our_variable_then_the_contracts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("API_KEYS_TOKEN", "BEARER_TOKEN"):
            assert "There is no token: give token=, or set API_KEYS_TOKEN" in refusal(token=None)
            # What is empty counts as unset.
            monkeypatch.setenv(name, "")
        assert "There is no token" in refusal(token=None)
        monkeypatch.setenv("BEARER_TOKEN", "third")
        assert checked(token=None).token.header() == "Bearer third"
        monkeypatch.setenv("API_KEYS_TOKEN", "second")
        assert checked(token=None).token.header() == "Bearer second"
        assert checked(token="first").token.header() == "Bearer first"

    def test_a_function_is_asked_on_each_call_only(self) -> None:
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


def test_no_holder_of_a_secret_shows_it() -> None:
    given = ClientOptions(URL, SECRET, headers={"X-Key": SECRET}, proxy=f"http://user:{SECRET}@proxy")
    settings = resolve_settings(given)
    for holder in (given, settings, settings.token, settings.headers, settings.proxy):
        assert SECRET not in f"{holder!r} {holder}"


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_a_context_that_was_made_before_the_class_was_replaced_will_do(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As truststore replaces it."""
    context = ssl.create_default_context()
    monkeypatch.setattr(ssl, "SSLContext", type("SSLContext", (ssl.SSLContext,), {}))
    with pytest.raises(ApiConnectionError):
        connect("https://127.0.0.1:1", token=SECRET, ssl_context=context, max_attempts=1).list()


def proxy_of(base_url: str = URL, **options: Any) -> str | None:
    proxy = checked(base_url, **options).proxy
    return proxy.url if proxy else None


class Changing(UserDict[str, str]):
    """An environment that loses each name, to another thread, between being gone through and being asked."""

    def __iter__(self) -> Iterator[str]:
        yield "GONE_PROXY"


class TestTheProxy:
    @pytest.mark.parametrize(
        "proxy", ["s3cret", "socks5://user:s3cret@proxy", "http://user:s3cret@", "http://user:s3cret@pro xy", 7]
    )
    def test_a_bad_one_is_refused(self, monkeypatch: pytest.MonkeyPatch, proxy: Any) -> None:
        assert "The proxy from proxy= is no URL" in refusal(URL, proxy=proxy)
        if isinstance(proxy, str) and "://" in proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy)
            assert "The proxy from HTTPS_PROXY or ALL_PROXY" in refusal(URL)
            assert proxy_of(proxy="") is None

    @pytest.mark.parametrize(
        ("proxy", "url", "authorization"),
        [
            ("http://proxy:3128", "http://proxy:3128", None),
            ("https://proxy/path?query", "https://proxy", None),
            ("http://us%20er:p%40ss@proxy", "http://proxy", "Basic dXMgZXI6cEBzcw=="),
        ],
    )
    def test_it_is_a_url_and_a_header(self, proxy: str, url: str, authorization: str | None) -> None:
        found = checked(proxy=proxy).proxy
        assert found
        assert found.url == url
        assert found.headers.get("Proxy-Authorization") == authorization
        assert "us" not in repr(found.headers)

    def test_in_the_environment_it_may_come_without_a_scheme(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "us:s3cret@proxy.example:3128")
        proxy = checked().proxy
        assert proxy
        assert proxy.url == "http://proxy.example:3128"
        assert proxy.headers

    def test_it_comes_from_the_argument_then_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert proxy_of() is None
        monkeypatch.setenv("HTTP_PROXY", "http://for-http")
        assert proxy_of() is None
        assert proxy_of("http://example.com", allow_http=True) == "http://for-http"
        monkeypatch.setenv("ALL_PROXY", "http://for-all")
        assert proxy_of() == "http://for-all"
        monkeypatch.setenv("HTTPS_PROXY", "http://for-https")
        assert proxy_of() == "http://for-https"
        assert proxy_of(proxy="http://argument") == "http://argument"
        assert proxy_of(proxy="") is None

    @pytest.mark.parametrize(
        ("exceptions", "host", "excepted"),
        [
            ("example.com", "example.com", True),
            ("example.com:8443", "example.com", False),
            ("example.com:8443", "example.com:8443", True),
            ("10.0.0.0/8", "10.1.2.3", True),
            ("10.0.0.0/8", "11.1.2.3", False),
            ("example.org, 10.1.2.3/8 ,x", "10.9.9.9:8443", True),
            ("fd00::/8", "[fd00::1]", True),
            ("fd00::/8", "[fe00::1]:8443", False),
            ("fd00::1", "[fd00::1]:8443", True),
            ("[fd00::1]", "[FD00:0::1]", True),
            ("fd00::/8", "10.1.2.3", False),
            ("10.0.0.0/8", "example.com", False),
            ("10.0.0.0/99, nonsense/8", "10.1.2.3", False),
        ],
    )
    def test_some_hosts_need_none(
        self, monkeypatch: pytest.MonkeyPatch, exceptions: str, host: str, excepted: bool
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
        monkeypatch.setenv("NO_PROXY", exceptions)
        assert (proxy_of(f"https://{host}") is None) is excepted
        assert proxy_of(f"https://{host}", proxy="http://argument") == "http://argument"

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
    def test_loopback_has_none(self, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
        assert proxy_of(f"https://{host}") is proxy_of(f"https://{host}", proxy="http://proxy") is None

    def test_for_loopback_the_environment_is_not_gone_through(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "environ", Changing())
        with pytest.raises(KeyError):
            getproxies()
        ApiKeysClient("http://127.0.0.1:1", token="token").close()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://[fe80::1%25eth0]:8000", {"Host": "[fe80::1]:8000"}),
        ("http://[::1]:8000", {}),
        ("http://localhost", {}),
    ],
)
def test_the_zone_of_an_address_is_not_for_the_server(url: str, host: dict[str, str]) -> None:
    assert checked(url, allow_http=True).base_url.host_header() == host


def test_a_source_that_can_renew_is_told_which_token_was_refused() -> None:
    class Source:
        def __call__(self) -> str:
            return "first"

        def renew(self, refused: SecretStr | None) -> str:
            return f"after-{refused.get_secret_value() if refused else None}"

    assert checked(token=Source()).token.header() == "Bearer first"
    assert checked(token=Source()).token.header(SecretStr("first")) == "Bearer after-first"
    assert checked(token=lambda: "plain").token.header(SecretStr("first")) == "Bearer plain"
