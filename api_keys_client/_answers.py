"""What of an answer is kept, and how much of it is read: the same for both drivers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from api_keys_client._calls import Answer

ANSWER_MOST = 32 * 1024 * 1024
ERROR_MOST = 64 * 1024


def begun(status: int, headers: Mapping[str, str], *, authorization: str, received_at: float) -> Answer:
    """An answer whose headers are there; its body is still to be read."""
    answer = Answer(status)
    if status < 300:
        codings = headers.get("Content-Encoding")
        if codings and not {coding.strip() for coding in codings.lower().split(",")} <= {"", "identity"}:
            answer.problem = "compressed, which was not asked for"
    else:
        answer.retry_after = headers.get("Retry-After")
        answer.received_at = received_at
        answer.token = authorization.partition(" ")[2]
    return answer


def most_of(answer: Answer) -> int:
    """The bytes that are read of its body."""
    return ANSWER_MOST if answer.status < 300 else ERROR_MOST


def cut_off(answer: Answer) -> Answer:
    """An answer whose body was longer than what is read."""
    if answer.status < 300:
        answer.problem = f"more than {ANSWER_MOST // 1024 // 1024} MiB"
    return answer
