"""Where the token comes from: a function, a file that changes, a command; and the one call more after a 401."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from api_keys_client import (
    ApiKeysClient,
    AsyncApiKeysClient,
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    tokens,
)
from api_keys_client.sandbox import Sandbox
from tests.support.clients import Connect, requests
from tests.support.tasks import run

both = pytest.mark.parametrize("driver", ["sync", "async"])
SECRET = "s3cret-of-the-engine"


def printing(code: str, **options: Any) -> tokens.TokenReader:
    """A command of Python's."""
    return tokens.command([sys.executable, "-c", code], **options)


class Tokens:
    """A function that gives one token after the other, and the last again and again."""

    def __init__(self, *given: str) -> None:
        self.given = [*given]
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.given.pop(0) if len(self.given) > 1 else self.given[0]


class TestAfterA401:
    @both
    def test_a_new_token_is_tried_once(self, sandbox: Sandbox, connect: Connect) -> None:
        source = Tokens("old", sandbox.token)
        client = connect(sandbox.url, token=source, max_attempts=1)
        assert client.create("ci").is_active
        assert (source.asked, requests(sandbox)) == (2, ["create", "create"])
        assert [key.description for key in sandbox.keys()] == ["ci"]

    @both
    def test_the_same_token_is_not_tried_again(self, sandbox: Sandbox, connect: Connect) -> None:
        source = Tokens("old")
        client = connect(sandbox.url, token=source)
        with pytest.raises(AuthenticationError) as caught:
            client.list()
        assert (source.asked, requests(sandbox), caught.value.attempts) == (2, ["list"], 1)

    def test_a_third_token_is_not_asked_for(self, sandbox: Sandbox, connect: Connect) -> None:
        source = Tokens("first", "second", sandbox.token)
        with pytest.raises(AuthenticationError):
            connect(sandbox.url, token=source).list()
        assert (source.asked, requests(sandbox)) == (2, ["list", "list"])

    @both
    def test_a_source_that_fails_says_so(self, sandbox: Sandbox, connect: Connect) -> None:
        given = iter(["old"])
        with pytest.raises(ConfigurationError, match=r"raised StopIteration.*No key was changed") as caught:
            connect(sandbox.url, token=lambda: next(given)).create("ci")
        assert (caught.value.attempts, requests(sandbox)) == (1, ["create"])

    def test_a_view_and_a_rotation_do_the_same(self, sandbox: Sandbox, connect: Connect) -> None:
        client = connect(sandbox.url, token=Tokens("old", sandbox.token))
        old = client.create("ci")
        view = client.with_options(token=Tokens("old", sandbox.token))
        assert view.rotate(old.id, store=lambda _: None).old.id == old.id


class TestAnAsyncFunction:
    @pytest.mark.parametrize("wrap", [str, SecretStr])
    def test_is_awaited(self, engine: Sandbox, wrap: Callable[[str], Any]) -> None:
        given = iter(["old", engine.token])

        async def source() -> Any:
            await asyncio.sleep(0)
            return wrap(next(given))

        async def main() -> None:
            async with AsyncApiKeysClient(engine.url, token=source) as client:
                assert await client.list() == []

        run(main())

    def test_is_refused_by_the_sync_client(self) -> None:
        async def source() -> str:
            return SECRET

        with pytest.raises(ConfigurationError, match="this one is async"):
            ApiKeysClient(token=source)
        with pytest.raises(ConfigurationError, match="this one is async"):
            ApiKeysClient(token=SECRET).with_options(token=source)

    def test_that_never_ends_ends_with_the_deadline(self, engine: Sandbox) -> None:
        async def source() -> str:
            await asyncio.Event().wait()
            return SECRET

        async def main() -> None:
            async with AsyncApiKeysClient(engine.url, token=source, deadline=0.2, max_attempts=1) as client:
                with pytest.raises(ConfigurationError, match="TimeoutError"):
                    await client.list()

        run(main())
        assert requests(engine) == []


class TestAFile:
    @both
    def test_is_read_again_when_it_changes(self, sandbox: Sandbox, connect: Connect, tmp_path: Path) -> None:
        place = tmp_path / "token"
        place.write_text("old", encoding="utf-8")
        client = connect(sandbox.url, token=tokens.file(place))
        with pytest.raises(AuthenticationError):
            client.list()
        place.write_text(f"\ufeff  {sandbox.token}\r\n\n", encoding="utf-8")
        assert client.list() == []
        assert requests(sandbox) == ["list", "list"]

    def test_that_another_takes_the_place_of_is_read_again(self, tmp_path: Path) -> None:
        """As Kubernetes changes what it mounts: by a symlink that points elsewhere."""
        for name in ("one", "two"):
            (tmp_path / name).write_text(name)
        place = tmp_path / "token"
        place.symlink_to("one")
        reader = tokens.file(place)
        assert reader().get_secret_value() == "one"
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(place)
        assert reader().get_secret_value() == "two"

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"", "empty"),
            (b"one\ntwo\n", "more than one line"),
            (b"s3cret\xff", "no UTF-8"),
            (b"s" * (64 * 1024 + 1), "longer than 64 KiB"),
            (b"s3cret s3cret", "holds a space"),
            (None, "No such file or directory"),
        ],
    )
    def test_that_holds_no_token_sends_nothing(
        self, sandbox: Sandbox, connect: Connect, tmp_path: Path, content: bytes | None, problem: str
    ) -> None:
        place = tmp_path / "token"
        if content is not None:
            place.write_bytes(content)
        with pytest.raises(ConfigurationError, match=problem) as caught:
            connect(sandbox.url, token=tokens.file(place)).list()
        assert "s3cret" not in str(caught.value)
        assert requests(sandbox) == []


