# Recorded by scripts/public_api. Semantic versioning covers what is here; see CONTRIBUTING.md.

class Fault:
    name: str
    act: Callable[[Exchange], Response]
    @staticmethod
    def drop(*, committed: bool = False) -> Fault: ...
    @staticmethod
    def commit_late(seconds: float) -> Fault: ...
    @staticmethod
    def delay(seconds: float) -> Fault: ...
    @staticmethod
    def silence(*, committed: bool = False) -> Fault: ...
    @staticmethod
    def status(
        code: int,
        detail: object = None,
        *,
        retry_after: int | str | None = None,
    ) -> Fault: ...
    @staticmethod
    def garbage(*, committed: bool = True) -> Fault: ...
    @staticmethod
    def truncated(*, chunked: bool = False) -> Fault: ...
    @staticmethod
    def hold(
        arrived: threading.Event,
        release: threading.Event,
        *,
        committed: bool = False,
    ) -> Fault: ...
    def __init__(self, name: str, act: Callable[[Exchange], Response]) -> None: ...

Operation: TypeAlias = Literal['create', 'list', 'get', 'deactivate']

Profile: TypeAlias = Literal['engine', 'spec']

class ReceivedRequest:
    method: str
    path: str
    operation: Literal['create', 'list', 'get', 'deactivate'] | None
    status: int | None
    def __init__(
        self,
        method: str,
        path: str,
        operation: Literal['create', 'list', 'get', 'deactivate'] | None,
        status: int | None = None,
    ) -> None: ...

class Sandbox:
    token: str
    def __init__(
        self,
        *,
        token: str | None = None,
        profile: Literal['engine', 'spec'] = 'engine',
        limit: int = 1000,
        database: str | os.PathLike[str] = ':memory:',
        host: str = '127.0.0.1',
        port: int = 0,
    ) -> None: ...
    @property
    def url(self) -> str: ...
    @property
    def requests(self) -> list[ReceivedRequest]: ...
    @property
    def unmet(self) -> list[Fault]: ...
    def start(self) -> Self: ...
    def stop(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def queue(
        self,
        fault: Fault,
        *,
        operation: Literal['create', 'list', 'get', 'deactivate'] | None = None,
        times: int = 1,
    ) -> None: ...
    def reset(self) -> None: ...
    def keys(self) -> list[StoredKey]: ...
    def accepts(self, secret: str) -> bool: ...
    def application(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]: ...
    def respond(self, request: Request) -> Response: ...

class StoredKey(NamedTuple):
    id: str
    description: str | None
    roles: tuple[str, ...]
    created_at: float
    deactivated_at: float | None
    @property
    def is_active(self) -> bool: ...
