"""The generated client on the sync client's own connections: with its times, no redirects, no replays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import urllib3

from api_keys_client._core.options import SecretHeaders, Settings
from api_keys_client._transport.urllib3_connections import NO_RETRIES, current, usual_timeout


class GeneratedPoolManager:
    """What the generated client takes for its pool manager: our times, no redirects, no replays."""

    def __init__(self, manager: Callable[[], urllib3.PoolManager], settings: Settings) -> None:
        self._manager = manager
        self._settings = settings

    def request(self, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        settings = self._settings
        if options.get("timeout") is None:
            options["timeout"] = usual_timeout(settings.connect_timeout, settings.answer_timeout)
        options["headers"] = SecretHeaders(options.get("headers") or {})
        options["headers"].update(settings.headers)
        options["headers"]["Authorization"] = settings.token.header()
        options.setdefault("pool_timeout", settings.deadline)
        manager = self._manager()
        # Not an attempt of ours, whatever an interrupted one left behind in this thread.
        interrupted, current.state = current.state, None
        try:
            return manager.request(method, url, redirect=False, retries=NO_RETRIES, **options)
        finally:
            current.state = interrupted

    def clear(self) -> None:
        """Does nothing: the connections are the client's to close."""
