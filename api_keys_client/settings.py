"""What a client is set to: from its arguments and the environment, checked once.

Nothing here raises from a frame that holds a secret: the readers return their ConfigurationError,
and `check` raises it.
"""

from __future__ import annotations

import os
import re
import ssl
from base64 import b64encode
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote_to_bytes
from urllib.request import getproxies, proxy_bypass

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from api_keys_client import __version__
from api_keys_client._bearer import Bearer, read_bearer
from api_keys_client._given import (
    VISIBLE,
    Given as Given,
    SecretHeaders as SecretHeaders,
    Timeout as Timeout,
    Token as Token,
    wrong,
)
from api_keys_client.errors import ConfigurationError

DEFAULT_BASE_URL = "http://localhost"
DEFAULT_TIMEOUT = (5.0, 30.0)
DEFAULT_DEADLINE = 60.0
DEFAULT_MAX_ATTEMPTS = 3

_DAY = 86_400
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
# The client's own business: the token, the format and the framing of the request.
_OWN_HEADERS = frozenset(
    [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)


_DEFAULT_HEADERS = SecretHeaders({"User-Agent": f"api-keys-client/{__version__}"})


class BaseUrl(NamedTuple):
    """Where the server is. `prefix` is the path before the API's own, without a slash at its end."""

    scheme: str
    host: str
    port: int | None
    prefix: str

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.prefix}"


# No NamedTuple: some tools show the fields of one whatever its repr says.
@dataclass(repr=False)
class Proxy:
    """A proxy's URL without user info, and the header that the user info became."""

    url: str
    headers: SecretHeaders


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
    if not isinstance(given.allow_http, bool):
        # What an environment variable says, "false" say, would be true.
        raise wrong("allow_http= is True or False.")
    base_url = base.base_url if base else _read_base_url(given)
    if isinstance(base_url, ConfigurationError):
        raise base_url
    bearer = base.bearer if base and given.token is None else read_bearer(given)
    if isinstance(bearer, ConfigurationError):
        raise bearer
    ssl_context = base.ssl_context if base else given.ssl_context
    if not isinstance(ssl_context, (ssl.SSLContext, type(None))):
        raise wrong("ssl_context= is an ssl.SSLContext or None.")
    times = (base.connect_timeout, base.answer_timeout) if base else DEFAULT_TIMEOUT
    deadline = base.deadline if base else DEFAULT_DEADLINE
    max_attempts = base.max_attempts if base else DEFAULT_MAX_ATTEMPTS
    connect_timeout, answer_timeout = times if given.timeout is None else _read_timeout(given.timeout)
    deadline = deadline if given.deadline is None else _seconds("deadline", given.deadline)
    max_attempts = max_attempts if given.max_attempts is None else _count("max_attempts", given.max_attempts)
    # The last that can fail: some tools look into what a dict in a local holds, whatever its repr.
    proxy = base.proxy if base else _read_proxy(given, base_url)
    if isinstance(proxy, ConfigurationError):
        raise proxy
    headers = _read_headers(given, base.headers if base else _DEFAULT_HEADERS)
    if isinstance(headers, ConfigurationError):
        raise headers
    return Settings(
        base_url=base_url,
        bearer=bearer,
        connect_timeout=connect_timeout,
        answer_timeout=answer_timeout,
        deadline=deadline,
        max_attempts=max_attempts,
        headers=headers,
        ssl_context=ssl_context,
        proxy=proxy,
    )


def _parsed(url: str) -> Url | None:
    if not VISIBLE.fullmatch(url) or "\\" in url:
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
        return wrong(f"The base URL is a string, not {type(text).__name__}.")
    url = _parsed(text)
    if url is None:
        return wrong("The base URL is no URL: it is empty, cannot be parsed, or holds a space or control character.")
    if url.scheme not in ("http", "https"):
        return wrong("The base URL begins with https:// or http://.")
    if url.auth is not None or url.query is not None or url.fragment is not None or not url.host:
        return wrong("The base URL is a host and at most a path: no user info, query or fragment.")
    if url.scheme == "http" and not given.allow_http and not is_loopback(url.host):
        return wrong(
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


def _read_headers(given: Given, base: SecretHeaders) -> SecretHeaders | ConfigurationError:
    headers = SecretHeaders(base)
    for name, value in (given.headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            return wrong("headers= has a name that is none.")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            return wrong(f"headers= has a value for {name} that cannot be sent: visible ASCII and spaces only.")
        if name.lower() in _OWN_HEADERS:
            return wrong(f"headers= cannot set {name}: the client does.")
        for earlier in [earlier for earlier in headers if earlier.lower() == name.lower()]:
            del headers[earlier]
        headers[name] = value
    return headers


def _read_proxy(given: Given, base_url: BaseUrl) -> Proxy | ConfigurationError | None:
    if is_loopback(base_url.host):
        return None
    text, name = given.proxy, "proxy="
    if text is None:
        # Read here, once: asked for on each request the environment costs more than the request.
        if proxy_bypass(base_url.host if base_url.port is None else f"{base_url.host}:{base_url.port}"):
            return None
        proxies = getproxies()
        text = proxies.get(base_url.scheme) or proxies.get("all")
        name = f"{base_url.scheme.upper()}_PROXY or ALL_PROXY"
        if text and "://" not in text:
            # So it is taken by other programs, for which the variable is set.
            text = f"http://{text}"
    if not text:
        return None
    url = _parsed(text) if isinstance(text, str) else None
    if url is None or not url.host or url.scheme not in ("http", "https"):
        return wrong(f'The proxy from {name} is no URL that begins with http:// or https://; proxy="" goes without.')
    headers = SecretHeaders()
    if url.auth:
        headers["Proxy-Authorization"] = f"Basic {b64encode(unquote_to_bytes(url.auth)).decode()}"
    return Proxy(str(Url(url.scheme, None, url.host, url.port)), headers)


def _read_timeout(timeout: object) -> tuple[float, float]:
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(pair) != 2:
        raise wrong("timeout= is a number of seconds, or a pair: to connect, for the whole answer.")
    return _seconds("timeout", pair[0]), _seconds("timeout", pair[1])


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _DAY:
        raise wrong(f"{name}= is a positive number of seconds, at most a day.")
    return float(value)


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise wrong(f"{name}= is a whole number from 1 on.")
    return value
