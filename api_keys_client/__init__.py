"""An unofficial Python client for the API-keys API of the Arthur GenAI Engine.

Each public name is loaded on first use: importing this package loads nothing else. Type checkers and editors read the
names in `__init__.pyi`.
"""

__version__ = "0.2.0"

_HOME = {
    "ApiConnectionError": "errors",
    "ApiKeyResponse": "_core.generated",
    "ApiKeysClient": "_sync.client",
    "ApiKeysError": "errors",
    "ApiTimeoutError": "errors",
    "AsyncApiKeysClient": "_async.client",
    "AsyncRotation": "_async.rotation",
    "AuthenticationError": "errors",
    "ClockError": "errors",
    "ConfigurationError": "errors",
    "CreatedKey": "_core.operations",
    "Deactivation": "_core.policy",
    "InvalidRequestError": "errors",
    "KeyLimitReachedError": "errors",
    "KeyNotFoundError": "errors",
    "Lifetime": "_core.lifetimes",
    "NotStored": "errors",
    "Outcome": "errors",
    "OutcomeUnknownError": "errors",
    "PermissionDeniedError": "errors",
    "RateLimitedError": "errors",
    "Role": "_core.generated",
    "Rotation": "_sync.rotation",
    "RotationError": "errors",
    "ServerError": "errors",
    "UNSET": "_core.validation",
    "UnexpectedResponseError": "errors",
    "key_id_from_secret": "_core.validation",
    "lifetime": "_core.lifetimes",
}

_ASYNC = ("AsyncApiKeysClient", "AsyncRotation")


def __getattr__(name: str) -> object:
    if name == "__all__":
        return _names()
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported late: importlib is not free either.
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_names(), "__all__"})


def _names() -> list[str]:
    """Gives the names that can be loaded: without the extra `async`, what needs it is not among them."""
    # Imported late: importlib is not free either.
    from importlib.util import find_spec

    return [name for name in _HOME if name not in _ASYNC or find_spec("aiohttp")]
