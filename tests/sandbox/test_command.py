"""The sandbox as a process of its own: its options, what it prints, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from api_keys_client.sandbox import Sandbox
from tests.support.calling import KEYS, PATIENCE, address, caller_on, head_of


class Process:
    """The command line as a child process."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        unwanted = {"API_KEYS_TOKEN", "BEARER_TOKEN", "PYTHONUNBUFFERED"}
        clean = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "api_keys_client.sandbox", *arguments],
            env=clean | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ready(self) -> tuple[str, str]:
        """Its base URL, and all that it printed up to then."""
        assert self.process.stdout
        printed = ""
        for line in self.process.stdout:
            printed += line
            if match := re.fullmatch(r"Ready: (http://\S+)\n", line):
                return match[1], printed
        raise AssertionError(f"it ended instead: {printed}{self.end()}")

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        if number is not None:
            self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors


class TestCommandLine:
    def test_makes_up_a_token_and_prints_it(self) -> None:
        with Process() as process:
            url, printed = process.ready()
            assert "development and tests only" in printed
            match = re.search(r"^export API_KEYS_TOKEN=(\S{32,})$", printed, re.MULTILINE)
            assert match
            with caller_on(url, match[1]) as caller:
                caller.create()
            assert process.end(signal.SIGTERM) == (0, "", "")

    @pytest.mark.parametrize(
        "environment",
        [
            {"API_KEYS_TOKEN": "sesame"},
            {"BEARER_TOKEN": "sesame"},
            {"API_KEYS_TOKEN": "sesame", "BEARER_TOKEN": "other"},
            {"API_KEYS_TOKEN": "", "BEARER_TOKEN": "sesame"},
        ],
    )
    def test_takes_the_token_of_the_environment_and_does_not_print_it(self, environment: dict[str, str]) -> None:
        with Process(**environment) as process:
            url, printed = process.ready()
            assert f"export API_KEYS_BASE_URL={url}\n" in printed
            assert "TOKEN" not in printed
            assert "sesame" not in printed
            with caller_on(url, "sesame") as caller:
                caller.create()
            assert process.end(signal.SIGINT) == (0, "", "")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ends_cleanly_while_a_request_is_in_flight(self, number: signal.Signals) -> None:
        with Process(API_KEYS_TOKEN="sesame") as process:
            url, _ = process.ready()
            with (
                caller_on(url, "sesame") as idle,
                socket.create_connection(address(url), PATIENCE) as connection,
            ):
                idle.create()
                connection.sendall(head_of("POST", KEYS, "sesame", "Content-Length: 2\r\n") + b"{")
                idle.create()
                assert process.end(number) == (0, "", "")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_a_file_survives(self, tmp_path: Path, number: signal.Signals) -> None:
        database = tmp_path / "keys.db"
        with Process("--db", str(database), API_KEYS_TOKEN="sesame") as process:
            url, _ = process.ready()
            with caller_on(url, "sesame") as caller:
                key = caller.create(description="kept")
            process.end(number)
        with Process("--db", str(database), API_KEYS_TOKEN="sesame") as process:
            url, _ = process.ready()
            with caller_on(url, "sesame") as caller:
                assert caller.list_ids() == [key["id"]]
        assert key["key"].encode() not in database.read_bytes()

    def test_takes_profile_limit_port_and_host(self, engine: Sandbox) -> None:
        port = address(engine.url)[1]
        engine.stop()
        options = ["--profile", "spec", "--limit", "1", "--port", str(port), "--host", "localhost"]
        with Process(*options, API_KEYS_TOKEN="sesame") as process:
            url, _ = process.ready()
            assert url == f"http://127.0.0.1:{port}"
            with caller_on(url, "sesame") as caller:
                key = caller.create()
                assert caller.call("POST", KEYS, {}).status == 400
                assert caller.deactivate(key["id"]).status == 200

    def test_a_port_in_use_is_one_line(self, engine: Sandbox) -> None:
        with Process("--port", str(address(engine.url)[1])) as process:
            self.is_one_line(process.end(), "in use", code=1)

    @pytest.mark.parametrize("content", [b"This is a letter. " * 100, None])
    def test_an_unusable_database_is_one_line(self, tmp_path: Path, content: bytes | None) -> None:
        database = tmp_path / "folder" / "keys.db"
        if content is not None:
            database.parent.mkdir()
            database.write_bytes(content)
        with Process("--db", str(database)) as process:
            self.is_one_line(process.end(), str(database))

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_a_host_that_is_not_loopback_is_one_line(self, host: str) -> None:
        with Process("--host", host) as process:
            self.is_one_line(process.end(), "loopback")

    def test_an_unusable_token_is_one_line_without_it(self) -> None:
        with Process(API_KEYS_TOKEN="open sesame") as process:
            code, output, errors = process.end()
            self.is_one_line((code, output, errors), "token")
            assert "sesame" not in errors

    @pytest.mark.parametrize("typed", [["s3cret-t0ken"], ["--port", "s3cret-t0ken"], ["--profile=s3cret-t0ken"]])
    def test_what_was_typed_in_a_wrong_place_is_not_repeated(self, typed: list[str]) -> None:
        with Process(*typed) as process:
            code, output, errors = process.end()
        assert (code, output) == (2, "")
        assert "error: " in errors
        assert "s3cret" not in errors

    def test_a_missing_werkzeug_is_one_line(self) -> None:
        hidden = "import runpy, sys; sys.modules['werkzeug'] = None"
        code = f"{hidden}; runpy._run_module_as_main('api_keys_client.sandbox')"
        finished = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
        assert (finished.returncode, finished.stdout) == (1, "")
        assert "pip install 'api-keys-client[sandbox]'" in finished.stderr
        assert finished.stderr.count("\n") == 1

    def is_one_line(self, end: tuple[int, str, str], problem: str, *, code: int = 2) -> None:
        ended_with, output, errors = end
        assert (ended_with, output) == (code, "")
        assert errors.startswith("sandbox: ")
        assert problem in errors
        assert errors.count("\n") == 1
