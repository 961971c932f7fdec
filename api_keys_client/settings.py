"""What a client is set to: from its arguments and the environment, checked once.

Nothing here raises from a frame that holds a secret: the readers return their ConfigurationError,
and `check` raises it.
"""

from __future__ import annotations

import os
import re
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes
from urllib.request import getproxies, proxy_bypass

from pydantic import SecretStr
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from api_keys_client import __version__
from api_keys_client.errors import ConfigurationError, Outcome

Token: TypeAlias = str | SecretStr | Callable[[], str | SecretStr]
Timeout: TypeAlias = float | tuple[float, float]

DEFAULT_BASE_URL = "http://localhost"
DEFAULT_TIMEOUT = (5.0, 30.0)
DEFAULT_DEADLINE = 60.0
DEFAULT_MAX_ATTEMPTS = 3

_DAY = 86_400
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
# The client's own business: the token, the format and the framing of the request.
_OWN_HEADERS = frozenset(
    {"accept", "authorization", "connection", "content-length", "content-type", "host", "transfer-encoding"}
)


class SecretHeaders(dict[str, str]):
    """Headers that may hold the token: a dict with a plain repr."""

    def __repr__(self) -> str:
        return "<headers>"

    __str__ = __repr__

    def __rich_repr__(self) -> tuple[()]:
        # Without it rich, in a traceback with locals say, would show what a dict holds.
        return ()


_DEFAULT_HEADERS = SecretHeaders({"User-Agent": f"api-keys-client/{__version__}"})


# No NamedTuple: some tools show the fields of one whatever its repr says.
@dataclass(repr=False, eq=False)
class Given:
    """What the caller gave, in a holder with a plain repr, so that no frame shows it."""

    base_url: str | None = None
    token: Token | None = None
    timeout: Timeout | None = None
    deadline: float | None = None
    max_attempts: int | None = None
    headers: Mapping[str, str] | None = None
    ssl_context: ssl.SSLContext | None = None
    proxy: str | None = None
    allow_http: bool = False


class BaseUrl(NamedTuple):
    """Where the server is. `prefix` is the path before the API's own, without a slash at its end."""

    scheme: str
    host: str
    port: int | None
    prefix: str

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.prefix}"


class Proxy(NamedTuple):
    """A proxy's URL without user info, and the header that the user info became."""

    url: str
    headers: SecretHeaders


class Bearer:
    """The token, as a value or as the caller's function that gives one. Its repr is plain."""

    def __init__(self, source: SecretStr | Callable[[], str | SecretStr]) -> None:
        self._header = _header(source) if isinstance(source, SecretStr) else source

    def __repr__(self) -> str:
        return "<bearer>"

    def header(self) -> str:
        """The value of the Authorization header; asks the caller's function, if it is one.

        Raises:
            ConfigurationError: the function gave no token that can be sent.
        """
        if isinstance(self._header, SecretStr):
            return self._header.get_secret_value()
        token = _read_token(Given(token=self._header()), "token=")
        if isinstance(token, ConfigurationError):
            raise token
        return _header(token).get_secret_value()


@dataclass(repr=False, eq=False)
class Settings:
    """The checked settings of one client; times in seconds."""

    base_url: BaseUrl
    bearer: Bearer
    connect_timeout: float
    answer_timeout: float
    deadline: float
    max_attempts: int
    headers: SecretHeaders
    ssl_context: ssl.SSLContext | None
    proxy: Proxy | None


def check(given: Given, base: Settings | None = None) -> Settings:
    """The settings that the arguments and the environment amount to.

    Args:
        base: settings to start from, of which only the token, times, attempts and headers are changed.

    Raises:
        ConfigurationError: one of them is missing or wrong.
    """
    base_url = base.base_url if base else _read_base_url(given)
    if isinstance(base_url, ConfigurationError):
        raise base_url
    bearer = base.bearer if base and given.token is None else _read_bearer(given)
    if isinstance(bearer, ConfigurationError):
        raise bearer
    headers = _read_headers(given, base.headers if base else _DEFAULT_HEADERS)
    if isinstance(headers, ConfigurationError):
        raise headers
    proxy = base.proxy if base else _read_proxy(given, base_url)
    if isinstance(proxy, ConfigurationError):
        raise proxy
    ssl_context = base.ssl_context if base else given.ssl_context
    if not isinstance(ssl_context, (ssl.SSLContext, type(None))):
        raise _wrong("ssl_context= is an ssl.SSLContext or None.")
    times = (base.connect_timeout, base.answer_timeout) if base else DEFAULT_TIMEOUT
    deadline = base.deadline if base else DEFAULT_DEADLINE
    max_attempts = base.max_attempts if base else DEFAULT_MAX_ATTEMPTS
    connect_timeout, answer_timeout = times if given.timeout is None else _read_timeout(given.timeout)
    return Settings(
        base_url=base_url,
        bearer=bearer,
        connect_timeout=connect_timeout,
        answer_timeout=answer_timeout,
        deadline=deadline if given.deadline is None else _seconds("deadline", given.deadline),
        max_attempts=max_attempts if given.max_attempts is None else _count("max_attempts", given.max_attempts),
        headers=headers,
        ssl_context=ssl_context,
        proxy=proxy,
    )


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(message, outcome=Outcome.NOT_SENT, next_step="Nothing was sent; correct the setting.")


