"""What a client is set to: from its arguments and the environment, checked once."""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from pydantic import SecretStr
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from api_keys_client import __version__
from api_keys_client.errors import ConfigurationError, Outcome, strip_traceback

TokenFunction: TypeAlias = Callable[[], str | SecretStr | Awaitable[str | SecretStr]]
Token: TypeAlias = str | SecretStr | TokenFunction
Timeout: TypeAlias = float | tuple[float, float]

DEFAULT_BASE_URL = "http://localhost"
DEFAULT_TIMEOUT: tuple[float, float] = (5.0, 30.0)
DEFAULT_DEADLINE = 60.0
DEFAULT_MAX_ATTEMPTS = 3
MAX_SECONDS = 86_400.0
POOL_SIZE = 20
"""Connections of one client at once."""
MAX_IDLE_SECONDS = 1.0
"""For how long an idle connection is used again: the engine closes its own after about two seconds."""

_VISIBLE = re.compile(r"[\x21-\x7e]+")
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


class SecretHeaders(dict[str, str]):
    """Headers that may hold the token: a dict with a plain repr."""

    def __repr__(self) -> str:
        return "<headers>"

    __str__ = __repr__

    def __rich_repr__(self) -> tuple[()]:
        # Without it rich, in a traceback with locals say, would show what a dict holds.
        return ()


_DEFAULT_HEADERS = SecretHeaders({"User-Agent": f"api-keys-client/{__version__}"})


class BaseUrl(NamedTuple):
    """Where the server is. `prefix` is the path before the API's own, without a slash at its end."""

    scheme: str
    host: str
    port: int | None
    prefix: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}{self._port()}{self.prefix}"

    def host_header(self) -> dict[str, str]:
        """Gives the Host header for an address with a zone, which means something on this machine only."""
        address, zone, _ = self.host.partition("%")
        return {"Host": f"{address}]{self._port()}"} if zone else {}

    def _port(self) -> str:
        return "" if self.port is None else f":{self.port}"


# No NamedTuple: some tools show the fields of one whatever its repr says.
@dataclass(repr=False)
class Proxy:
    """A proxy's URL without user info, and the header that the user info became."""

    url: str
    headers: SecretHeaders


class TokenSource:
    """The token, as a value or as the caller's function that gives one. Its repr is plain."""

    def __init__(self, source: SecretStr | TokenFunction) -> None:
        self._fixed = SecretStr(f"Bearer {source.get_secret_value()}") if isinstance(source, SecretStr) else None
        self.function = None if isinstance(source, SecretStr) else source

    def __repr__(self) -> str:
        return "<token>"

    def header(self, refused: SecretStr | None = None) -> str:
        """Gives the value of the Authorization header; asks the caller's function, if it is one.

        Args:
            refused: the token that a server has just refused.

        Raises:
            ConfigurationError: the function raised, or gave no token that can be sent.
        """
        if self._fixed is not None:
            return self._fixed.get_secret_value()
        try:
            return bearer(self.ask(refused))
        except Exception as error:
            failure = token_error(error)
            raise failure from failure.__cause__

    def ask(self, refused: SecretStr | None) -> object:
        """Asks the caller's function; what it gives may have to be awaited."""
        function: Any = self.function
        return function.renew(refused) if refused and hasattr(function, "renew") else function()


def bearer(given: object) -> str:
    """Gives the value of the Authorization header with what a function gave as the token.

    Raises:
        ConfigurationError: it is none that can be sent.
    """
    return f"Bearer {_checked_token(given, 'token=')}"


def token_error(error: Exception) -> ConfigurationError:
    """Gives the error for a token that could not be had, without the frames below, which may hold one."""
    if isinstance(error, ConfigurationError):
        return strip_traceback(error)
    failure = configuration_error(f"The function given as token= raised {type(error).__name__}.")
    failure.__cause__ = error
    return failure


@dataclass(repr=False, eq=False)
class Settings:
    """The checked settings of one client; times in seconds."""

    base_url: BaseUrl
    token: TokenSource
    ssl_context: ssl.SSLContext | None
    ca_file: str | None
    proxy: Proxy | None
    connect_timeout: float = DEFAULT_TIMEOUT[0]
    answer_timeout: float = DEFAULT_TIMEOUT[1]
    deadline: float = DEFAULT_DEADLINE
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    headers: SecretHeaders = field(default_factory=lambda: _DEFAULT_HEADERS)


