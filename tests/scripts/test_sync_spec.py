"""From a server's document to `openapi.json`: what is read, kept, reported and written, and what is refused."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.support.spec_sources import (
    CHECKED_IN,
    PROJECT,
    Json,
    changed_document,
    engine_document,
    fields,
    json_content,
    large_document,
    list_of,
    operation,
    ref,
    schemas,
    with_new_role,
)
from tests.support.syncing import Sync

GUIDE = PROJECT / "docs" / "guides" / "spec-changes.md"
DOCUMENT = json.dumps(changed_document()).encode()
NEW_ROLE = "added enum value APIKeysRolesEnum: NEW-ROLE"
GET = "get_api_key_auth_api_keys__api_key_id__get"


@pytest.fixture
def sync(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Sync:
    return Sync(tmp_path, capfd)


def test_the_engines_document_is_ours_until_it_changes(sync: Sync) -> None:
    assert sync(engine_document(), "--check") == (0, "No changes.\n", "")
    checked = sync(changed_document(), "--check")
    assert (checked.code, checked.lines, checked.errors) == (3, [NEW_ROLE], "")
    assert sync.contract.read_bytes() == CHECKED_IN
    finished = sync(changed_document())
    assert (finished.code, finished.lines) == (3, [NEW_ROLE])
    assert sync.contract.read_bytes() == with_new_role()
    assert sync(changed_document()) == (0, "No changes.\n", "")
    # Our own contract, which is no server's document.
    ours = sync.run(sync.contract, "--check")
    assert (ours.code, ours.errors) == (0, "")
    assert ours.output.startswith("This is openapi.json, our own contract")


def test_a_server_is_asked_without_a_token(sync: Sync, httpserver: HTTPServer) -> None:
    asked = []

    def answer(request: Request) -> Response:
        asked.append(dict(request.headers))
        return Response(DOCUMENT)

    httpserver.expect_request("/old").respond_with_data(status=301, headers={"Location": "/openapi.json"})
    httpserver.expect_request("/openapi.json", method="GET").respond_with_handler(answer)
    assert sync.run(httpserver.url_for("/old")).lines == [NEW_ROLE]
    assert "Authorization" not in asked[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\n  <html></html>", "is a page, not JSON"),
        (DOCUMENT[:-10], "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an OpenAPI document"),
        (b'{"swagger": "2.0"}', "not an OpenAPI 3.1 document"),
        (DOCUMENT.ljust(32 * 1024**2 + 1), "larger than 32 MiB"),
    ],
    ids=["page", "cut", "deep", "list", "swagger", "large"],
)
def test_what_is_no_document_is_refused(sync: Sync, content: bytes, reason: str, httpserver: HTTPServer) -> None:
    sync.assert_refused(sync(content), reason)
    httpserver.expect_request("/openapi.json").respond_with_data(content)
    sync.assert_refused(sync.run(httpserver.url_for("/openapi.json")), reason)


def test_a_source_that_cannot_be_had_is_refused(sync: Sync, tmp_path: Path, httpserver: HTTPServer) -> None:
    sync.assert_refused(sync.run(tmp_path / "nowhere.json"), "No such file")
    httpserver.expect_request("/secret").respond_with_data(DOCUMENT, status=401)
    sync.assert_refused(sync.run(httpserver.url_for("/secret")), "the source answered 401")
    httpserver.expect_request("/circle").respond_with_data(status=307, headers={"Location": "/circle"})
    sync.assert_refused(sync.run(httpserver.url_for("/circle")), "too many redirects")
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    sync.assert_refused(sync.run(f"http://127.0.0.1:{port}/openapi.json"), "cannot be fetched")
    sync.assert_refused(sync.run("http://[::1"), "cannot be fetched")


def dripping(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(500):
        if not ended.wait(0.02):
            connection.sendall(b" ")


def silent(connection: socket.socket, ended: threading.Event) -> None:
    ended.wait()


def cut_off(connection: socket.socket, ended: threading.Event) -> None:
    # What did come is a whole document: only its length tells that something is missing.
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(DOCUMENT) + 1, DOCUMENT))


def cut_off_in_chunks(connection: socket.socket, ended: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s" % (len(DOCUMENT), DOCUMENT))


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (dripping, "no whole answer within 0.5 s"),
        (silent, "Read timed out"),
        (cut_off, "cannot be fetched"),
        (cut_off_in_chunks, "cannot be fetched"),
    ],
)
def test_a_download_that_does_not_end_well_is_refused(sync: Sync, act: Any, reason: str) -> None:
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with closing(connection):
            connection.recv(65536)
            try:
                act(connection, ended)
            except OSError:
                # The client has gone, as it should.
                return

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            finished = sync.run(f"http://127.0.0.1:{listening.getsockname()[1]}/", "--timeout", "0.5")
        finally:
            ended.set()
            thread.join()
    sync.assert_refused(finished, reason)


def test_nothing_is_kept_but_ours_and_what_ours_refers_to(sync: Sync) -> None:
    document = large_document(150, 400)
    document["paths"]["/auth/api_keys/"]["get"]["tags"] = ["Admin", "API Keys"]
    document["tags"] = [{"name": "API Keys", "description": "Theirs"}]
    document["servers"] = [{"url": "https://engine.example"}]
    document["webhooks"] = {"made": {"post": operation("made", answer={})}}
    schemas(document)["Rule"]["properties"]["more"] = {"$ref": "other.json"}
    assert sync(document).lines == [NEW_ROLE]
    assert sync.contract.read_bytes() == with_new_role()


def test_chains_and_circles_of_references_are_followed(sync: Sync) -> None:
    document = engine_document()
    fields(document)["owner"] = {"anyOf": [ref("Owner"), {"type": "null"}], "title": "Owner"}
    schemas(document).update(
        Owner={"allOf": [ref("Person"), {"type": "object", "properties": {"keys": list_of("ApiKeyResponse")}}]},
        Person={"type": "object", "properties": {"team": {"oneOf": [ref("Team"), ref("Company")]}}},
        Team={"type": "object", "additionalProperties": ref("Owner")},
        Company={
            "type": "object",
            "properties": {"kind": {"type": "string"}, "mapping": {"type": "string"}, "security": {"type": "string"}},
            "discriminator": {"propertyName": "kind", "mapping": {"a": "#/components/schemas/Board"}},
        },
        Board={"type": "object", "properties": {"parent": ref("Board")}},
        Unused={"type": "object", "properties": {"owner": ref("Owner"), "next": ref("Unused")}},
    )
    document["components"]["responses"] = {
        "Problem": {"description": "Problem", **json_content(ref("ValidationError"))}
    }
    document["paths"]["/auth/api_keys/"]["get"]["responses"]["422"] = {"$ref": "#/components/responses/Problem"}
    finished = sync(document)
    assert finished.code == 3
    assert any(line.startswith("added field ApiKeyResponse.owner: ") for line in finished.lines)
    kept = json.loads(sync.contract.read_bytes())["components"]
    new = {"Owner", "Person", "Team", "Company", "Board"}
    assert kept["schemas"].keys() == json.loads(CHECKED_IN)["components"]["schemas"].keys() | new
    assert kept["responses"].keys() == {"Problem"}
    assert kept["securitySchemes"].keys() == {"API Key"}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            lambda made: fields(made).update(owner=ref("Ow\x1b[2J\nner")),
            "#/components/schemas/Ow [2J ner, which",
        ),
        (lambda made: fields(made).update(owner={"$ref": "{server}"}), "only its own components are followed"),
        (
            lambda made: fields(made)["id"].update(discriminator={"propertyName": "id", "mapping": {"a": "b.json"}}),
            "the source refers to 'b.json'",
        ),
        (lambda made: made["components"].pop("securitySchemes"), "#/components/securitySchemes/API Key"),
        (lambda made: made.update(paths=[]), "the source has no operations tagged 'API Keys'"),
        (lambda made: fields(made)["id"].update(type="text"), "the result is not OpenAPI 3.1: "),
    ],
)
def test_a_document_that_is_broken_is_refused(
    sync: Sync, edit: Callable[[Json], object], reason: str, httpserver: HTTPServer
) -> None:
    document = engine_document()
    edit(document)
    sync.assert_refused(sync(json.dumps(document).replace("{server}", httpserver.url_for("/")).encode()), reason)
    assert httpserver.log == []


@pytest.mark.parametrize("content", [b"[]", b"<<<<<<< ours\n"])
def test_a_checked_in_document_that_is_broken_is_named(sync: Sync, content: bytes) -> None:
    sync.contract.write_bytes(content)
    finished = sync(engine_document())
    assert finished.code == 1
    assert finished.errors.startswith("sync_spec: openapi.json is not ")
    assert sync.contract.read_bytes() == content


def test_the_servers_order_changes_nothing(sync: Sync) -> None:
    def turned_around(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: value[::-1] if key == "required" and isinstance(value, list) else turned_around(value)
                for key, value in reversed(node.items())
            }
        return [turned_around(item) for item in node] if isinstance(node, list) else node

    assert sync(turned_around(engine_document())).code == 0
    assert sync(turned_around(changed_document())).code == 3
    assert sync.contract.read_bytes() == with_new_role()


def test_a_new_role_gets_its_name_and_one_that_is_gone_breaks(sync: Sync) -> None:
    document = engine_document()
    schemas(document)["APIKeysRolesEnum"]["enum"].insert(2, "NEW-ROLE")
    finished = sync(document)
    assert (finished.code, finished.lines) == (3, [NEW_ROLE])
    roles = schemas(json.loads(sync.contract.read_bytes()))["APIKeysRolesEnum"]
    assert roles["x-enum-varnames"] == [role.replace("-", "_") for role in roles["enum"]]
    finished = sync(engine_document())
    assert (finished.code, finished.lines) == (4, ["removed enum value APIKeysRolesEnum: NEW-ROLE"])


def test_a_field_that_is_gone_is_told_although_the_overlay_no_longer_fits(sync: Sync) -> None:
    document = engine_document()
    del fields(document)["is_active"]
    schemas(document)["ApiKeyResponse"]["required"].remove("is_active")
    finished = sync(document)
    target = "$.components.schemas.ApiKeyResponse.properties.is_active\n"
    sync.assert_refused(finished, f"the server has moved: {target}")
    assert finished.lines[0] == "removed required field ApiKeyResponse: is_active"
    assert finished.lines[1].startswith("removed field ApiKeyResponse.is_active: ")


def test_the_guide_shows_what_the_script_prints(sync: Sync) -> None:
    document = changed_document()
    document["paths"]["/auth/api_keys/"]["get"]["parameters"] = [
        {"name": "tenant", "in": "query", "required": True, "schema": {"type": "string"}}
    ]
    finished = sync(document)
    assert finished.code == 4
    assert finished.output in GUIDE.read_text(encoding="utf-8")


def test_the_report_as_json(sync: Sync) -> None:
    document = changed_document()
    document["paths"]["/auth/api_keys/{api_key_id}"]["get"]["operationId"] = "\x1b]0;owned\x07"
    shown = sync(document, "--check")
    assert (shown.code, "\x1b" in shown.output, "owned" in shown.output) == (4, False, True)
    finished = sync(document, "--json", "--check")
    assert (finished.code, finished.errors) == (4, "")
    report = json.loads(finished.output)
    assert (report["result"], report["error"]) == ("breaking", None)
    removed, added, role = report["changes"]
    assert removed["before"].pop("place") == added["after"]["place"] == "GET /auth/api_keys/{api_key_id}"
    what = {"kind": "removed", "what": "operation", "subject": GET, "breaking": True}
    assert {key: value for key, value in removed.items() if key != "before"} == {**what, "after": None}
    assert (added["kind"], added["breaking"], role["after"]) == ("added", False, "NEW-ROLE")
    failed = sync({}, "--json")
    assert failed.code == 1
    reason = failed.errors.removeprefix("sync_spec: ").strip()
    assert json.loads(failed.output) == {"result": "failed", "error": reason, "changes": []}