def _parsed(url: str) -> Url | None:
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        return None
    try:
        return parse_url(url)
    except LocationParseError:
        return None


def _read_base_url(given: Given) -> BaseUrl | ConfigurationError:
    text = given.base_url
    if text is None:
        text = os.environ.get("API_KEYS_BASE_URL", DEFAULT_BASE_URL)
    if not isinstance(text, str):
        return _wrong(f"The base URL is a string, not {type(text).__name__}.")
    url = _parsed(text)
    if url is None:
        return _wrong("The base URL is no URL: it is empty, cannot be parsed, or holds a space or control character.")
    if url.scheme not in ("http", "https"):
        return _wrong("The base URL begins with https:// or http://.")
    if url.auth is not None or url.query is not None or url.fragment is not None or not url.host:
        return _wrong("The base URL is a host and at most a path: no user info, query or fragment.")
    if url.scheme == "http" and not given.allow_http and not is_loopback(url.host):
        return _wrong(
            "The base URL is plain http to another host, where the token could be read on the way: "
            "use https, or say allow_http=True."
        )
    return BaseUrl(url.scheme, url.host, url.port, (url.path or "").rstrip("/"))


def is_loopback(host: str) -> bool:
    """Whether a host name (str, IPv6 in brackets or not) is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read_bearer(given: Given) -> Bearer | ConfigurationError:
    source = given.token
    if callable(source):
        return Bearer(source)
    name = "token="
    if source is None:
        name = "API_KEYS_TOKEN" if "API_KEYS_TOKEN" in os.environ else "BEARER_TOKEN"
        source = os.environ.get(name)
    if source is None:
        return _wrong("There is no token: give token=, or set API_KEYS_TOKEN (or BEARER_TOKEN).")
    token = _read_token(Given(token=source), name)
    return token if isinstance(token, ConfigurationError) else Bearer(token)


def _read_token(given: Given, name: str) -> SecretStr | ConfigurationError:
    # Asked of the holder at each use, so that no local shows it even to an interrupt.
    if not isinstance(_text_of(given), str):
        return _wrong(f"The token from {name} is no string but {type(_text_of(given)).__name__}.")
    if not _text_of(given):
        return _wrong(f"The token from {name} is empty.")
    if not _VISIBLE.fullmatch(_text_of(given)):
        return _wrong(f"The token from {name} holds a space, a line end, or another character that no token has.")
    return SecretStr(_text_of(given))


def _text_of(given: Given) -> Any:
    return given.token.get_secret_value() if isinstance(given.token, SecretStr) else given.token


def _header(token: SecretStr) -> SecretStr:
    return SecretStr(f"Bearer {token.get_secret_value()}")


def _read_headers(given: Given, base: SecretHeaders) -> SecretHeaders | ConfigurationError:
    headers = SecretHeaders(base)
    for name, value in (given.headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            return _wrong("headers= has a name that is none.")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            return _wrong(f"headers= has a value for {name} that cannot be sent: visible ASCII and spaces only.")
        if name.lower() in _OWN_HEADERS:
            return _wrong(f"headers= cannot set {name}: the client does.")
        for earlier in [earlier for earlier in headers if earlier.lower() == name.lower()]:
            del headers[earlier]
        headers[name] = value
    return headers


def _read_proxy(given: Given, base_url: BaseUrl) -> Proxy | ConfigurationError | None:
    if is_loopback(base_url.host):
        return None
    text = given.proxy
    if text is None:
        # Read here, once: asked for on each request the environment costs more than the request.
        if proxy_bypass(base_url.host if base_url.port is None else f"{base_url.host}:{base_url.port}"):
            return None
        proxies = getproxies()
        text = proxies.get(base_url.scheme) or proxies.get("all")
    if not text:
        return None
    url = _parsed(text) if isinstance(text, str) else None
    if url is None or not url.host or url.scheme not in ("http", "https"):
        return _wrong("The proxy is no URL that begins with http:// or https://.")
    headers = SecretHeaders()
    if url.auth:
        headers["Proxy-Authorization"] = f"Basic {b64encode(unquote_to_bytes(url.auth)).decode()}"
    return Proxy(str(Url(url.scheme, None, url.host, url.port)), headers)


def _read_timeout(timeout: object) -> tuple[float, float]:
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(pair) != 2:
        raise _wrong("timeout= is a number of seconds, or a pair: to connect, for the whole answer.")
    return _seconds("timeout", pair[0]), _seconds("timeout", pair[1])


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _DAY:
        raise _wrong(f"{name}= is a positive number of seconds, at most a day.")
    return float(value)


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(f"{name}= is a whole number from 1 on.")
    return value