@dataclass(repr=False, eq=False)
class ClientOptions:
    """The arguments of a client as they were given. Its repr is plain, because it holds secrets."""

    base_url: str | None = None
    token: Token | None = None
    timeout: Timeout | None = None
    deadline: float | None = None
    max_attempts: int | None = None
    headers: Mapping[str, str] | None = None
    ssl_context: ssl.SSLContext | None = None
    ca_file: object = None
    proxy: str | None = None
    allow_http: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.token, str):
            # A traceback of the constructor may show what this holds.
            self.token = SecretStr(self.token)


# Not shown either: the variables may hold the token, and a proxy's URL a password.
@dataclass(repr=False, eq=False)
class Environment:
    """What counts where an argument is None: the process's variables, and its proxy for a scheme and a host."""

    variables: Mapping[str, str]
    proxy_for: Callable[[str, str], str | None]


NO_ENVIRONMENT = Environment({}, lambda _scheme, _host: None)


def resolve_settings(
    options: ClientOptions, environment: Environment = NO_ENVIRONMENT, *, base: Settings | None = None
) -> Settings:
    """Gives the settings that the arguments and the environment amount to.

    Args:
        options: the arguments.
        environment: what counts where an argument is None.
        base: settings to start from, of which only the token, times, attempts and headers are changed.

    Raises:
        ConfigurationError: one of them is missing or wrong.
    """
    try:
        return _resolve(options, environment, base)
    except ConfigurationError as error:
        # The frames below hold what they read, secrets among it.
        raise strip_traceback(error) from None


def configuration_error(message: str) -> ConfigurationError:
    """Makes the error for a setting that cannot be."""
    return ConfigurationError(message, outcome=Outcome.NOT_SENT, next_step="Nothing was sent; correct the setting.")


def _resolve(options: ClientOptions, environment: Environment, base: Settings | None) -> Settings:
    settings = replace(base) if base else _read_connection(options, environment)
    if base and options.token is not None:
        settings.token = _read_token(options.token, environment)
    if options.timeout is not None:
        settings.connect_timeout, settings.answer_timeout = _read_timeout(options.timeout)
    if options.deadline is not None:
        settings.deadline = _seconds("deadline", options.deadline)
    if options.max_attempts is not None:
        settings.max_attempts = _count("max_attempts", options.max_attempts)
    settings.headers = _read_headers(options.headers or {}, settings.headers)
    return settings


def _read_connection(options: ClientOptions, environment: Environment) -> Settings:
    """Gives the settings of a new client, with the defaults of what a view of it may change."""
    if not isinstance(options.allow_http, bool):
        # What an environment variable says, "false" say, would be true.
        raise configuration_error("allow_http= is True or False.")
    base_url = _read_base_url(options, environment)
    token = _read_token(options.token, environment)
    # What stands behind ssl.SSLContext: a program may have put another class in its place since (truststore does).
    if not isinstance(options.ssl_context, (ssl.SSLContext.__mro__[-2], type(None))):
        raise configuration_error("ssl_context= is an ssl.SSLContext or None.")
    ca_file = _read_ca_file(options)
    return Settings(base_url, token, options.ssl_context, ca_file, _read_proxy(options.proxy, base_url, environment))


def _read_ca_file(options: ClientOptions) -> str | None:
    if options.ca_file is None:
        return None
    if options.ssl_context is not None:
        raise configuration_error("ca_file= and ssl_context= both say what TLS trusts: give one of them.")
    given: Any = options.ca_file
    path = given.__fspath__() if hasattr(given, "__fspath__") else given
    if isinstance(path, str) and path:
        return path
    raise configuration_error("ca_file= is the path of a PEM file.")


def _read_token(source: Token | None, environment: Environment) -> TokenSource:
    if callable(source):
        return TokenSource(source)
    name = "token="
    if source is None:
        # One that is empty counts as unset, as a container's or a CI's often is.
        name = "API_KEYS_TOKEN" if environment.variables.get("API_KEYS_TOKEN") else "BEARER_TOKEN"
        source = environment.variables.get(name)
    if source is None or source == "":
        raise configuration_error("There is no token: give token=, or set API_KEYS_TOKEN (or BEARER_TOKEN).")
    return TokenSource(SecretStr(_checked_token(source, name)))


