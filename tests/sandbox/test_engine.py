"""The engine's own answers to raw requests, as they were measured, beside the sandbox's: status and effect."""

from __future__ import annotations

import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from api_keys_client.sandbox import Sandbox
from tests.support.calling import KEYS, PATIENCE, UNKNOWN_ID, Caller, address, caller_on
from tests.support.pages import PROJECT

GUIDE = PROJECT / "docs" / "guides" / "sandbox.md"
GOOD = "Authorization: Bearer {token}"
BAD = "Authorization: Bearer wrong"
JSON = "Content-Type: application/json"
LIST, CREATE, ID = f"GET {KEYS}", f"POST {KEYS}", "{id}"
END = f"DELETE {KEYS}deactivate/"


class Measured(NamedTuple):
    """A request, the status that the engine gave it, and how many more keys were active then."""

    name: str
    status: int
    effect: int
    line: str
    headers: tuple[str, ...] = (GOOD,)
    body: bytes | None = None


def creation(name: str, status: int, effect: int, body: bytes, *headers: str) -> Measured:
    return Measured(name, status, effect, CREATE, headers or (GOOD, JSON), body)


MEASURED = [
    creation("a description", 200, 1, b'{"description": "x"}'),
    creation("an empty object", 200, 1, b"{}"),
    creation("no roles", 200, 1, b'{"roles": null}'),
    creation("a role named twice", 200, 1, b'{"roles": ["ORG-ADMIN", "ORG-ADMIN"]}'),
    creation("an unknown field", 200, 1, b'{"color": 1}'),
    creation("a charset", 200, 1, b"{}", GOOD, f"{JSON}; charset=utf-8"),
    creation("another kind of JSON", 200, 1, b"{}", GOOD, "Content-Type: application/merge-patch+json"),
    creation("5 MB", 200, 1, b'{"description": "%b"}' % (b"x" * 5_000_000)),
    creation("without a content type", 400, 0, b"{}", GOOD),
    creation("as text", 400, 0, b"{}", GOOD, "Content-Type: text/plain"),
    creation("as a form", 400, 0, b"{}", GOOD, "Content-Type: application/x-www-form-urlencoded"),
    creation("a role that does not exist", 400, 0, b'{"roles": ["EMPEROR"]}'),
    creation("a list for a role", 400, 0, b'{"roles": [["TASK-ADMIN"]]}'),
    creation("TENANT-USER", 400, 0, b'{"roles": ["TENANT-USER"]}'),
    creation("roles that are no list", 400, 0, b'{"roles": "ORG-ADMIN"}'),
    creation("a number for a description", 400, 0, b'{"description": 7}'),
    creation("no object", 400, 0, b"[]"),
    creation("no body", 400, 0, b""),
    creation("broken JSON", 400, 0, b"{"),
    creation("broken JSON without a token", 400, 0, b"{", JSON),
    creation("a bad role with a wrong token", 400, 0, b'{"roles": ["EMPEROR"]}', BAD, JSON),
    creation("a wrong token", 401, 0, b"{}", BAD, JSON),
    creation("NUL", 500, 0, b'{"description": "a\\u0000b"}'),
    creation("a lone surrogate", 500, 0, b'{"description": "\\ud800"}'),
    creation("invalid UTF-8", 500, 0, b'{"description": "\xff"}'),
    creation("gzip", 500, 0, b"\x1f\x8b\x08\x00\x00", GOOD, JSON, "Content-Encoding: gzip"),
    creation("5,000 digits", 500, 0, b'{"description": %b}' % (b"1" * 5_000)),
    creation("nesting", 500, 0, b"[" * 100_000),
    Measured("a list", 200, 0, LIST),
    Measured("no token", 401, 0, LIST, ()),
    Measured("an empty header", 401, 0, LIST, ("Authorization:",)),
    Measured("another scheme", 401, 0, LIST, ("Authorization: Basic {token}",)),
    Measured("a scheme in capitals", 200, 0, LIST, ("Authorization: BEARER {token}",)),
    Measured("the good header first", 200, 0, LIST, (GOOD, BAD)),
    Measured("two good headers", 200, 0, LIST, (GOOD, GOOD)),
    Measured("the bad header first", 401, 0, LIST, (BAD, GOOD)),
    Measured("a cookie", 401, 0, LIST, (GOOD, "Cookie: ACCESS_TOKEN=wrong")),
    Measured("get", 200, 0, f"GET {KEYS}{ID}"),
    Measured("get of an unknown key", 404, 0, f"GET {KEYS}{UNKNOWN_ID}"),
    Measured("get of no UUID", 400, 0, f"GET {KEYS}x"),
    Measured("get of no UUID, a wrong token", 400, 0, f"GET {KEYS}x", (BAD,)),
    Measured("get, dashes in odd places", 400, 0, f"GET {KEYS}{{odd}}"),
    Measured("get, other digits", 400, 0, f"GET {KEYS}%D9%A1{UNKNOWN_ID[1:]}"),
    Measured("deactivate", 204, -1, f"{END}{ID}"),
    Measured("deactivate, dashes in odd places", 400, 0, f"{END}{{odd}}"),
    Measured("deactivate, a wrong token", 401, 0, f"{END}{ID}", (BAD,)),
    Measured("deactivate, unknown", 404, 0, f"{END}{UNKNOWN_ID}"),
    Measured("no slash", 307, 0, "GET /auth/api_keys"),
    Measured("two slashes first", 404, 0, "GET //auth/api_keys/"),
    Measured("two slashes last", 404, 0, "GET /auth/api_keys//"),
    Measured("an absolute target", 404, 0, f"GET http://x{KEYS}"),
    Measured("another method", 405, 0, f"PATCH {KEYS}"),
    Measured("two lengths", 400, 0, CREATE, (GOOD, JSON, "Content-Length: 2", "Content-Length: 3"), b"{}"),
    Measured("no host", 400, 0, LIST, (GOOD, "-Host")),
    Measured("no colon", 400, 0, LIST, (GOOD, "no colon")),
    Measured("a broken chunk", 400, 0, CREATE, (GOOD, JSON, "Transfer-Encoding: chunked"), b"x\r\n"),
    Measured("a header of 70,000 bytes", 200, 0, LIST, (GOOD, "X: " + "x" * 70_000)),
    Measured("a target of 70,000 bytes", 200, 0, f"{LIST}?{'x' * 70_000}"),
    Measured("200 headers", 200, 0, LIST, (GOOD, *(f"X-{number}: x" for number in range(200)))),
    Measured("health", 200, 0, "GET /health", ()),
    Measured("the document", 200, 0, "GET /openapi.json", ()),
]


