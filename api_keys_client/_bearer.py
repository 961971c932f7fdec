"""The token that a client authenticates with: a value, or a function that gives one."""

from __future__ import annotations

import os
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from pydantic import SecretStr

from api_keys_client._given import VISIBLE, Given, wrong
from api_keys_client.errors import ConfigurationError


class Bearer:
    """The token, as a value or as the caller's function that gives one. Its repr is plain."""

    def __init__(self, source: SecretStr | Callable[[], str | SecretStr]) -> None:
        self._header = _header(source) if isinstance(source, SecretStr) else source

    def __repr__(self) -> str:
        return "<bearer>"

    def header(self) -> str:
        """The value of the Authorization header; asks the caller's function, if it is one.

        Raises:
            ConfigurationError: the function raised, or gave no token that can be sent.
        """
        if isinstance(self._header, SecretStr):
            return self._header.get_secret_value()
        try:
            token = _read_token(Given(token=self._header()), "token=")
        except Exception as error:
            problem = wrong(f"The function given as token= raised {type(error).__name__}.")
            raise problem from error
        if isinstance(token, ConfigurationError):
            raise token
        return _header(token).get_secret_value()


def read_bearer(given: Given) -> Bearer | ConfigurationError:
    source = given.token
    if callable(source):
        if iscoroutinefunction(source) or iscoroutinefunction(type(source).__call__):
            return wrong("token= is a plain function, in the async client too; this one is async.")
        return Bearer(source)
    name = "token="
    if source is None:
        name = "API_KEYS_TOKEN" if "API_KEYS_TOKEN" in os.environ else "BEARER_TOKEN"
        source = os.environ.get(name)
    if source is None:
        return wrong("There is no token: give token=, or set API_KEYS_TOKEN (or BEARER_TOKEN).")
    token = _read_token(Given(token=source), name)
    return token if isinstance(token, ConfigurationError) else Bearer(token)


def _read_token(given: Given, name: str) -> SecretStr | ConfigurationError:
    # Asked of the holder at each use, so that no local shows it even to an interrupt.
    if not isinstance(_text_of(given), str):
        return wrong(f"The token from {name} is no string but {type(_text_of(given)).__name__}.")
    if not _text_of(given):
        return wrong(f"The token from {name} is empty.")
    if not VISIBLE.fullmatch(_text_of(given)):
        return wrong(f"The token from {name} holds a space, a line end, or another character that no token has.")
    return SecretStr(_text_of(given))


def _text_of(given: Given) -> Any:
    return given.token.get_secret_value() if isinstance(given.token, SecretStr) else given.token


def _header(token: SecretStr) -> SecretStr:
    return SecretStr(f"Bearer {token.get_secret_value()}")
