"""Where a server's document comes from: a source that is wrong, hostile or cut off is refused in one line.

The sources are files, servers that answer, and raw sockets for what no HTTP library can be made to send.
"""

from __future__ import annotations

import gzip
import importlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.support.raw_source import MIB, Act, drip_body, drip_headers, raw_server, send_without_end, stay_silent
from tests.support.spec_sources import engine_document
from tests.support.syncing import PROJECT, Finished, Sync, project_in

SCRIPT = PROJECT / "scripts" / "sync_spec.py"
DOCUMENT = json.dumps(engine_document()).encode()


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        yield {name: importlib.import_module(name) for name in ("sync_spec", "spec_source")}


@pytest.fixture
def sync(modules: dict[str, ModuleType], root: Path, capfd: pytest.CaptureFixture[str]) -> Sync:
    """Runs the script on a source, in the root."""

    def run(source: str | Path, *options: str) -> Finished:
        code = modules["sync_spec"].main([str(source), "--root", str(root), *options])
        printed = capfd.readouterr()
        return Finished(code, printed.out, printed.err)

    return run


def measured(root: Path, source: str | Path) -> tuple[Finished, int]:
    """Run the script as a process; also the most memory that it had."""
    command = [sys.executable, str(SCRIPT), str(source), "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        output, errors = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return Finished(process.returncode, output, errors), usage.ru_maxrss * unit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project_in(tmp_path)


def assert_refused(root: Path, finished: Finished, reason: str) -> None:
    assert (finished.code, finished.output) == (1, "")
    assert finished.errors.count("\n") == 1
    assert finished.errors.startswith("sync_spec: ")
    assert reason in finished.errors
    assert (root / "openapi.json").read_bytes() == (PROJECT / "openapi.json").read_bytes()
    assert sorted(path.name for path in root.iterdir()) == ["openapi.json", "openapi.overlay.json"]


def test_a_file_is_read(sync: Sync, tmp_path: Path) -> None:
    (tmp_path / "source.json").write_bytes(DOCUMENT)
    assert sync(tmp_path / "source.json").code == 3


def test_a_server_is_asked(sync: Sync, httpserver: HTTPServer) -> None:
    asked = []

    def answer(request: Request) -> Response:
        asked.append(dict(request.headers))
        return Response(DOCUMENT, content_type="application/json")

    httpserver.expect_oneshot_request("/openapi.json", method="GET").respond_with_handler(answer)
    finished = sync(httpserver.url_for("/openapi.json"))
    assert finished.code == 3
    assert "TENANT-USER" in finished.output
    assert asked[0]["Accept"] == "application/json"
    assert "Authorization" not in asked[0]


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><title>Docs</title>", b"\n  <html></html>"])
def test_a_page_is_refused(sync: Sync, root: Path, tmp_path: Path, httpserver: HTTPServer, content: bytes) -> None:
    (tmp_path / "source.html").write_bytes(content)
    assert_refused(root, sync(tmp_path / "source.html"), "is a page, not JSON")
    httpserver.expect_request("/docs").respond_with_data(content, content_type="application/json")
    assert_refused(root, sync(httpserver.url_for("/docs")), "is a page, not JSON")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (DOCUMENT[:-10], "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"openapi: 3.1.0\n", "not JSON"),
        (DOCUMENT.replace(b'"default": []', b'"default": [NaN]'), "NaN is no number"),
        (b"[]", "not an OpenAPI 3.1 document"),
        (b'{"swagger": "2.0"}', "not an OpenAPI 3.1 document"),
        (b'{"openapi": 3.1}', "not an OpenAPI 3.1 document"),
        (DOCUMENT.replace(b'"openapi": "3.1.0"', b'"openapi": "3.0.3"'), "not an OpenAPI 3.1 document"),
    ],
)
def test_what_is_no_document_is_refused(sync: Sync, root: Path, tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "source.json").write_bytes(content)
    assert_refused(root, sync(tmp_path / "source.json"), reason)


def test_a_file_that_is_not_there_is_refused(sync: Sync, root: Path, tmp_path: Path) -> None:
    assert_refused(root, sync(tmp_path / "nowhere.json"), f"cannot read {tmp_path / 'nowhere.json'}: no such file")
    assert_refused(root, sync(tmp_path), "is a directory")


