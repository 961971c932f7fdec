"""From a server's document to `openapi.json`: what is read, kept, reported and written, and what is refused."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.support.pages import PROJECT
from tests.support.scripts import (
    CHECKED_IN,
    Json,
    changed_document,
    engine_document,
    fields,
    importing,
    json_content,
    list_of,
    operation,
    ref,
    schemas,
    with_new_role,
)

with importing("sync_spec") as script:
    pass

GUIDE = PROJECT / "docs" / "guides" / "spec-changes.md"
DOCUMENT = json.dumps(changed_document()).encode()
NEW_ROLE = "added enum value APIKeysRolesEnum: NEW-ROLE"
GET = "get_api_key_auth_api_keys__api_key_id__get"


class Finished(NamedTuple):
    """What a run of the script came to."""

    code: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """The changes, as the report for people has them."""
        return [line.strip() for line in self.output.splitlines() if line.startswith("  ")]


class Sync:
    """Runs the script on documents, in a folder with what it needs of a project."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        self.contract = self.root / "openapi.json"
        self.contract.write_bytes(CHECKED_IN)
        (self.root / "openapi.overlay.json").write_bytes((PROJECT / "openapi.overlay.json").read_bytes())
        self._source = folder / "source.json"
        self._capture = capture

    def __call__(self, document: Json | bytes, *options: str) -> Finished:
        self._source.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        return self.run(self._source, *options)

    def run(self, source: str | Path, *options: str) -> Finished:
        code = script.main([str(source), "--root", str(self.root), *options])
        printed = self._capture.readouterr()
        return Finished(code, printed.out, printed.err)

    def assert_refused(self, finished: Finished, reason: str) -> None:
        """It failed with one line, and changed nothing."""
        assert finished.code == 1
        assert finished.errors.count("\n") == 1
        assert finished.errors.startswith("sync_spec: ")
        assert reason in finished.errors
        assert self.contract.read_bytes() == CHECKED_IN
        assert sorted(path.name for path in self.root.iterdir()) == ["openapi.json", "openapi.overlay.json"]


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
        (b"[]", "not an OpenAPI document"),
        (b'{"swagger": "2.0"}', "not an OpenAPI 3.1 document"),
        (DOCUMENT.ljust(32 * 1024**2 + 1), "larger than 32 MiB"),
    ],
    ids=["page", "cut", "list", "swagger", "large"],
)
def test_what_is_no_document_is_refused(sync: Sync, content: bytes, reason: str, httpserver: HTTPServer) -> None:
    sync.assert_refused(sync(content), reason)
    httpserver.expect_request("/openapi.json").respond_with_data(content)
    sync.assert_refused(sync.run(httpserver.url_for("/openapi.json")), reason)


def test_a_source_that_cannot_be_had_is_refused(sync: Sync, tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/secret").respond_with_data(DOCUMENT, status=401)
    httpserver.expect_request("/circle").respond_with_data(status=307, headers={"Location": "/circle"})
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        nobody = f"http://127.0.0.1:{listening.getsockname()[1]}/openapi.json"
    for source, reason in {
        str(tmp_path / "nowhere.json"): "No such file",
        httpserver.url_for("/secret"): "the source answered 401",
        httpserver.url_for("/circle"): "too many redirects",
        nobody: "cannot be fetched",
        "http://[::1": "cannot be fetched",
    }.items():
        sync.assert_refused(sync.run(source), reason)


# What comes is a whole document, too short for its length only; or a byte now and then.
CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(DOCUMENT) + 1, DOCUMENT)
DRIPPING = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "drops", "reason"),
    [(CUT_OFF, 0, "cannot be fetched"), (DRIPPING, 500, "no whole answer within 0.5 s")],
    ids=["cut off", "dripping"],
)
def test_a_download_that_does_not_end_well_is_refused(sync: Sync, answer: bytes, drops: int, reason: str) -> None:
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with closing(connection), suppress(OSError):
            connection.recv(65536)
            connection.sendall(answer)
            for _ in range(drops):
                if not ended.wait(0.02):
                    connection.sendall(b" ")

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
    document = changed_document()
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
    problem = {"description": "Problem", **json_content(ref("ValidationError"))}
    document["components"]["responses"] = {"Problem": problem}
    document["paths"]["/auth/api_keys/"]["get"]["responses"]["422"] = {"$ref": "#/components/responses/Problem"}
    assert any(line.startswith("added field ApiKeyResponse.owner: ") for line in sync(document).lines)
    kept = json.loads(sync.contract.read_bytes())["components"]
    new = {"Owner", "Person", "Team", "Company", "Board"}
    assert kept["schemas"].keys() == json.loads(CHECKED_IN)["components"]["schemas"].keys() | new
    assert kept["responses"].keys() == {"Problem"}
    assert kept["securitySchemes"].keys() == {"API Key"}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda made: fields(made).update(owner=ref("Ow\x1b[2J\nner")), "#/components/schemas/Ow [2J ner, which"),
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
    assert removed.pop("before")["place"] == added["after"]["place"] == "GET /auth/api_keys/{api_key_id}"
    assert removed == {"kind": "removed", "what": "operation", "subject": GET, "breaking": True, "after": None}
    assert (added["kind"], added["breaking"], role["after"]) == ("added", False, "NEW-ROLE")
    failed = sync({}, "--json")
    reason = failed.errors.removeprefix("sync_spec: ").strip()
    assert json.loads(failed.output) == {"result": "failed", "error": reason, "changes": []}
