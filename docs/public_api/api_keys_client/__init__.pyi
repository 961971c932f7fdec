# Recorded by scripts/public_api. Semantic versioning covers what is here; see CONTRIBUTING.md.

class ApiConnectionError(ApiKeysError): ...

class ApiKeyResponse(BaseModel):
    id: StrictStr
    key: Optional[SecretStr]
    description: Optional[StrictStr]
    is_active: StrictBool
    created_at: datetime
    deactivated_at: Optional[datetime]
    message: Optional[StrictStr]
    roles: Optional[List[StrictStr]]
    def to_str(self) -> str: ...
    def to_json(self) -> str: ...
    @classmethod
    def from_json(cls, json_str: str) -> Optional[Self]: ...
    def to_dict(self) -> Dict[str, Any]: ...
    @classmethod
    def from_dict(cls, obj: Optional[Dict[str, Any]]) -> Optional[Self]: ...

class ApiKeysClient:
    @property
    def generated(self) -> APIKeysApi: ...
    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | SecretStr | Callable[[], str | SecretStr] | None = None,
        timeout: float | tuple[float, float] = (5.0, 30.0),
        deadline: float = 60.0,
        max_attempts: int = 3,
        headers: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        allow_http: bool = False,
    ) -> None: ...
    def with_options(
        self,
        *,
        token: str | SecretStr | Callable[[], str | SecretStr] | None = None,
        timeout: float | tuple[float, float] | None = None,
        deadline: float | None = None,
        max_attempts: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def create(
        self,
        description: str | Literal[Unset.UNSET] | None = UNSET,
        roles: Iterable[Role | str] | Literal[Unset.UNSET] | None = UNSET,
    ) -> CreatedKey: ...
    def list(
        self,
        description: str | None = None,
        role: Role | str | None = None,
    ) -> builtins.list[ApiKeyResponse]: ...
    def get(self, key_id: str | uuid.UUID) -> ApiKeyResponse: ...
    def deactivate(self, key_id: str | uuid.UUID) -> ApiKeyResponse: ...
    def deactivate_many(
        self,
        key_ids: Iterable[str | uuid.UUID],
        done: Callable[[Deactivation], object] | None = None,
        *,
        bound: int = 8,
    ) -> builtins.list[Deactivation]: ...
    def temporary_key(
        self,
        description: str | None = None,
        roles: Iterable[Role | str] | Literal[Unset.UNSET] | None = UNSET,
    ) -> AbstractContextManager[CreatedKey]: ...
    def rotate(
        self,
        key_id: str | uuid.UUID,
        *,
        store: Callable[[CreatedKey], Awaitable[object] | object],
        verify: Callable[[CreatedKey], Awaitable[object] | object] | None = None,
        keep_old: bool = False,
        leftovers: Literal['refuse', 'deactivate', 'keep'] | list[str] | tuple[str, ...] | set[str] = 'refuse',
        roles: Iterable[Role | str] | None = None,
        description: str | None = None,
    ) -> Rotation: ...

class ApiKeysError(Exception):
    next_step: str
    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        detail: str | None = None,
        attempts: int = 0,
        elapsed: float = 0.0,
        retryable: bool = False,
        outcome: Outcome | None = None,
        key_id: str | None = None,
        next_step: str | None = None,
    ) -> None: ...
    status: int | None
    detail: str | None
    attempts: int
    elapsed: float
    retryable: bool
    outcome: Outcome | None
    key_id: str | None

class ApiTimeoutError(ApiConnectionError): ...