@pytest.mark.parametrize("status", [204, 304, 401, 404, 500])
def test_another_status_than_200_is_refused(sync: Sync, root: Path, httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/openapi.json").respond_with_data(DOCUMENT, status=status)
    assert_refused(root, sync(httpserver.url_for("/openapi.json")), f"the source answered {status}")


def test_no_server_is_refused(sync: Sync, root: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    assert_refused(root, sync(f"http://127.0.0.1:{port}/openapi.json"), "cannot be fetched")


@pytest.mark.parametrize("url", ["http://", "http://[::1", "https://127.0.0.1:99999/"])
def test_a_url_that_is_none_is_refused(sync: Sync, root: Path, url: str) -> None:
    assert_refused(root, sync(url), "sync_spec: ")


def test_redirects_are_followed_to_an_end(sync: Sync, root: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/circle").respond_with_data(status=307, headers={"Location": "/circle"})
    assert_refused(root, sync(httpserver.url_for("/circle")), "too many redirects")
    httpserver.expect_request("/old").respond_with_data(status=301, headers={"Location": "/new/openapi.json"})
    httpserver.expect_request("/new/openapi.json").respond_with_data(DOCUMENT)
    assert sync(httpserver.url_for("/old")).code == 3


def test_compressed_content_is_read_within_the_limit(sync: Sync, root: Path, httpserver: HTTPServer) -> None:
    headers = {"Content-Encoding": "gzip"}
    httpserver.expect_request("/bomb").respond_with_data(gzip.compress(b" " * 100 * MIB, 1), headers=headers)
    assert_refused(root, sync(httpserver.url_for("/bomb")), "larger than 32 MiB")
    httpserver.expect_request("/openapi.json").respond_with_data(gzip.compress(DOCUMENT), headers=headers)
    assert sync(httpserver.url_for("/openapi.json")).code == 3


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: %d\r\n\r\n" % (len(DOCUMENT) + 1), b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(DOCUMENT)],
    ids=["length", "chunked"],
)
def test_a_truncated_download_is_refused(sync: Sync, root: Path, head: bytes) -> None:
    # What did come is a whole document: only the framing tells that something is missing.
    with raw_server(lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + DOCUMENT)) as url:
        assert_refused(root, sync(url), "cannot be fetched")


@pytest.mark.skipif(sys.platform == "win32", reason="memory is asked for in the way of POSIX")
def test_more_than_32_mib_are_refused_in_bounded_memory(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.json"
    source.write_bytes(b"{}")
    _, usual = measured(root, source)
    with raw_server(send_without_end) as url:
        finished, memory = measured(root, url)
    assert_refused(root, finished, "larger than 32 MiB")
    assert memory - usual < 128 * MIB

    with source.open("r+b") as file:
        file.truncate(1024 * MIB)
    finished, memory = measured(root, source)
    assert_refused(root, finished, "larger than 32 MiB")
    assert memory - usual < 128 * MIB


def test_32_mib_are_read(sync: Sync, tmp_path: Path) -> None:
    (tmp_path / "source.json").write_bytes(DOCUMENT.ljust(32 * MIB))
    assert sync(tmp_path / "source.json").code == 3


@pytest.mark.parametrize("act", [drip_body, drip_headers, stay_silent])
def test_the_whole_answer_has_a_time(sync: Sync, root: Path, act: Act) -> None:
    with raw_server(act) as url:
        assert_refused(root, sync(url, "--timeout", "0.5"), "no whole answer within 0.5 s")


def test_what_a_server_writes_does_not_get_at_the_terminal(sync: Sync, tmp_path: Path) -> None:
    document: dict[str, Any] = engine_document()
    document["paths"]["/auth/api_keys/"]["get"]["operationId"] = "\x1b]0;owned\x07\n2"
    (tmp_path / "source.json").write_text(json.dumps(document), encoding="utf-8")
    finished = sync(tmp_path / "source.json")
    assert finished.code == 4
    assert "owned" in finished.output
    assert "\x1b" not in finished.output
    assert "\n2" not in finished.output
