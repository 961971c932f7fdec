"""The public names, for type checkers and editors."""

from api_keys_client._async.client import (
    AsyncApiKeysClient as AsyncApiKeysClient,
)
from api_keys_client._async.rotation import (
    AsyncRotation as AsyncRotation,
)
from api_keys_client._core.generated import (
    ApiKeyResponse as ApiKeyResponse,
    Role as Role,
)
from api_keys_client._core.lifetimes import (
    Lifetime as Lifetime,
    lifetime as lifetime,
)
from api_keys_client._core.operations import (
    CreatedKey as CreatedKey,
)
from api_keys_client._core.policy import (
    Deactivation as Deactivation,
)
from api_keys_client._core.validation import (
    UNSET as UNSET,
    key_id_from_secret as key_id_from_secret,
)
from api_keys_client._sync.client import (
    ApiKeysClient as ApiKeysClient,
)
from api_keys_client._sync.rotation import (
    Rotation as Rotation,
)
from api_keys_client.errors import (
    ApiConnectionError as ApiConnectionError,
    ApiKeysError as ApiKeysError,
    ApiTimeoutError as ApiTimeoutError,
    AuthenticationError as AuthenticationError,
    ClockError as ClockError,
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
