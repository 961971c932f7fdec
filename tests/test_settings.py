"""What a client can be set to; everything wrong is refused before anything is sent, and no text shows a secret."""

from __future__ import annotations

import pickle
import ssl
import traceback
from typing import Any

import pytest
from pydantic import SecretStr

from api_keys_client import ApiKeysClient, ApiKeysError, ConfigurationError, Outcome
from api_keys_client.settings import Given, Proxy, SecretHeaders, Settings, check

SECRET = "s3cret-t0ken"


def refusal(*arguments: Any, **options: Any) -> ConfigurationError:
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


@pytest.mark.parametrize(
    "proxy", ["s3cret", "socks5://user:s3cret@proxy", "http://user:s3cret@", "http://user:s3cret@pro xy", 7]
)
def test_a_bad_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: Any) -> None:
    assert "The proxy" in str(refusal("https://example.com", proxy=proxy))
    if isinstance(proxy, str) and "://" in proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        assert "The proxy from HTTPS_PROXY or ALL_PROXY" in str(refusal("https://example.com"))
        assert checked("https://example.com", proxy="").proxy is None


def test_a_proxy_in_the_environment_may_come_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "us:s3cret@proxy.example:3128")
    proxy = checked("https://example.com").proxy
    assert proxy
    assert proxy.url == "http://proxy.example:3128"
    assert proxy.headers


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


def test_refusals_are_errors_of_ours() -> None:
    assert issubclass(ConfigurationError, ApiKeysError)


def checked(base_url: str = "https://example.com", token: Any = SECRET, **options: Any) -> Settings:
    return check(Given(base_url, token, **options))


def times(settings: Settings) -> tuple[float, float, float, int]:
    return settings.connect_timeout, settings.answer_timeout, settings.deadline, settings.max_attempts


def test_what_is_not_set_has_its_default() -> None:
    settings = check(Given(token=SECRET))
    assert settings.base_url == ("http", "localhost", None, "")
    assert times(settings) == (5, 30, 60, 3)
    assert settings.bearer.header() == f"Bearer {SECRET}"
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
    same = check(Given(), base)
    assert vars(same) == vars(base)
    other = check(
        Given(token="other", timeout=(5, 6), deadline=7, max_attempts=8, headers={"x-team": "c"}),
        base,
    )
    assert other.bearer.header() == "Bearer other"
    assert times(other) == (5, 6, 7, 8)
    assert other.headers == {"User-Agent": base.headers["User-Agent"], "X-Who": "b", "x-team": "c"}
    assert base.headers["X-Team"] == "a"
    assert (other.base_url, other.ssl_context, other.proxy) == (base.base_url, base.ssl_context, base.proxy)


@pytest.mark.parametrize("given", [SECRET, SecretStr(SECRET), lambda: SECRET, lambda: SecretStr(SECRET)])
def test_a_token_is_given_in_four_ways(given: Any) -> None:
    assert checked(token=given).bearer.header() == f"Bearer {SECRET}"
    assert checked(token="!~").bearer.header() == "Bearer !~"


def test_a_token_comes_from_the_argument_then_our_variable_then_the_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "third")
    assert checked(token=None).bearer.header() == "Bearer third"
    monkeypatch.setenv("API_KEYS_TOKEN", "second")
    assert checked(token=None).bearer.header() == "Bearer second"
    assert checked(token="first").bearer.header() == "Bearer first"


@pytest.mark.parametrize(
    ("proxy", "url", "authorization"),
    [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("https://proxy/path?query", "https://proxy", None),
        ("http://us%20er:p%40ss@proxy", "http://proxy", "Basic dXMgZXI6cEBzcw=="),
    ],
)
def test_a_proxy_is_its_url_and_a_header(proxy: str, url: str, authorization: str | None) -> None:
    found = checked(proxy=proxy).proxy
    assert found
    assert found.url == url
    assert found.headers.get("Proxy-Authorization") == authorization
    assert "us" not in repr(found.headers)


def test_a_proxy_comes_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def url(**options: Any) -> str | None:
        proxy = checked(**options).proxy
        return proxy.url if proxy else None

    assert url() is None
    monkeypatch.setenv("HTTP_PROXY", "http://for-http")
    assert url() is None
    assert url(base_url="http://example.com", allow_http=True) == "http://for-http"
    monkeypatch.setenv("ALL_PROXY", "http://for-all")
    assert url() == "http://for-all"
    monkeypatch.setenv("HTTPS_PROXY", "http://for-https")
    assert url() == "http://for-https"
    assert url(proxy="http://argument") == "http://argument"
    assert url(proxy="") is None
    monkeypatch.setenv("NO_PROXY", "example.com:8443")
    assert url() == "http://for-https"
    assert url(base_url="https://example.com:8443") is None
    assert url(base_url="https://example.com:8443", proxy="http://argument") == "http://argument"
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert url() is None


def test_loopback_has_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert checked(f"https://{host}", proxy="http://proxy").proxy is None
        assert checked(f"https://{host}").proxy is None


def test_no_holder_of_a_secret_shows_it() -> None:
    given = Given("https://example.com", SECRET, headers={"X-Key": SECRET}, proxy=f"http://user:{SECRET}@proxy")
    settings = check(given)
    for holder in (given, settings, settings.bearer, settings.headers, settings.proxy):
        for text in (repr(holder), str(holder), f"{holder}"):
            assert SECRET not in text
