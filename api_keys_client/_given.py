"""What a caller gives to a client, in holders that no repr and no local shows."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import SecretStr

from api_keys_client.errors import ConfigurationError, Outcome

Token: TypeAlias = str | SecretStr | Callable[[], str | SecretStr]
Timeout: TypeAlias = float | tuple[float, float]

VISIBLE = re.compile(r"[\x21-\x7e]+")


class SecretHeaders(dict[str, str]):
    """Headers that may hold the token: a dict with a plain repr."""

    def __repr__(self) -> str:
        return "<headers>"

    __str__ = __repr__

    def __rich_repr__(self) -> tuple[()]:
        # Without it rich, in a traceback with locals say, would show what a dict holds.
        return ()


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


def wrong(message: str) -> ConfigurationError:
    """The error for a setting that cannot be."""
    return ConfigurationError(message, outcome=Outcome.NOT_SENT, next_step="Nothing was sent; correct the setting.")
