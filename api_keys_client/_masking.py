"""Takes secrets out of what a server says when it refuses. Pure.

Until that is done its words stay in the answer: a local of ours would show them in a traceback, an interrupt's too.
"""

from __future__ import annotations

import re
from base64 import b64decode

from pydantic_core import from_json, to_json

from api_keys_client._calls import Answer

# Compiled when first used: most programs never see a refusal.
_BASE64 = rb"[A-Za-z0-9+/]{52,}={0,2}"
_ENGINE_SECRET = rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}:"


def mask(answer: Answer) -> None:
    """Leaves of the body its JSON without the token and engine secrets; nothing, if it is no JSON."""
    try:
        # Written anew, without the escapes behind which a token could hide. The json module's error holds the document.
        answer.body = to_json(from_json(answer.body))
    except ValueError:
        answer.body = b""
    if answer.token:
        answer.body = answer.body.replace(to_json(answer.token)[1:-1], b"[token]")
    # From the end, so that the places of those before it stay right.
    for start, end in reversed([*map(re.Match.span, re.finditer(_BASE64, answer.body))]):
        # Whatever stands right before a secret shifts it.
        if any(_is_secret(answer, start + shift, end) for shift in range(4)):
            answer.body = b"%b[secret]%b" % (answer.body[:start], answer.body[end:])


def _is_secret(answer: Answer, start: int, end: int) -> bool:
    """Whether the base64 there holds an engine's secret; its end may have been cut off."""
    whole = (end - start) // 4 * 4
    return re.search(_ENGINE_SECRET, b64decode(answer.body[start : start + whole])) is not None
