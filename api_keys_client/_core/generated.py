"""The generated package, after a check that it is ours; the wrapper gets at it through here only."""

from __future__ import annotations

import _generated
from api_keys_client import __version__

_stamp = (getattr(_generated, "__distribution__", None), getattr(_generated, "__version__", None))
if _stamp != ("api-keys-client", __version__):
    raise ImportError(
        f"the package _generated at {', '.join(_generated.__path__)} is not the one of api-keys-client {__version__}: "
        "another distribution with a package of that name shadows or overwrote it. "
        "Install api-keys-client again, in an environment without the other one.",
        name="_generated",
    )

# After the check: another package of that name may lack these, and would fail with a less helpful error.
from _generated import (
    ApiClient as ApiClient,
    ApiKeyResponse as ApiKeyResponse,
    APIKeysApi as APIKeysApi,
    APIKeysRolesEnum as Role,
    Configuration as Configuration,
    NewApiKeyRequest as NewApiKeyRequest,
)

__all__ = ["APIKeysApi", "ApiClient", "ApiKeyResponse", "Configuration", "NewApiKeyRequest", "Role"]