class AsyncApiKeysClient:
    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | SecretStr | Callable[[], str | SecretStr] | None = None,
        timeout: float | tuple[float, float] = (5.0, 30.0),
        deadline: float = 60.0,
        max_attempts: int = 3,
        headers: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        allow_http: bool = False,
    ) -> None: ...
    def with_options(
        self,
        *,
        token: str | SecretStr | Callable[[], str | SecretStr] | None = None,
        timeout: float | tuple[float, float] | None = None,
        deadline: float | None = None,
        max_attempts: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self: ...
    def close(self) -> Coroutine[Any, Any, None]: ...
    def __aenter__(self) -> Coroutine[Any, Any, Self]: ...
    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Coroutine[Any, Any, None]: ...
    def create(
        self,
        description: str | Literal[Unset.UNSET] | None = UNSET,
        roles: Iterable[Role | str] | Literal[Unset.UNSET] | None = UNSET,
    ) -> Coroutine[Any, Any, CreatedKey]: ...
    def list(
        self,
        description: str | None = None,
        role: Role | str | None = None,
    ) -> Coroutine[Any, Any, builtins.list[ApiKeyResponse]]: ...
    def get(self, key_id: str | uuid.UUID) -> Coroutine[Any, Any, ApiKeyResponse]: ...
    def deactivate(self, key_id: str | uuid.UUID) -> Coroutine[Any, Any, ApiKeyResponse]: ...
    def deactivate_many(
        self,
        key_ids: Iterable[str | uuid.UUID],
        done: Callable[[Deactivation], object] | None = None,
        *,
        bound: int = 8,
    ) -> Coroutine[Any, Any, builtins.list[Deactivation]]: ...
    def temporary_key(
        self,
        description: str | None = None,
        roles: Iterable[Role | str] | Literal[Unset.UNSET] | None = UNSET,
    ) -> AbstractAsyncContextManager[CreatedKey]: ...
    def rotate(
        self,
        key_id: str | uuid.UUID,
        *,
        store: Callable[[CreatedKey], Awaitable[object] | object],
        verify: Callable[[CreatedKey], Awaitable[object] | object] | None = None,
        keep_old: bool = False,
        leftovers: Literal['refuse', 'deactivate', 'keep'] | list[str] | tuple[str, ...] | set[str] = 'refuse',
        roles: Iterable[Role | str] | None = None,
        description: str | None = None,
    ) -> Coroutine[Any, Any, AsyncRotation]: ...

class AsyncRotation:
    old: ApiKeyResponse
    new: CreatedKey
    left_active: list[str]
    def finish(self) -> Coroutine[Any, Any, None]: ...

class AuthenticationError(ApiKeysError): ...

class ConfigurationError(ApiKeysError, ValueError): ...

class CreatedKey(ApiKeyResponse):
    key: SecretStr

class Deactivation(NamedTuple):
    key_id: str
    record: ApiKeyResponse | None
    error: ApiKeysError | None

class InvalidRequestError(ApiKeysError, ValueError): ...

class KeyLimitReachedError(ApiKeysError): ...

class KeyNotFoundError(ApiKeysError): ...

class NotStored(Exception): ...

class Outcome(str, Enum):
    NOT_SENT = 'not_sent'
    REJECTED = 'rejected'
    APPLIED = 'applied'
    UNKNOWN = 'unknown'

class OutcomeUnknownError(ApiKeysError):
    def __init__(self, message: str, *, reason: str = '', **fields: object) -> None: ...
    reason: str

class PermissionDeniedError(ApiKeysError): ...

class RateLimitedError(ApiKeysError):
    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        **fields: object,
    ) -> None: ...
    retry_after: float | None

class Role(str, Enum):
    DEFAULT_RULE_ADMIN = 'DEFAULT-RULE-ADMIN'
    TASK_ADMIN = 'TASK-ADMIN'
    VALIDATION_USER = 'VALIDATION-USER'
    ORG_AUDITOR = 'ORG-AUDITOR'
    ORG_ADMIN = 'ORG-ADMIN'
    @classmethod
    def from_json(cls, json_str: str) -> Self: ...

class Rotation:
    old: ApiKeyResponse
    new: CreatedKey
    left_active: list[str]
    def finish(self) -> None: ...

class RotationError(ApiKeysError):
    def __init__(
        self,
        message: str,
        *,
        stage: str = '',
        old_id: str = '',
        new_id: str | None = None,
        leftovers: Sequence[str] = (),
        undo: Callable[[], Any] | None = None,
        **fields: object,
    ) -> None: ...
    stage: str
    old_id: str
    new_id: str | None
    leftovers: Any
    def undo(self) -> Any: ...

class ServerError(ApiKeysError): ...

UNSET: Final = Unset.UNSET

class UnexpectedResponseError(ApiKeysError): ...

def key_id_from_secret(secret: str | SecretStr) -> str | None: ...
