"""Takes secrets out of what a server says when it refuses. Pure."""

from __future__ import annotations

import re
from base64 import b64decode

from pydantic_core import from_json, to_json

from api_keys_client._core.validation import UUID_PATTERN

# Compiled when first used: most programs never see a refusal.
_BASE64 = rb"[A-Za-z0-9+/]{52,}={0,2}"
_ENGINE_SECRET = UUID_PATTERN.encode() + b":"


def masked(body: bytes, token: str) -> bytes:
    """Gives a body's JSON without the token and engine secrets; nothing, if it is no JSON."""
    try:
        # Written anew, without the escapes behind which a token could hide.
        text = to_json(from_json(body))
    except ValueError:
        return b""
    if token:
        text = text.replace(to_json(token)[1:-1], b"[token]")
    return re.sub(_BASE64, _mask_secret, text)


def _mask_secret(found: re.Match[bytes]) -> bytes:
    """Masks the base64 from where an engine's secret begins in it; its end may have been cut off."""
    text = found[0]
    # Whatever stands right before a secret shifts it.
    for shift in range(4):
        whole = (len(text) - shift) // 4 * 4
        if re.search(_ENGINE_SECRET, b64decode(text[shift : shift + whole]), re.IGNORECASE):
            return b"[secret]"
    return text
