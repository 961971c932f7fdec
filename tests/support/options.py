"""Settings that are checked: those that hold, and the refusal of the others, which shows no secret."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from api_keys_client import ApiKeysClient, ConfigurationError, Outcome
from api_keys_client._core.options import ClientOptions, Settings, resolve_settings
from api_keys_client._transport.system import environment

SECRET = "s3cret-t0ken"


def refusal(*arguments: Any, **options: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        ApiKeysClient(*arguments, **{"token": SECRET, **options})
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.outcome is Outcome.NOT_SENT
    assert "correct the setting" in error.next_step
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if "/api_keys_client/" in frame.filename]
    assert frames
    for text in (str(error), repr(error), *(str(frame.locals) for frame in frames)):
        assert "s3cret" not in text
    return error


def checked(base_url: str = "https://example.com", token: Any = SECRET, **options: Any) -> Settings:
    return resolve_settings(ClientOptions(base_url, token, **options), environment())