def seen(sandbox: Sandbox, measured: Measured) -> tuple[int, int]:
    """The sandbox's status (0 where it sends none), and how many more of its keys are active."""
    with caller_on(sandbox.url, sandbox.token) as caller:
        key_id = caller.create()["id"]
    plain = key_id.replace("-", "")
    fill = {"token": sandbox.token, "id": key_id, "odd": f"{plain[:3]}-{plain[3:]}"}
    headers = [measured.line + " HTTP/1.1", *measured.headers, "Connection: close"]
    if "-Host" in headers:
        headers.remove("-Host")
    else:
        headers.insert(1, "Host: localhost")
    framed = any(header.startswith(("Content-Length", "Transfer-Encoding")) for header in headers)
    if measured.body is not None and not framed:
        headers.append(f"Content-Length: {len(measured.body)}")
    head = "\r\n".join(re.sub(r"\{(\w+)\}", lambda match: fill[match[1]], header) for header in headers)
    with socket.create_connection(address(sandbox.url), PATIENCE) as connection:
        try:
            connection.sendall(f"{head}\r\n\r\n".encode() + (measured.body or b""))
            answer = connection.recv(65_536)
        except ConnectionError:
            answer = b""
    found = re.match(rb"HTTP/1.1 (\d+)", answer)
    return int(found[1]) if found else 0, sum(key.is_active for key in sandbox.keys()) - 1


def test_the_sandbox_differs_where_its_guide_says_so(engine: Sandbox) -> None:
    named = re.findall(r"^\| (.+?) \| (\d+) \| (\S+) \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    differing = []
    for measured in MEASURED:
        engine.reset()
        status, effect = seen(engine, measured)
        if (status, effect) != (measured.status, measured.effect):
            assert effect == measured.effect == 0, measured.name
            differing.append((measured.name, str(measured.status), str(status or "none")))
    assert differing == named
    assert len(named) <= 6


@pytest.mark.parametrize(("scheme", "headers"), [("http", ""), ("https", "X-Forwarded-Proto: https\r\n")])
def test_a_redirect_is_chunked_and_goes_by_the_proxys_scheme(engine: Sandbox, scheme: str, headers: str) -> None:
    with caller_on(engine.url, engine.token) as caller:
        given = dict(line.split(": ") for line in headers.split("\r\n") if line)
        answer = caller.call("GET", "/auth/api_keys?page=2", headers={"Host": "keys.example:8443", **given})
        assert (answer.status, answer.body, answer.headers["transfer-encoding"]) == (307, b"", "chunked")
        assert answer.headers["location"] == f"{scheme}://keys.example:8443{KEYS}?page=2"


def test_its_database_may_fail(tmp_path: Path) -> None:
    database = tmp_path / "keys.db"
    with Sandbox(database=database) as sandbox, caller_on(sandbox.url, sandbox.token) as caller:
        key_id = caller.create()["id"]
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("drop table sandbox_keys")
        answers = [caller.call("GET", KEYS), caller.call("GET", f"{KEYS}{key_id}"), caller.call("POST", KEYS, {})]
        for answer in (*answers, caller.deactivate(key_id)):
            assert (answer.status, answer.detail) == (500, "Something went wrong.")


def test_it_tells_a_caller_who_that_is(caller: Caller) -> None:
    key = caller.create(roles=["TASK-ADMIN"])
    for token, name, roles in ((key["key"], key["id"], key["roles"]), (None, "master-key", ["ADMIN-KEY"])):
        answer = caller.call("GET", "/users/me", headers={"Authorization": f"Bearer {token}"} if token else None)
        assert (answer.status, answer.json["user_id"], answer.json["roles"]) == (200, name, roles)
    caller.deactivate(key["id"])
    refused = caller.call("GET", "/users/me", headers={"Authorization": f"Bearer {key['key']}"})
    assert (refused.status, refused.detail) == (401, "Unauthorized")
    with (
        Sandbox(profile="spec") as by_the_contract,
        caller_on(by_the_contract.url, by_the_contract.token) as its_caller,
    ):
        assert its_caller.call("GET", "/users/me").status == 404
