"""`api-keys doctor` on engines that are well, and on everything else that may be at an address."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import trustme
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from api_keys_client.cli.doctor import ENGINE_VERSION, MAX_DOCUMENT_BYTES
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.cli_runs import Ran, check_silent, in_terminal, made, within

NAMES = ["address", "reachable", "tls", "token", "version", "keys", "lifetimes"]


@contextmanager
def engine_with(
    sandbox: Sandbox, document: Any = None, *, context: ssl.SSLContext | None = None
) -> Iterator[HTTPServer]:
    """The sandbox at another address, where there is a description of it too: JSON, or a function that answers."""
    with HTTPServer(host="localhost", ssl_context=context) as server:
        description = server.expect_request("/openapi.json")
        if isinstance(document, FunctionType):
            description.respond_with_handler(document)
        else:
            description.respond_with_json(document)
        server.expect_request(re.compile("/auth/")).respond_with_handler(sandbox.respond)
        yield server


@contextmanager
def nobody() -> Iterator[str]:
    """An address that refuses connections."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{free.getsockname()[1]}"


def doctor(sandbox: Sandbox | None, *options: str | Path, **variables: Any) -> Ran:
    return within(sandbox, "doctor", "--json", *options, **variables)


def checks(run: Ran) -> dict[str, tuple[str, str, str]]:
    """The state, what was found and the next step, by what was checked."""
    found = run.document["checks"]
    return {check["name"]: (check["state"], check["found"], check["next_step"] or "") for check in found}


def states(run: Ran) -> dict[str, str]:
    return {name: state for name, (state, _, _) in checks(run).items()}


def test_of_an_engine_that_is_well_everything_is_ok(engine: Sandbox) -> None:
    made(engine)
    with engine_with(engine, {"info": {"version": ENGINE_VERSION}}) as server:
        url = server.url_for("").rstrip("/")
        run = doctor(engine, API_KEYS_BASE_URL=url)
        text = within(engine, "doctor", "--base-url", url)
    assert (run.code, run.err) == (0, "")
    assert states(run) == dict.fromkeys(NAMES, "ok")
    document = run.document
    assert document.pop("checks")
    assert document == {
        "base_url": url,
        "engine_version": ENGINE_VERSION,
        "expected_engine_version": ENGINE_VERSION,
        "active_keys": 1,
    }
    lines = [line.split("\t") for line in text.out.splitlines()]
    assert [line[:2] for line in lines] == [[name, "ok"] for name in NAMES]
    assert lines[-2][2:] == ["1 active; the engine does not say how many it allows", ""]
    assert {len(line) for line in lines} == {4}


def test_the_question_for_the_version_bears_no_token_and_follows_no_redirect(engine: Sandbox) -> None:
    def lead_away(_: Request) -> Response:
        return Response(status=307, headers={"Location": "/elsewhere"})

    with engine_with(engine, lead_away) as server:
        run = doctor(engine, API_KEYS_BASE_URL=server.url_for(""))
        asked = {request.path: request.headers.get("Authorization", "") for request, _ in server.log}
    assert engine.token in asked["/auth/api_keys/"]
    assert engine.token not in asked["/openapi.json"]
    assert "/elsewhere" not in asked
    assert checks(run)["version"][:2] == (
        "unknown",
        f"not told (/openapi.json is answered 307); this program was written for {ENGINE_VERSION}",
    )
    assert run.code == 0


VERSIONS = [
    (b'{"info": {"version": "1\\u001b[31m%s"}}' % (b"2" * 100), "note", r"1\x1b[31m" + "2" * 34 + ";"),
    (b'{"info": {"version": 2}}', "unknown", "something else"),
    (b'{"info": []}', "unknown", "something else"),
    (b"[" * 200_000, "unknown", "something else"),
    (b" " * (MAX_DOCUMENT_BYTES + 1) + b'{"info": {"version": "1"}}', "unknown", "something else"),
]


def test_whatever_is_said_about_the_version_is_only_a_line(engine: Sandbox) -> None:
    answers = iter(VERSIONS)
    with engine_with(engine, lambda _: Response(next(answers)[0])) as server:
        for document, state, words in VERSIONS:
            run = doctor(engine, API_KEYS_BASE_URL=server.url_for(""))
            assert run.code == 0
            assert checks(run)["version"][0] == state, document[:40]
            assert words in checks(run)["version"][1], document[:40]


def test_a_description_that_never_ends_is_not_waited_for(engine: Sandbox) -> None:
    over = threading.Event()

    def drip(_: Request) -> Response:
        return Response(b" " for _ in iter(lambda: over.wait(0.05), True))

    with engine_with(engine, drip) as server:
        try:
            run = doctor(engine, "--timeout", "1", API_KEYS_BASE_URL=server.url_for(""))
        finally:
            over.set()
    assert (run.code, checks(run)["version"][0]) == (0, "unknown")
    assert "Timeout" in checks(run)["version"][1]


