"""The sandbox as an application in another's server."""

from __future__ import annotations

import http.client
import re

import pytest
from pytest_httpserver import HTTPServer
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as WsgiClient
from werkzeug.wrappers import Response

from api_keys_client.sandbox import Fault, Sandbox
from tests.support.calling import KEYS, caller_on, sandbox_stopped, stored


class TestMounted:
    @pytest.mark.parametrize("threaded", [False, True])
    def test_in_a_pytest_httpserver(self, capfd: pytest.CaptureFixture[str], *, threaded: bool) -> None:
        sandbox = Sandbox()
        with sandbox_stopped(sandbox), HTTPServer("127.0.0.1", threaded=threaded) as server:
            server.expect_request(re.compile("/")).respond_with_handler(sandbox.respond)
            for fault in (Fault.drop(), Fault.drop(committed=True), Fault.truncated(), Fault.status(500)):
                sandbox.queue(fault)
            with caller_on(server.url_for(""), sandbox.token) as caller:
                for outcome in (ConnectionError, ConnectionError, http.client.IncompleteRead):
                    with pytest.raises(outcome):
                        caller.call("POST", KEYS, {"description": "mounted"})
                    caller.connection.close()
                assert caller.call("POST", KEYS, {}).status == 500
                key = caller.create(description="mounted")
                assert caller.call("GET", KEYS).status == 200
                assert caller.deactivate(key["id"]).status == 204
            server.check()
            assert [key.description for key in stored(sandbox)] == ["mounted"] * 3
        assert capfd.readouterr() == ("", "")

    def test_as_a_wsgi_application_whose_body_was_read_already(self) -> None:
        sandbox = Sandbox()
        with sandbox_stopped(sandbox), HTTPServer("127.0.0.1") as server:
            server.expect_request(re.compile("/")).respond_with_handler(
                lambda request: Response.from_app(sandbox.application, request.environ)
            )
            with caller_on(server.url_for(""), sandbox.token) as caller:
                assert caller.create(description="twice read")["description"] == "twice read"

    def test_under_a_prefix(self) -> None:
        sandbox = Sandbox()
        with sandbox_stopped(sandbox):
            client = WsgiClient(DispatcherMiddleware(Response("elsewhere"), {"/engine": sandbox.application}))
            headers = {"Authorization": f"Bearer {sandbox.token}"}
            assert client.get(f"/engine{KEYS}", headers=headers).json == []
            redirect = client.get("/engine/auth/api_keys", headers=headers)
            assert redirect.headers["Location"] == "http://localhost/engine/auth/api_keys/"

    def test_a_fault_of_the_socket_needs_one(self) -> None:
        sandbox = Sandbox()
        sandbox.queue(Fault.drop())
        with sandbox_stopped(sandbox), pytest.raises(RuntimeError, match="only Werkzeug's servers"):
            WsgiClient(sandbox.application).get(KEYS)
