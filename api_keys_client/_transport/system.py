"""What the client asks of the machine that it runs on: the clock, chance, the process, and the environment."""

from __future__ import annotations

import os
import random
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from api_keys_client._core.creations import Creation
from api_keys_client._core.lifetimes import end_of_life
from api_keys_client._core.markers import Marker
from api_keys_client._core.options import Environment, Settings, configuration_error

now = time.monotonic
"""Seconds of a clock that only goes forward."""

jitter = random.random
"""A number from 0 to 1, for the wait before another attempt."""


def utc_now() -> datetime:
    """Gives the time of day."""
    return datetime.now(UTC)


def new_creation(
    *,
    replaces: str | None = None,
    temporary: bool = False,
    expires_in: timedelta | None = None,
    expires_at: datetime | None = None,
) -> Creation:
    """Makes a creation by this process, now, with a nonce of twelve hexadecimal digits that no other key bears.

    Raises:
        InvalidRequestError: the key cannot end then.
    """
    made = utc_now().replace(microsecond=0)
    ends = end_of_life(made, expires_in, expires_at)
    return Creation(Marker(os.urandom(6).hex(), temporary, replaces, made, ends), os.getpid())


def is_of_this_process(creation: Creation) -> bool:
    """Tells whether this process began it, and not one that it was forked from."""
    return creation.process == os.getpid()


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Gives what TLS trusts and presents; SSL_CERT_FILE counts where no argument says it.

    Raises:
        ConfigurationError: a file that it needs cannot be used.
    """
    try:
        return settings.ssl_context or ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ValueError) as error:
        where = "ca_file=" if settings.ca_file else "SSL_CERT_FILE, SSL_CERT_DIR or SSLKEYLOGFILE"
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise configuration_error(f"TLS cannot be set up with {where}: {why}.") from None


def environment() -> Environment:
    """Gives what the client takes from the environment."""
    return Environment(os.environ, _proxy_for)


def _proxy_for(scheme: str, host: str) -> str | None:
    proxies = getproxies()
    if proxy_bypass(host) or _is_excepted(host, proxies.get("no", "")):
        return None
    return proxies.get(scheme) or proxies.get("all")


def _is_excepted(host: str, exceptions: str) -> bool:
    """Tells whether NO_PROXY names the address, alone or in a block: Python's own test knows no blocks and no IPv6."""
    with suppress(ValueError):
        address = ip_address(urlsplit(f"//{host}").hostname or "")
        for exception in exceptions.split(","):
            with suppress(ValueError):
                if address in ip_network(exception.strip().strip("[]"), strict=False):
                    return True
    return False
