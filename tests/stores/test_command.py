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
from tests.support.leaks import assert_hides, shown_by
from tests.support.rotations import caught
from tests.support.storing import NEW, created, looks_into_proc, not_stored


def shell(code: str, *arguments: str | Path, **options: Any) -> stores.Store:
    return stores.command(["sh", "-c", code, *map(str, arguments)], **options)


def failed(store: stores.Store, secret: str = NEW) -> str:
    error = caught(lambda: store(created(secret)))
    assert type(error) is stores.CommandFailed
    assert_hides(shown_by(error), secret)
    return str(error)


def test_it_reads_the_secret_and_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    shell('tee "$0"; echo done >&2', out)(created())
    assert out.read_bytes() == NEW.encode()
    assert capfd.readouterr() == ("", "")


@looks_into_proc
def test_nothing_shows_the_secret_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEYS_TOKEN", "BEARER_TOKEN"):
        monkeypatch.setenv(name, "t0ken-of-the-administrator")
    monkeypatch.setenv("OTHER", "kept")
    told, answer = tmp_path / "told", tmp_path / "answer"
    for fifo in (told, answer):
        os.mkfifo(fifo)
    store = shell('cat >/dev/null; echo $$ >"$0"; read line <"$1"', told, answer)
    running = threading.Thread(target=store, args=[created()])
    running.start()
    try:
        process = Path("/proc", told.read_text().strip())
        shown = {name: (process / name).read_bytes() for name in ("cmdline", "environ")}
    finally:
        answer.write_text("\n")
        running.join()
    for name, text in shown.items():
        assert_hides(iter([(name, text.decode())]), NEW, "t0ken-of-the-administrator")
    variables = dict(line.split(b"=", 1) for line in shown["environ"].rstrip(b"\0").split(b"\0"))
    assert variables[b"OTHER"] == b"kept"
    assert not {b"API_KEYS_TOKEN", b"BEARER_TOKEN"} & variables.keys()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("exit 3", "sh ended with 3"),
        ("kill -9 $$", "sh ended with -9"),
        (
            r"printf 'a\377\000b\tc\nd' >&2; cat >&2; exit 1",
            "sh ended with 1: a b c\nd[secret]",
        ),
    ],
)
def test_another_exit_code_is_a_failure(code: str, said: str) -> None:
    assert failed(shell(code)) == said


@pytest.mark.parametrize("filler", ["x", "é", "\x1b"])
def test_what_it_says_is_masked_and_bounded(filler: str) -> None:
    code = (
        "import sys; secret = sys.stdin.read(); filler = sys.argv[1]; before, times = map(int, sys.argv[2:]);"
        "text = secret + filler * (before // len(filler.encode())) + secret * times;"
        "sys.stderr.buffer.write(text.encode()); sys.exit(1)"
    )
    # On both sides of the cut, and across it at several places.
    for before, times in ((0, 40), (1800, 3), (1874, 3), (1911, 3), (1990, 1), (2001, 1), (2100, 1)):
        said = failed(stores.command([sys.executable, "-S", "-c", code, filler, str(before), str(times)]))
        assert "[secret]" in said
        assert len(said) < 2200
        assert "\x1b" not in said


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    store = shell('echo $$ >"$0"; echo waiting >&2; exec sleep 600', pid, timeout=0.5)
    assert failed(store) == "sh was ended after 0.5 seconds: waiting"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    pids: list[int] = []

    def press() -> None:
        pids.append(int(fifo.read_text()))
        press_here()

    pressing = threading.Thread(target=press)
    pressing.start()
    error = caught(lambda: shell('cat >&2; echo $$ >"$0"; exec sleep 600', fifo)(created()))
    pressing.join()
    assert isinstance(error, KeyboardInterrupt)
    assert_hides(shown_by(error), NEW)
    # Not even subprocess's own frames, which hold what is written.
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert not any("subprocess" in frame.filename for frame in told.stack)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_what_cannot_be_started_has_stored_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, out = tmp_path / "plain", tmp_path / "out"
    plain.write_text("")
    assert "could not be started: No such file" in not_stored(stores.command([str(tmp_path / "missing")]))
    assert "could not be started: Permission denied" in not_stored(stores.command([str(plain)]))
    assert "could not be started" in not_stored(stores.command([""]))
    # Nor does it need a place for what the command says: a container may have none that can be written to.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    shell('cat >"$0"', out)(created())
    assert out.read_text() == NEW


@pytest.mark.parametrize(("code", "failing"), [("exec 0<&-; exit 1", True), ("exec 0<&-", False)])
def test_one_that_does_not_read_is_judged_by_its_exit_code(code: str, failing: bool) -> None:
    # More than a pipe takes, so that the writing does fail.
    error = caught(lambda: shell(code)(created(NEW * 10_000)))
    assert type(error) is (stores.CommandFailed if failing else type(None))


def test_a_grandchild_that_lives_on_holds_nothing_up(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    try:
        assert failed(shell('cat "$0" >&2 & echo gone >&2; exit 3', fifo)) == "sh ended with 3: gone"
    finally:
        fifo.write_text("")


def test_what_is_no_command_or_no_time_is_refused() -> None:
    no_commands: list[Any] = ["vault", [], ["a\0b"], [1], None, {"a": "b"}, ["\ud800"]]
    for argv in no_commands:
        with pytest.raises(InvalidRequestError, match="list of strings") as refusal:
            stores.command(argv)
        assert refusal.value.outcome is Outcome.NOT_SENT
    no_times: list[Any] = [0, None, "60", float("nan"), float("inf"), True]
    for timeout in no_times:
        with pytest.raises(InvalidRequestError, match="seconds"):
            stores.command(["true"], timeout=timeout)
