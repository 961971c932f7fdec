"""Reads answers from urllib3: whole, and within bounds."""

from __future__ import annotations

import io
import time

import urllib3

from api_keys_client._answers import begun, cut_off, most_of
from api_keys_client._calls import Answer, Lost
from api_keys_client._connections import Attempt
from api_keys_client._failures import interrupts

READ_AT_ONCE = 256 * 1024


def whole_answer(response: urllib3.BaseHTTPResponse, attempt: Attempt) -> Answer | Lost:
    """The whole answer, within bounds; its connection goes back to the pool, or is closed."""
    whole = False
    try:
        status = response.status
        if status < 200:
            # The true answer would follow on the same connection and be taken for the next call's.
            return Lost(True, "protocol", f"the server answered {status} and no more")
        # The clock is asked for where a Retry-After may count from it.
        received_at = 0.0 if status < 300 else time.time()
        answer = begun(status, response.headers, authorization=attempt.authorization, received_at=received_at)
        try:
            whole = _read(response, answer)
        except Exception as error:
            # Of a refusal, the status alone says enough.
            if status < 300 or interrupts(error):
                raise
        return answer if whole else cut_off(answer)
    finally:
        # Of a whole answer the connection is back in the pool already.
        if not whole:
            response.close()
            response.release_conn()


def _read(response: urllib3.BaseHTTPResponse, answer: Answer) -> bool:
    """Reads the body into the answer, so that no frame's local holds it; whether it was all."""
    most = most_of(answer)
    # In pieces: of one read, http.client keeps each chunk as an object, however short.
    answer.body = response.read(min(READ_AT_ONCE, most + 1), decode_content=False)
    if response.closed:
        return len(answer.body) <= most
    body = io.BytesIO()
    body.write(answer.body)
    while not response.closed and body.tell() <= most:
        body.write(response.read(min(READ_AT_ONCE, most + 1 - body.tell()), decode_content=False))
    answer.body = body.getvalue()
    return response.closed and len(answer.body) <= most
