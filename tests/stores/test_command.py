"""A secret that a command is given: it reads it, and nothing else shows it."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest

from api_keys_client import InvalidRequestError, Outcome, stores
from tests.support.interrupts import press_here
from tests.support.rotations import assert_hides, caught, shown_by
from tests.support.storing import NEW, created, looks_into_proc, not_stored

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, links and signals are POSIX's")


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def failed(store: stores.Store, secret: str = NEW) -> str:
    error = caught(lambda: store(created(secret)))
    assert type(error) is stores.CommandFailed
    assert_hides(shown_by(error), secret)
    return str(error)


class TestCommand:
    def test_it_reads_the_secret_and_nothing_else(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        stores.command(["sh", "-c", 'cat >"$0"', str(out)])(created())
        assert out.read_bytes() == NEW.encode()

    @looks_into_proc
    def test_nothing_shows_the_secret_while_it_runs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("API_KEYS_TOKEN", "BEARER_TOKEN"):
            monkeypatch.setenv(name, "t0ken-of-the-administrator")
        monkeypatch.setenv("OTHER", "kept")
        told, answer = tmp_path / "told", tmp_path / "answer"
        for fifo in (told, answer):
            os.mkfifo(fifo)
        code = (
            "import os, sys; sys.stdin.read(); open(sys.argv[1], 'w').write(str(os.getpid())); open(sys.argv[2]).read()"
        )
        running = threading.Thread(target=stores.command(python(code, str(told), str(answer))), args=[created()])
        running.start()
        try:
            process = Path("/proc", told.read_text())
            shown = {name: (process / name).read_bytes() for name in ("cmdline", "environ")}
        finally:
            answer.write_text("")
            running.join()
        for name, text in shown.items():
            assert_hides(iter([(name, text.decode())]), NEW, "t0ken-of-the-administrator")
        variables = dict(line.split(b"=", 1) for line in shown["environ"].rstrip(b"\0").split(b"\0"))
        assert variables[b"OTHER"] == b"kept"
        assert not {b"API_KEYS_TOKEN", b"BEARER_TOKEN"} & variables.keys()

    def test_it_prints_nothing(self, capfd: pytest.CaptureFixture[str]) -> None:
        stores.command(["sh", "-c", "cat; cat >&2; echo done >&2"])(created())
        assert capfd.readouterr() == ("", "")

    def test_the_list_may_change_later(self, tmp_path: Path) -> None:
        words = ["sh", "-c", 'cat >"$0"', str(tmp_path / "out")]
        store = stores.command(words)
        words.clear()
        store(created())
        assert (tmp_path / "out").read_text() == NEW

    def test_another_exit_code_is_a_failure(self) -> None:
        assert failed(stores.command(["sh", "-c", "exit 3"])) == "sh ended with 3"
        assert (
            failed(stores.command(["sh", "-c", "echo no such vault >&2; exit 1"])) == "sh ended with 1: no such vault"
        )
        assert failed(stores.command(["sh", "-c", "kill -9 $$"])) == "sh ended with -9"

    @pytest.mark.parametrize(
        ("before", "times"),
        [(0, 1), (0, 40), (1990, 1), (2001, 1), (2100, 1), *((n, 3) for n in range(1800, 2000, 37))],
    )
    @pytest.mark.parametrize("filler", ["x", "é", "\x1b"])
    def test_what_it_says_is_masked_and_bounded(self, before: int, times: int, filler: str) -> None:
        code = (
            "import sys; secret = sys.stdin.read(); filler = sys.argv[1]; before, times = map(int, sys.argv[2:]);"
            "text = secret + filler * (before // len(filler.encode())) + secret * times;"
            "sys.stderr.buffer.write(text.encode()); sys.exit(1)"
        )
        said = failed(stores.command(python(code, filler, str(before), str(times))))
        assert "[secret]" in said
        assert len(said) < 2200
        assert "\x1b" not in said

    def test_bytes_that_are_no_text(self) -> None:
        said = failed(stores.command(["sh", "-c", r"printf 'a\377\000b\tc\nd' >&2; cat >&2; exit 1"]))
        assert said.endswith("a\N{REPLACEMENT CHARACTER}b c\nd[secret]")

    def test_a_command_that_takes_too_long_is_ended(self, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        store = stores.command(["sh", "-c", 'echo $$ >"$0"; echo waiting >&2; exec sleep 600', str(pid)], timeout=0.5)
        assert failed(store) == "sh was ended after 0.5 seconds: waiting"
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)

    def test_ctrl_c_ends_it(self, tmp_path: Path) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        pids: list[int] = []

        def press() -> None:
            pids.append(int(fifo.read_text()))
            press_here()

        pressing = threading.Thread(target=press)
        pressing.start()
        error = caught(
            lambda: stores.command(["sh", "-c", 'cat >&2; echo $$ >"$0"; exec sleep 600', str(fifo)])(created())
        )
        pressing.join()
        assert isinstance(error, KeyboardInterrupt)
        assert_hides(shown_by(error), NEW)
        # Not even subprocess's own frames, which hold what is written.
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert not any("subprocess" in frame.filename for frame in told.stack)
        with pytest.raises(ProcessLookupError):
            os.kill(pids[0], 0)

    def test_what_cannot_be_started_has_stored_nothing(self, tmp_path: Path) -> None:
        plain = tmp_path / "plain"
        plain.write_text("")
        assert "could not be started: No such file" in not_stored(stores.command([str(tmp_path / "missing")]))
        assert "could not be started: Permission denied" in not_stored(stores.command([str(plain)]))
        assert "could not be started" in not_stored(stores.command([""]))

    def test_without_a_place_for_what_it_says_nothing_is_started(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        out = tmp_path / "out"
        assert "could not be started" in not_stored(stores.command(["sh", "-c", 'cat >"$0"', str(out)]))
        assert not out.exists()

    @pytest.mark.parametrize(("code", "failing"), [("exec 0<&-; exit 1", True), ("exec 0<&-", False)])
    def test_one_that_does_not_read_is_judged_by_its_exit_code(self, code: str, failing: bool) -> None:
        # More than a pipe takes, so that the writing does fail.
        secret = NEW * 10_000
        error = caught(lambda: stores.command(["sh", "-c", code])(created(secret)))
        assert type(error) is (stores.CommandFailed if failing else type(None))

    def test_a_grandchild_that_lives_on_holds_nothing_up(self, tmp_path: Path) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        store = stores.command(["sh", "-c", 'cat "$0" >&2 & echo gone >&2; exit 3', str(fifo)])
        try:
            assert failed(store) == "sh ended with 3: gone"
        finally:
            fifo.write_text("")

    @pytest.mark.parametrize(
        "argv", ["vault", b"vault", [], [b"vault"], ["a\0b"], [1], None, 7, {"a": "b"}, iter(["sh"]), ["sh", "\ud800"]]
    )
    def test_what_is_no_command_is_refused(self, argv: Any) -> None:
        with pytest.raises(InvalidRequestError, match="list of strings") as refusal:
            stores.command(argv)
        assert refusal.value.outcome is Outcome.NOT_SENT

    @pytest.mark.parametrize("timeout", [0, -1, None, "60", float("nan"), float("inf"), True])
    def test_a_time_that_is_none_is_refused(self, timeout: Any) -> None:
        with pytest.raises(InvalidRequestError, match="seconds"):
            stores.command(["true"], timeout=timeout)
