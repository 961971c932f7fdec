# Recorded by scripts/public_api. Semantic versioning covers what is here; see CONTRIBUTING.md.

class APIKeysApi:
    def __init__(self, api_client = None) -> None: ...
    api_client: Any
    def close(self) -> None: ...
    def __enter__(self): ...
    def __exit__(self, exc_type, exc_value, traceback): ...
    def create_api_key_auth_api_keys_post(
        self,
        new_api_key_request: NewApiKeyRequest,
        _request_timeout: Union[None, StrictFloat, Tuple[StrictFloat, StrictFloat]] = None,
        _request_auth: Optional[Dict[StrictStr, Any]] = None,
        _content_type: Optional[StrictStr] = None,
        _headers: Optional[Dict[StrictStr, Any]] = None,
        _host_index: StrictInt = 0,
    ) -> ApiKeyResponse: ...
    def deactivate_api_key_auth_api_keys_deactivate_api_key_id_delete(
        self,
        api_key_id: StrictStr,
        _request_timeout: Union[None, StrictFloat, Tuple[StrictFloat, StrictFloat]] = None,
        _request_auth: Optional[Dict[StrictStr, Any]] = None,
        _content_type: Optional[StrictStr] = None,
        _headers: Optional[Dict[StrictStr, Any]] = None,
        _host_index: StrictInt = 0,
    ) -> ApiKeyResponse: ...
    def get_all_active_api_keys_auth_api_keys_get(
        self,
        _request_timeout: Union[None, StrictFloat, Tuple[StrictFloat, StrictFloat]] = None,
        _request_auth: Optional[Dict[StrictStr, Any]] = None,
        _content_type: Optional[StrictStr] = None,
        _headers: Optional[Dict[StrictStr, Any]] = None,
        _host_index: StrictInt = 0,
    ) -> List[ApiKeyResponse]: ...
    def get_api_key_auth_api_keys_api_key_id_get(
        self,
        api_key_id: StrictStr,
        _request_timeout: Union[None, StrictFloat, Tuple[StrictFloat, StrictFloat]] = None,
        _request_auth: Optional[Dict[StrictStr, Any]] = None,
        _content_type: Optional[StrictStr] = None,
        _headers: Optional[Dict[StrictStr, Any]] = None,
        _host_index: StrictInt = 0,
    ) -> ApiKeyResponse: ...

class APIKeysRolesEnum(str, Enum):
    DEFAULT_RULE_ADMIN = 'DEFAULT-RULE-ADMIN'
    TASK_ADMIN = 'TASK-ADMIN'
    VALIDATION_USER = 'VALIDATION-USER'
    ORG_AUDITOR = 'ORG-AUDITOR'
    ORG_ADMIN = 'ORG-ADMIN'
    @classmethod
    def from_json(cls, json_str: str) -> Self: ...

class ApiAttributeError(OpenApiException, AttributeError):
    def __init__(self, msg, path_to_item = None) -> None: ...
    path_to_item: Any

class ApiClient:
    def __init__(
        self,
        configuration = None,
        header_name = None,
        header_value = None,
        cookie = None,
    ) -> None: ...
    def __enter__(self): ...
    def __exit__(self, exc_type, exc_value, traceback): ...

class ApiException(OpenApiException):
    def __init__(
        self,
        status = None,
        reason = None,
        http_resp = None,
        *,
        body: Optional[str] = None,
        data: Optional[Any] = None,
    ) -> None: ...
    status: Any
    reason: Any
    body: Any
    data: Optional[Any]
    headers: Any
    @classmethod
    def from_response(cls, *, http_resp, body: Optional[str], data: Optional[Any]) -> Self: ...

class ApiKeyError(OpenApiException, KeyError):
    def __init__(self, msg, path_to_item = None) -> None: ...
    path_to_item: Any

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

class ApiResponse(BaseModel, Generic[T]):
    status_code: StrictInt
    headers: Optional[Mapping[str, str]]
    data: T
    raw_data: StrictBytes

