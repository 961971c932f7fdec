"""The pool manager that the generated client gets: the sync client's own, with its times, no redirects, no replays."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import urllib3

from api_keys_client._connections import current
from api_keys_client.settings import SecretHeaders, Settings

NO_RETRIES = urllib3.Retry(total=False, redirect=False)


@lru_cache(maxsize=32)
def usual_timeout(connect: float, answer: float) -> urllib3.Timeout:
    """Kept, because urllib3 copies it for each request anyway, and making one is slow."""
    return urllib3.Timeout(connect=connect, read=answer)


class Guarded:
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
        options["headers"]["Authorization"] = settings.bearer.header()
        options.setdefault("pool_timeout", settings.deadline)
        manager = self._manager()
        # Not an attempt of ours, whatever an interrupted one left behind in this thread.
        interrupted, current.attempt = current.attempt, None
        try:
            return manager.request(method, url, redirect=False, retries=NO_RETRIES, **options)
        finally:
            current.attempt = interrupted

    def clear(self) -> None:
        """The connections are the client's to close."""
