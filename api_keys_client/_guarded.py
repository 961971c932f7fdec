"""The generated client on the sync client's own connections: with its times, no redirects, no replays."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import urllib3

from api_keys_client._connections import current
from api_keys_client._contract import APIKeysApi
from api_keys_client.settings import SecretHeaders, Settings

if TYPE_CHECKING:
    from api_keys_client._attempts import Attempts

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
        options["headers"]["Authorization"] = settings.token.header()
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


class Access:
    """What only the sync client has."""

    if TYPE_CHECKING:
        _attempts: Attempts

    @property
    def generated(self) -> APIKeysApi:
        """The generated `APIKeysApi` on this client's connections, for what the wrapper doesn't cover.

        What holds: our timeouts, to connect and for the whole answer, even one that comes in drips (`_request_timeout`
        takes their place); redirects are not followed; our headers, and a token that is asked for on each call.

        What doesn't: there are no retries, no deadline over a call, no outcomes; compressed answers are unpacked
        without a bound; and closing the client doesn't end its calls in flight. Nor do the rules against leaks hold:
        the text of an `ApiException` has the answer's headers and body, and it keeps both; the result of a method
        that ends in `_with_http_info` has the body in `raw_data`; and urllib3's exceptions come as they are, with the
        token in the locals of their frames.
        """
        return self._attempts.transport.generated(self._attempts.settings)