class ApiTypeError(OpenApiException, TypeError):
    def __init__(
        self,
        msg,
        path_to_item = None,
        valid_classes = None,
        key_type = None,
    ) -> None: ...
    path_to_item: Any
    valid_classes: Any
    key_type: Any

class ApiValueError(OpenApiException, ValueError):
    def __init__(self, msg, path_to_item = None) -> None: ...
    path_to_item: Any

class Configuration:
    def __init__(
        self,
        host: Optional[str] = None,
        api_key: Optional[Dict[str, str]] = None,
        api_key_prefix: Optional[Dict[str, str]] = None,
        username: Optional[str] = None,
        password: Optional[str] = None,
        access_token: Optional[str] = None,
        server_index: Optional[int] = None,
        server_variables: Optional[ServerVariablesT] = None,
        server_operation_index: Optional[Dict[int, int]] = None,
        server_operation_variables: Optional[Dict[int, ServerVariablesT]] = None,
        ignore_operation_servers: bool = False,
        ssl_ca_cert: Optional[str] = None,
        retries: Optional[Union[int, urllib3.util.retry.Retry]] = None,
        ca_cert_data: Optional[Union[str, bytes]] = None,
        cert_file: Optional[str] = None,
        key_file: Optional[str] = None,
        verify_ssl: bool = True,
        assert_hostname: Optional[bool] = None,
        tls_server_name: Optional[str] = None,
        connection_pool_maxsize: Optional[int] = None,
        proxy: Optional[str] = None,
        no_proxy: Optional[str] = None,
        proxy_headers: Optional[Any] = None,
        proxy_ssl_context: Optional[ssl.SSLContext] = None,
        safe_chars_for_path_param: str = '',
        client_side_validation: bool = True,
        socket_options: Optional[Any] = None,
        datetime_format: str = '%Y-%m-%dT%H:%M:%S.%f%z',
        date_format: str = '%Y-%m-%d',
        *,
        debug: Optional[bool] = None,
    ) -> None: ...

class HTTPValidationError(BaseModel):
    detail: Optional[List[ValidationError]]
    def to_str(self) -> str: ...
    def to_json(self) -> str: ...
    @classmethod
    def from_json(cls, json_str: str) -> Optional[Self]: ...
    def to_dict(self) -> Dict[str, Any]: ...
    @classmethod
    def from_dict(cls, obj: Optional[Dict[str, Any]]) -> Optional[Self]: ...

class LocationInner(BaseModel):
    anyof_schema_1_validator: Optional[StrictStr]
    anyof_schema_2_validator: Optional[StrictInt]
    actual_instance: Optional[Union[int, str]]
    any_of_schemas: Set[str]
    def __init__(self, *args, **kwargs) -> None: ...
    def actual_instance_must_validate_anyof(cls, v): ...
    @classmethod
    def from_dict(cls, obj: Dict[str, Any]) -> Self: ...
    @classmethod
    def from_json(cls, json_str: str) -> Self: ...
    def to_json(self) -> str: ...
    def to_dict(self) -> Optional[Union[Dict[str, Any], int, str]]: ...
    def to_str(self) -> str: ...

class NewApiKeyRequest(BaseModel):
    description: Optional[StrictStr]
    roles: Optional[List[APIKeysRolesEnum]]
    def to_str(self) -> str: ...
    def to_json(self) -> str: ...
    @classmethod
    def from_json(cls, json_str: str) -> Optional[Self]: ...
    def to_dict(self) -> Dict[str, Any]: ...
    @classmethod
    def from_dict(cls, obj: Optional[Dict[str, Any]]) -> Optional[Self]: ...

class OpenApiException(Exception): ...

class ValidationError(BaseModel):
    loc: List[LocationInner]
    msg: StrictStr
    type: StrictStr
    def to_str(self) -> str: ...
    def to_json(self) -> str: ...
    @classmethod
    def from_json(cls, json_str: str) -> Optional[Self]: ...
    def to_dict(self) -> Dict[str, Any]: ...
    @classmethod
    def from_dict(cls, obj: Optional[Dict[str, Any]]) -> Optional[Self]: ...
