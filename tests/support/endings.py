"""Every way for a call to end at a server that says the token and a minted secret back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from api_keys_client import ApiKeysClient
from tests.support.leaks import CREATED, ECHO, KEY_ID, MINTED, RECORD, reply

REFUSALS = (
    "307 Temporary Redirect",
    "400 Bad Request",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "407 Proxy Authentication Required",
    "422 Unprocessable Entity",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "503 Service Unavailable",
)


def get(client: ApiKeysClient) -> object:
    return client.get(KEY_ID)


def list_all(client: ApiKeysClient) -> object:
    return client.list()


def create(client: ApiKeysClient) -> object:
    return client.create("ci")


def deactivate(client: ApiKeysClient) -> object:
    return client.deactivate(KEY_ID)


def deactivate_many(client: ApiKeysClient) -> object:
    return client.deactivate_many([KEY_ID, KEY_ID])


def temporary(client: ApiKeysClient) -> object:
    with client.temporary_key("ci") as created:
        return created


class Exit(NamedTuple):
    """One way for a call to end: the call, and what the server says; None is silence."""

    call: Callable[[ApiKeysClient], object]
    said: bytes | None
    fails: bool | None = True


def faults(*entries: dict[str, object]) -> bytes:
    return reply("422 Unprocessable Entity", {"detail": list(entries)})


EXITS = {
    "a record": Exit(get, reply("200 OK", RECORD), fails=False),
    "a record with a secret": Exit(get, reply("200 OK", CREATED), fails=False),
    "a list with secrets": Exit(list_all, reply("200 OK", [CREATED, CREATED]), fails=False),
    "a created key": Exit(create, reply("200 OK", CREATED), fails=False),
    "a deactivated record with a secret": Exit(
        deactivate, reply("200 OK", {**CREATED, "is_active": False}), fails=False
    ),
    "a record that is still active": Exit(deactivate, reply("200 OK", CREATED)),
    "outcomes of many": Exit(deactivate_many, reply("403 Forbidden", {"detail": ECHO}), fails=False),
    "a temporary key that stays": Exit(temporary, reply("200 OK", CREATED)),
    **{f"get answered {status}": Exit(get, reply(status, {"detail": ECHO})) for status in REFUSALS},
    **{f"create answered {status}": Exit(create, reply(status, {"detail": ECHO})) for status in REFUSALS},
    "deactivate answered 401": Exit(deactivate, reply("401 Unauthorized", {"detail": ECHO})),
    "temporary_key answered 401": Exit(temporary, reply("401 Unauthorized", {"detail": ECHO})),
    "a list of faults": Exit(
        get, faults({"loc": ["header", "@token@", MINTED], "msg": ECHO, "input": ECHO, "ctx": {"error": ECHO}})
    ),
    "faults of other shapes": Exit(create, faults({"loc": ECHO, "msg": [ECHO]}, {"msg": {"x": ECHO}, ECHO: ECHO})),
    "an escaped echo": Exit(get, reply("400 Bad Request", b'{"detail": "\\u0074' + b"@token@" + b'"}')),
    "an echo that is cut": Exit(get, reply("400 Bad Request", {"detail": f"{'x' * 985}@token@"})),
    "a secret that is cut": Exit(get, reply("400 Bad Request", {"detail": f"{'x' * 950} {MINTED}"})),
    "half a secret": Exit(get, reply("400 Bad Request", {"detail": f"bad key '{MINTED[:91]}'"})),
    "a page instead of a detail": Exit(get, reply("502 Bad Gateway", ECHO.encode())),
    "another detail": Exit(get, reply("400 Bad Request", {"detail": {"token": ECHO}})),
    "an echo in the reason": Exit(get, reply(f"401 {ECHO}", {})),
    "an echo in Retry-After": Exit(get, reply("429 Too Many Requests", {}, f"Retry-After: {ECHO}")),
    "an echo in Location": Exit(get, reply("308 Permanent Redirect", b"", "Location: http://localhost/@token@")),
    "an unknown status": Exit(get, reply(f"799 {ECHO}", {"detail": ECHO})),
    **{
        f"{call.__name__} answered with {name}": Exit(call, reply("200 OK", body))
        for call in (get, list_all, create, deactivate)
        for name, body in {
            "text": ECHO.encode(),
            "a string": ECHO,
            "an id that is a secret": {**CREATED, "id": [ECHO]},
            "a key that is none": {**RECORD, "id": "@token@", "key": [ECHO, {ECHO: ECHO}]},
            "a date": {**CREATED, "created_at": ECHO},
            "half a record": json.dumps(CREATED).encode()[:-9],
        }.items()
    },
    "a created key without an id": Exit(create, reply("200 OK", {"key": MINTED})),
    "the record of a secret": Exit(get, reply("200 OK", {**RECORD, "id": ECHO})),
    "an answer that is not HTTP": Exit(get, f"{ECHO}\r\n\r\n".encode()),
    "a header that is none": Exit(get, reply("401 Unauthorized", {"detail": ECHO}, ECHO, "X-Y: z")),
    "a header line too long": Exit(get, reply("200 OK", RECORD, "X-Y: " + ECHO * 1000)),
    "a chunk that is none": Exit(get, reply("200 OK", ECHO.encode(), "Transfer-Encoding: chunked")),
    "a length that is none": Exit(get, reply("200 OK", RECORD, f"Content-Length: {ECHO}"), fails=None),
    "a body cut off": Exit(create, reply("200 OK", CREATED, "Content-Length: 9999")),
    "a compressed answer": Exit(create, reply("200 OK", ECHO.encode(), "Content-Encoding: gzip")),
    "a connection closed": Exit(get, b""),
    "silence": Exit(get, None),
}
