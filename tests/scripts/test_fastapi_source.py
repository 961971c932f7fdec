"""A document that FastAPI itself writes, for an application like the engine's, is taken as the engine's own is."""

from __future__ import annotations

import importlib
import json
import uuid
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

PROJECT = Path(__file__).parents[2]


class APIKeysRolesEnum(StrEnum):
    DEFAULT_RULE_ADMIN = "DEFAULT-RULE-ADMIN"
    TASK_ADMIN = "TASK-ADMIN"
    VALIDATION_USER = "VALIDATION-USER"
    ORG_AUDITOR = "ORG-AUDITOR"
    ORG_ADMIN = "ORG-ADMIN"
    TENANT_USER = "TENANT-USER"


class NewApiKeyRequest(BaseModel):
    description: str | None = None
    roles: list[APIKeysRolesEnum] | None = [APIKeysRolesEnum.VALIDATION_USER]


class ApiKeyResponse(BaseModel):
    id: str
    key: str | None = None
    description: str | None = None
    is_active: bool
    created_at: datetime
    deactivated_at: datetime | None = None
    message: str | None = None
    roles: list[str] = []


Token = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer(scheme_name="API Key"))]


def create_api_key(new: NewApiKeyRequest, token: Token) -> None: ...


def get_all_active_api_keys(token: Token) -> None: ...


def get_api_key(api_key_id: uuid.UUID, token: Token) -> None: ...


def deactivate_api_key(api_key_id: uuid.UUID, token: Token) -> None: ...


def document() -> dict[str, Any]:
    application = FastAPI(title="Engine", version="2.1.686")
    ours: dict[str, Any] = {"tags": ["API Keys"], "response_model": ApiKeyResponse}
    application.post("/auth/api_keys/", **ours, description="At most 100.")(create_api_key)
    application.get("/auth/api_keys/{api_key_id}", **ours)(get_api_key)
    application.get("/auth/api_keys/", **{**ours, "response_model": list[ApiKeyResponse]})(get_all_active_api_keys)
    application.delete("/auth/api_keys/deactivate/{api_key_id}", **ours)(deactivate_api_key)
    application.get("/other", tags=["Other"])(get_all_active_api_keys)
    return application.openapi()


def test_fastapis_document_is_ours(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "source.json").write_text(json.dumps(document()), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROJECT / "scripts")
        code = importlib.import_module("sync_spec").main([str(tmp_path / "source.json"), "--check"])
    assert (capfd.readouterr().out, code) == ("No changes.\n", 0)