def test_a_setting_that_is_missing_or_wrong_is_told(tmp_path: Path, engine: Sandbox) -> None:
    state, found, next_step = checks(doctor(None, "--timeout", "1", API_KEYS_TOKEN="a-token"))["address"]
    assert (state, found) == ("note", "http://localhost, the default")
    assert "API_KEYS_BASE_URL" in next_step

    run = doctor(engine, API_KEYS_BASE_URL="ftp://x")
    assert (run.code, states(run)) == (2, {"settings": "failed"})

    for options in ([], ["--token-file", str(tmp_path / "none")]):
        run = doctor(engine, *options, API_KEYS_TOKEN=None)
        assert run.code == 2
        assert states(run) == dict(zip(NAMES, ["ok", "ok", "ok", "failed", "ok"], strict=False))
        assert checks(run)["token"][2] == "Set API_KEYS_TOKEN, or give --token-file FILE: the engine's admin key."

    assert checks(doctor(engine, "--allow-http"))["tls"][0] == "note"


def test_a_token_that_is_refused_ends_with_3_in_lines_that_fit(engine: Sandbox) -> None:
    run = in_terminal(engine, "doctor", columns=40, API_KEYS_TOKEN="wr0ng")
    assert run.code == 3
    assert "\x1b[1;31mfailed\x1b[0m" in run.out
    assert max(map(len, run.plain.splitlines())) <= 40
    words = " ".join(run.plain.split())
    assert "the server answered 401 Unauthorized." in words
    assert "keys minted here are not let in." in words
    check_silent(run, "wr0ng")


def test_what_does_not_answer_as_an_engine_is_not_called_reachable(engine: Sandbox) -> None:
    for fault, code, words in (
        (Fault.status(500), 1, "500"),
        (Fault.garbage(), 1, "no answer of this API"),
        (Fault.drop(), 5, "reset"),
    ):
        engine.queue(fault)
        run = doctor(engine)
        assert run.code == code
        assert checks(run)["reachable"][0] == "failed"
        assert words in checks(run)["reachable"][1]
        assert run.document["active_keys"] is None

    with nobody() as address:
        run = doctor(engine, API_KEYS_BASE_URL=f"http://{address}")
    assert (run.code, states(run)) == (5, {"address": "ok", "reachable": "failed"})
    address = engine.url.partition("://")[2]
    run = doctor(engine, API_KEYS_BASE_URL=f"https://{address}")
    assert (run.code, states(run)) == (5, {"address": "ok", "tls": "failed"})
    assert checks(run)["tls"][2] == f"This port does not speak TLS. Is the engine at http://{address}?"


def test_over_tls_it_says_whether_the_certificate_verifies_and_how_to_trust_one(
    engine: Sandbox, tmp_path: Path
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    with engine_with(engine, {"info": {"version": ENGINE_VERSION}}, context=context) as server:
        url = server.url_for("")
        distrusted = doctor(engine, API_KEYS_BASE_URL=url, SSL_CERT_FILE=None)
        trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
        other = doctor(engine, API_KEYS_BASE_URL=url, SSL_CERT_FILE=str(tmp_path / "other.pem"))
        trusted = doctor(engine, API_KEYS_BASE_URL=url, SSL_CERT_FILE=str(tmp_path / "authority.pem"))
    assert (distrusted.code, states(distrusted)) == (5, {"address": "ok", "tls": "failed"})
    _, found, next_step = checks(distrusted)["tls"]
    assert "certificate does not verify" in found
    assert "SSL_CERT_FILE=" in next_step
    assert "See that SSL_CERT_FILE holds" in checks(other)["tls"][2]
    assert (trusted.code, checks(trusted)["tls"][:2]) == (0, ("ok", "the certificate verifies"))


def test_a_proxy_that_is_in_the_way_is_named_without_its_password(engine: Sandbox) -> None:
    for name in ("HTTP_PROXY", "all_proxy"):
        with nobody() as address:
            proxy = {name: f"http://ann:pa55word@{address}"}
            run = doctor(engine, "--allow-http", "--timeout", "2", API_KEYS_BASE_URL="http://engine.test", **proxy)
        assert run.code == 5
        assert checks(run)["proxy"][:2] == ("note", f"http://{address}, from {name}")
        check_silent(run, "ann", "pa55word")
        assert "proxy" not in states(doctor(engine, **proxy))


@pytest.mark.parametrize(("limit", "state"), [(10, "note"), (100, "ok")])
def test_the_limit_is_the_one_that_the_engine_says(limit: int, state: str) -> None:
    with Sandbox(limit=limit) as sandbox:
        for _ in range(10):
            made(sandbox)
        found = checks(doctor(sandbox))
    assert found["keys"][:2] == (state, f"10 active of {limit}")
    assert found["version"][:2] == ("ok", f"{ENGINE_VERSION}, which this program was written for")
