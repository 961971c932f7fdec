"""An unofficial Python client for the API-keys API of the Arthur GenAI Engine.

Each public name is loaded on first use: importing this package loads nothing else, not even `typing`.
"""

__version__ = "0.1.0"

# A type checker takes any name TYPE_CHECKING for true; importing it would double the cost of this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from api_keys_client._arguments import (
        UNSET as UNSET,
        key_id_from_secret as key_id_from_secret,
    )
    from api_keys_client._calls import (
        CreatedKey as CreatedKey,
    )
    from api_keys_client._client import (
        ApiKeysClient as ApiKeysClient,
    )
    from api_keys_client._client_async import (
        AsyncApiKeysClient as AsyncApiKeysClient,
    )
    from api_keys_client._contract import (
        ApiKeyResponse as ApiKeyResponse,
        Role as Role,
    )
    from api_keys_client._outcome import (
        Deactivation as Deactivation,
    )
    from api_keys_client._rotate import (
        Rotation as Rotation,
    )
    from api_keys_client._rotate_async import (
        AsyncRotation as AsyncRotation,
    )
    from api_keys_client.errors import (
        ApiConnectionError as ApiConnectionError,
        ApiKeysError as ApiKeysError,
        ApiTimeoutError as ApiTimeoutError,
        AuthenticationError as AuthenticationError,
        ConfigurationError as ConfigurationError,
        InvalidRequestError as InvalidRequestError,
        KeyLimitReachedError as KeyLimitReachedError,
        KeyNotFoundError as KeyNotFoundError,
        NotStored as NotStored,
        Outcome as Outcome,
        OutcomeUnknownError as OutcomeUnknownError,
        PermissionDeniedError as PermissionDeniedError,
        RateLimitedError as RateLimitedError,
        RotationError as RotationError,
        ServerError as ServerError,
        UnexpectedResponseError as UnexpectedResponseError,
    )

_HOME = {
    "ApiConnectionError": "errors",
    "ApiKeyResponse": "_contract",
    "ApiKeysClient": "_client",
    "ApiKeysError": "errors",
    "ApiTimeoutError": "errors",
    "AsyncApiKeysClient": "_client_async",
    "AsyncRotation": "_rotate_async",
    "AuthenticationError": "errors",
    "ConfigurationError": "errors",
    "CreatedKey": "_calls",
    "Deactivation": "_outcome",
    "InvalidRequestError": "errors",
    "KeyLimitReachedError": "errors",
    "KeyNotFoundError": "errors",
    "NotStored": "errors",
    "Outcome": "errors",
    "OutcomeUnknownError": "errors",
    "PermissionDeniedError": "errors",
    "RateLimitedError": "errors",
    "Role": "_contract",
    "Rotation": "_rotate",
    "RotationError": "errors",
    "ServerError": "errors",
    "UNSET": "_arguments",
    "UnexpectedResponseError": "errors",
    "key_id_from_secret": "_arguments",
}

# Spelled out, because type checkers read nothing else.
__all__ = [
    "ApiConnectionError",
    "ApiKeyResponse",
    "ApiKeysClient",
    "ApiKeysError",
    "ApiTimeoutError",
    "AsyncApiKeysClient",
    "AsyncRotation",
    "AuthenticationError",
    "ConfigurationError",
    "CreatedKey",
    "Deactivation",
    "InvalidRequestError",
    "KeyLimitReachedError",
    "KeyNotFoundError",
    "NotStored",
    "Outcome",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimitedError",
    "Role",
    "Rotation",
    "RotationError",
    "ServerError",
    "UNSET",
    "UnexpectedResponseError",
    "key_id_from_secret",
]


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
