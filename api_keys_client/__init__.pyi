"""The public names, for type checkers and editors."""

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

__all__: list[str]
__version__: str