def _checked_token(given: object, name: str) -> str:
    """Gives a token that can be sent; whoever calls this strips its frame from the error's traceback."""
    token = given.get_secret_value() if isinstance(given, SecretStr) else given
    if not isinstance(token, str):
        raise configuration_error(f"The token from {name} is no string but {type(token).__name__}.")
    if not token:
        raise configuration_error(f"The token from {name} is empty.")
    if not _VISIBLE.fullmatch(token):
        raise configuration_error(
            f"The token from {name} holds a space, a line end, or another character that no token has."
        )
    return token


def _parsed(url: str) -> Url | None:
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        return None
    try:
        return parse_url(url)
    except LocationParseError:
        return None


def _read_base_url(options: ClientOptions, environment: Environment) -> BaseUrl:
    text, name = options.base_url, "The base URL"
    if text is None:
        text = environment.variables.get("API_KEYS_BASE_URL") or DEFAULT_BASE_URL
        name = "The base URL from API_KEYS_BASE_URL"
    if not isinstance(text, str):
        raise configuration_error(f"{name} is a string, not {type(text).__name__}.")
    url = _parsed(text)
    if url is None:
        raise configuration_error(
            f"{name} is no URL: it is empty, cannot be parsed, or holds a space or control character."
        )
    if url.scheme not in ("http", "https"):
        raise configuration_error(f"{name} begins with https:// or http://.")
    if url.auth is not None or url.query is not None or url.fragment is not None or not url.host:
        raise configuration_error(f"{name} is a host and at most a path: no user info, query or fragment.")
    if url.scheme == "http" and not options.allow_http and not is_loopback(url.host):
        raise configuration_error(
            f"{name} is plain http to another host, where the token could be read on the way: "
            "use https, or say allow_http=True."
        )
    prefix = (url.path or "").rstrip("/")
    if prefix.endswith("/auth/api_keys"):
        raise configuration_error(f"{name} ends where this API begins: leave /auth/api_keys at its end out.")
    return BaseUrl(url.scheme, url.host, url.port, prefix)


def is_loopback(host: str) -> bool:
    """Tells whether a host name (str, IPv6 in brackets or not) is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read_headers(given: Mapping[str, str], base: SecretHeaders) -> SecretHeaders:
    headers = SecretHeaders(base)
    for name, value in given.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise configuration_error("headers= has a name that is none.")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise configuration_error(
                f"headers= has a value for {name} that cannot be sent: visible ASCII and spaces only."
            )
        if name.lower() in _OWN_HEADERS:
            raise configuration_error(f"headers= cannot set {name}: the client does.")
        for earlier in [earlier for earlier in headers if earlier.lower() == name.lower()]:
            del headers[earlier]
        headers[name] = value
    return headers


def _read_proxy(text: str | None, base_url: BaseUrl, environment: Environment) -> Proxy | None:
    if is_loopback(base_url.host):
        return None
    name = "proxy="
    if text is None:
        # Read here, once: asked for on each request the environment costs more than the request.
        port = "" if base_url.port is None else f":{base_url.port}"
        text = environment.proxy_for(base_url.scheme, f"{base_url.host}{port}")
        name = f"{base_url.scheme.upper()}_PROXY or ALL_PROXY"
        if text and "://" not in text:
            # So it is taken by other programs, for which the variable is set.
            text = f"http://{text}"
    if not text:
        return None
    url = _parsed(text) if isinstance(text, str) else None
    if url is None or not url.host or url.scheme not in ("http", "https"):
        raise configuration_error(
            f'The proxy from {name} is no URL that begins with http:// or https://; proxy="" goes without.'
        )
    headers = SecretHeaders()
    if url.auth:
        headers["Proxy-Authorization"] = f"Basic {b64encode(unquote_to_bytes(url.auth)).decode()}"
    return Proxy(str(Url(url.scheme, None, url.host, url.port)), headers)


def _read_timeout(timeout: object) -> tuple[float, float]:
    pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(pair) != 2:
        raise configuration_error("timeout= is a number of seconds, or a pair: to connect, for the whole answer.")
    return _seconds("timeout", pair[0]), _seconds("timeout", pair[1])


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_SECONDS:
        raise configuration_error(f"{name}= is a positive number of seconds, at most a day.")
    return float(value)


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise configuration_error(f"{name}= is a whole number from 1 on.")
    return value
