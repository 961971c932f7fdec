"""Every way for a call to end at a server that says the token and a minted secret back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
    """A call, the answers that it is to end by, one at a time, and whether it fails; an answer of None is silence."""

    call: Callable[[ApiKeysClient], object]
    said: Sequence[bytes | None]
    fails: bool | None = True


def faults(*entries: dict[str, object]) -> bytes:
    return reply("422 Unprocessable Entity", {"detail": list(entries)})


REFUSED = [reply(status, {"detail": ECHO}) for status in REFUSALS]
WORDS = [
    faults({"loc": ["header", "@token@", MINTED], "msg": ECHO, "input": ECHO, "ctx": {"error": ECHO}}),
    faults({"loc": ECHO, "msg": [ECHO]}, {"msg": {"x": ECHO}, ECHO: ECHO}),
    reply("400 Bad Request", b'{"detail": "\\u0074' + b"@token@" + b'"}'),
    *(
        reply("400 Bad Request", {"detail": detail})
        for detail in (
            f"{'x' * 985}@token@",
            f"{'x' * 950} {MINTED}",
            f"bad key '{MINTED[:91]}'",
            {"token": ECHO},
        )
    ),
    reply("502 Bad Gateway", ECHO.encode()),
    reply(f"401 {ECHO}", {}),
    reply(f"799 {ECHO}", {"detail": ECHO}),
    reply("429 Too Many Requests", {}, f"Retry-After: {ECHO}"),
    reply("308 Permanent Redirect", b"", "Location: http://localhost/@token@"),
]
NO_RECORDS = [
    reply("200 OK", body)
    for body in (
        ECHO.encode(),
        ECHO,
        {**CREATED, "id": [ECHO]},
        {**RECORD, "id": ECHO},
        {**RECORD, "id": "@token@", "key": [ECHO, {ECHO: ECHO}]},
        {"key": MINTED},
        {**CREATED, "created_at": ECHO},
        json.dumps(CREATED).encode()[:-9],
    )
]
BROKEN = [
    f"{ECHO}\r\n\r\n".encode(),
    reply("401 Unauthorized", {"detail": ECHO}, ECHO, "X-Y: z"),
    reply("200 OK", CREATED, "X-Y: " + ECHO * 1000),
    reply("200 OK", ECHO.encode(), "Transfer-Encoding: chunked"),
    reply("200 OK", CREATED, "Content-Length: 9999"),
    reply("200 OK", ECHO.encode(), "Content-Encoding: gzip"),
]

EXITS = {
    "a record": Exit(get, [reply("200 OK", RECORD), reply("200 OK", CREATED)], fails=False),
    "a list": Exit(list_all, [reply("200 OK", [CREATED, CREATED])], fails=False),
    "a created key": Exit(create, [reply("200 OK", CREATED)], fails=False),
    "a deactivated record": Exit(deactivate, [reply("200 OK", {**CREATED, "is_active": False})], fails=False),
    "a record that is still active": Exit(deactivate, [reply("200 OK", CREATED)]),
    "outcomes of many": Exit(deactivate_many, REFUSED[3:4], fails=False),
    "a temporary key that stays": Exit(temporary, [reply("200 OK", CREATED), *REFUSED[2:3]]),
    "get refused": Exit(get, REFUSED),
    "create refused": Exit(create, REFUSED),
    "words": Exit(get, WORDS),
    **{f"{call.__name__} of no record": Exit(call, NO_RECORDS) for call in (get, list_all, create, deactivate)},
    "a broken answer": Exit(create, BROKEN),
    "a length that is none": Exit(get, [reply("200 OK", RECORD, f"Content-Length: {ECHO}")], fails=None),
    "a connection closed": Exit(get, [b""]),
    "silence": Exit(get, [None]),
}
