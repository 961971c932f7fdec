"""An unofficial Python client for the API-keys API of the Arthur GenAI Engine.

Each public name is loaded on first use: importing this package loads nothing else, not even `typing`.
"""

__version__ = "0.1.0"

# A type checker takes any name TYPE_CHECKING for true; importing it would double the cost of this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from api_keys_client._arguments import UNSET as UNSET
    from api_keys_client._arguments import key_id_from_secret as key_id_from_secret
    from api_keys_client._calls import CreatedKey as CreatedKey
    from api_keys_client._client import ApiKeysClient as ApiKeysClient
    from api_keys_client._client_async import AsyncApiKeysClient as AsyncApiKeysClient
    from api_keys_client._contract import ApiKeyResponse as ApiKeyResponse
    from api_keys_client._contract import Role as Role
    from api_keys_client._outcome import Deactivation as Deactivation
    from api_keys_client.errors import (
        ApiConnectionError as ApiConnectionError,
    )
    from api_keys_client.errors import (
        ApiKeysError as ApiKeysError,
    )
    from api_keys_client.errors import (
        ApiTimeoutError as ApiTimeoutError,
    )
    from api_keys_client.errors import (
        AuthenticationError as AuthenticationError,
    )
    from api_keys_client.errors import (
        ConfigurationError as ConfigurationError,
    )
    from api_keys_client.errors import (
        InvalidRequestError as InvalidRequestError,
    )
    from api_keys_client.errors import (
        KeyLimitReachedError as KeyLimitReachedError,
    )
    from api_keys_client.errors import (
        KeyNotFoundError as KeyNotFoundError,
    )
    from api_keys_client.errors import (
        Outcome as Outcome,
    )
    from api_keys_client.errors import (
        OutcomeUnknownError as OutcomeUnknownError,
    )
    from api_keys_client.errors import (
        PermissionDeniedError as PermissionDeniedError,
    )
    from api_keys_client.errors import (
        RateLimitedError as RateLimitedError,
    )
    from api_keys_client.errors import (
        ServerError as ServerError,
    )
    from api_keys_client.errors import (
        UnexpectedResponseError as UnexpectedResponseError,
    )

_HOME = {
    "ApiConnectionError": "errors",
    "ApiKeyResponse": "_contract",
    "ApiKeysClient": "_client",
    "ApiKeysError": "errors",
    "ApiTimeoutError": "errors",
    "AsyncApiKeysClient": "_client_async",
    "AuthenticationError": "errors",
    "ConfigurationError": "errors",
    "CreatedKey": "_calls",
    "Deactivation": "_outcome",
    "InvalidRequestError": "errors",
    "KeyLimitReachedError": "errors",
    "KeyNotFoundError": "errors",
    "Outcome": "errors",
    "OutcomeUnknownError": "errors",
    "PermissionDeniedError": "errors",
    "RateLimitedError": "errors",
    "Role": "_contract",
    "ServerError": "errors",
    "UNSET": "_arguments",
    "UnexpectedResponseError": "errors",
    "key_id_from_secret": "_arguments",
}


__all__ = [*_HOME]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported late: importlib is not free either.
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