class TestACommand:
    @both
    def test_gives_the_line_that_it_prints(self, sandbox: Sandbox, connect: Connect, tmp_path: Path) -> None:
        asked = tmp_path / "asked"
        code = f"open({str(asked)!r}, 'a').write('x'); print({sandbox.token!r})"
        client = connect(sandbox.url, token=printing(code))
        assert [client.list(), client.list()] == [[], []]
        assert asked.read_text() == "x"
        again = connect(sandbox.url, token=printing(code, ttl=0))
        assert [again.list(), again.list()] == [[], []]
        assert asked.read_text() == "xxx"

    @both
    def test_is_asked_again_after_a_401(self, sandbox: Sandbox, connect: Connect, tmp_path: Path) -> None:
        place = tmp_path / "token"
        place.write_text("old")
        client = connect(sandbox.url, token=printing(f"print(open({str(place)!r}).read())"))
        with pytest.raises(AuthenticationError):
            client.list()
        place.write_text(sandbox.token)
        assert client.list() == []
        assert requests(sandbox) == ["list", "list", "list"]

    @pytest.mark.parametrize(
        ("code", "problem"),
        [
            ("import time; time.sleep(60)", "was ended after 0.5 seconds"),
            ("import os, time; os.fork() or time.sleep(6); print('one line')", "holds a space"),
            ("", "empty"),
            ("print('s' * 1024 * 1024)", "longer than 64 KiB"),
            ("import sys; sys.stdout.buffer.write(b's3cret\\xff')", "no UTF-8"),
            ("import sys; print('s3 s3cret-1'); sys.exit('s3cret-1 is sealed')", r"ended with 1: \[secret\] is sealed"),
            ("import sys; sys.stderr.write('x' * 1024 * 1024); sys.exit(3)", "ended with 3: x{2000}[.]"),
            ("import sys; sys.stderr.buffer.write(b'\\xff\\x1b[31m'); sys.exit(3)", r"ended with 3: \[31m\."),
        ],
    )
    def test_that_gives_no_token_sends_nothing(
        self, sandbox: Sandbox, connect: Connect, code: str, problem: str
    ) -> None:
        began = time.monotonic()
        with pytest.raises(ConfigurationError, match=problem) as caught:
            connect(sandbox.url, token=printing(code, timeout=0.5 if "60" in code else 30)).list()
        assert time.monotonic() - began < 20
        assert "s3cret" not in str(caught.value)
        assert requests(sandbox) == []

    def test_that_is_not_there_sends_nothing(self, sandbox: Sandbox, connect: Connect, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="could not be started: No such file"):
            connect(sandbox.url, token=tokens.command([str(tmp_path / "none")])).list()
        assert requests(sandbox) == []

    def test_has_no_token_in_its_environment(
        self, sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("API_KEYS_TOKEN", SECRET)
        monkeypatch.setenv("BEARER_TOKEN", SECRET)
        code = f"import os; print('' if {SECRET!r} in os.environ.values() else {sandbox.token!r})"
        assert connect(sandbox.url, token=printing(code)).list() == []

    def test_runs_once_for_all_threads(self, engine: Sandbox, tmp_path: Path) -> None:
        asked = tmp_path / "asked"
        code = f"import time; open({str(asked)!r}, 'a').write('x'); time.sleep(0.2); print({engine.token!r})"
        with ApiKeysClient(engine.url, token=printing(code)) as client, ThreadPoolExecutor(16) as pool:
            assert [*pool.map(lambda _: client.list(), range(16))] == [[]] * 16
        assert asked.read_text() == "x"

    def test_that_fails_fails_once_for_all_that_wait(self, tmp_path: Path) -> None:
        asked = tmp_path / "asked"
        reader = printing(f"import time; open({str(asked)!r}, 'a').write('x'); time.sleep(1); raise SystemExit(3)")

        def ask(_: int) -> str:
            together.wait()
            with pytest.raises(ConfigurationError) as caught:
                reader()
            return str(caught.value.args[0])

        together = threading.Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            assert {*pool.map(ask, range(8))} == {"The command for the token ended with 3."}
        assert asked.read_text() == "x"

    def test_does_not_hold_up_the_event_loop(self, engine: Sandbox) -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.01)
                turns += 1

        async def main() -> None:
            counting = asyncio.ensure_future(count())
            code = f"import time; time.sleep(1); print({engine.token!r})"
            async with AsyncApiKeysClient(engine.url, token=printing(code)) as client:
                await client.list()
            counting.cancel()

        run(main())
        assert turns > 10


@pytest.mark.parametrize(
    "make",
    [
        lambda: tokens.file(b"\xff"[0]),  # type: ignore[arg-type]
        lambda: tokens.command("echo token"),
        lambda: tokens.command(["echo", 7]),  # type: ignore[list-item]
        lambda: tokens.command(["echo"], ttl=-1),
        lambda: tokens.command(["echo"], timeout=0),
    ],
)
def test_what_can_be_no_source_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidRequestError):
        make()


def test_a_source_shows_no_token() -> None:
    reader = printing(f"print({SECRET!r})")
    assert reader().get_secret_value() == SECRET
    assert SECRET not in f"{reader!r} {reader} {vars(reader)}"
