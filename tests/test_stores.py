"""Where a rotation puts a new secret: files, variables in files, and commands."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import given, strategies
from pydantic import SecretStr
from rotations import assert_hides, caught, properties, shown_by

from api_keys_client import CreatedKey, InvalidRequestError, NotStored, Outcome, stores

KEY_ID = "8f2b6a1c-0d3e-4f56-8a79-b1c2d3e4f506"
OLD = "OldSecret0123456789+/" * 5 + "abc="
NEW = "NewSecret9876543210/+" * 5 + "xyz="
NOBODY = 65534

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, links and signals are POSIX's")
looks_into_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc")


def created(secret: str = NEW) -> CreatedKey:
    return CreatedKey.model_validate(
        {"id": KEY_ID, "is_active": True, "created_at": "2026-01-02T03:04:05", "key": SecretStr(secret)}
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "engine"
    path.write_text(OLD)
    return path


def not_stored(store: stores.Store) -> str:
    """The reason for which a store wrote nothing, after a look at what that error shows."""
    error = caught(lambda: store(created()))
    assert type(error) is NotStored
    assert_hides(shown_by(error), NEW, OLD)
    return str(error)


def unchanged(target: Path) -> bool:
    return target.read_text() == OLD and [*target.parent.iterdir()] == [target]


class TestFile:
    def test_it_holds_the_secret_and_nothing_else(self, target: Path) -> None:
        stores.file(target)(created())
        assert target.read_bytes() == NEW.encode()
        assert [*target.parent.iterdir()] == [target]
        fresh = target.with_name("fresh")
        stores.file(str(fresh))(created())
        assert fresh.read_text() == NEW

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
    def test_only_its_owner_can_read_it(self, target: Path, umask: int) -> None:
        target.chmod(0o644)
        before = os.umask(umask)
        try:
            stores.file(target)(created())
        finally:
            os.umask(before)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600

    def test_a_relative_path_stays_where_it_was(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(target.parent)
        store = stores.file("engine")
        monkeypatch.chdir("/")
        store(created())
        assert target.read_text() == NEW

    @looks_into_proc
    def test_it_is_on_the_disk_before_it_has_the_name(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        steps: list[tuple[str, str, str]] = []
        flush, rename = os.fsync, os.replace

        def fsync(handle: int) -> None:
            flush(handle)
            steps.append(("flush", os.readlink(f"/proc/self/fd/{handle}"), target.read_text()))

        def replace(source: str, destination: Path) -> None:
            assert Path(source).read_text() == NEW
            assert stat.S_IMODE(os.stat(source).st_mode) == 0o600
            rename(source, destination)
            steps.append(("rename", source, target.read_text()))

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "replace", replace)
        stores.file(target)(created())
        beside = steps[0][1]
        assert Path(beside).parent == target.parent
        assert steps == [("flush", beside, OLD), ("rename", beside, NEW), ("flush", str(target.parent), NEW)]

    def test_whoever_reads_sees_one_secret_or_the_other(self, target: Path) -> None:
        reading, written = threading.Event(), threading.Event()
        seen = set[str]()

        def read() -> None:
            while not written.is_set():
                seen.add(target.read_text())
                reading.set()

        reader = threading.Thread(target=read)
        reader.start()
        reading.wait()
        store = stores.file(target)
        for number in range(50):
            store(created(OLD if number % 2 else NEW))
        written.set()
        reader.join()
        assert seen <= {OLD, NEW}

    def test_a_process_killed_before_the_rename_leaves_the_old_one(self, target: Path) -> None:
        child = """
import os, signal, sys
from pydantic import SecretStr
from api_keys_client import CreatedKey, stores

sys.addaudithook(lambda event, _: os.kill(os.getpid(), signal.SIGKILL) if event == "os.rename" else None)
record = {"id": sys.argv[1], "is_active": True, "created_at": "2026-01-02T03:04:05", "key": SecretStr(sys.argv[2])}
stores.file(sys.argv[3])(CreatedKey.model_validate(record))
"""
        killed = subprocess.run([sys.executable, "-c", child, KEY_ID, NEW, str(target)], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert target.read_text() == OLD
        (left,) = {*target.parent.iterdir()} - {target}
        assert left.name.startswith(".engine.")
        assert stat.S_IMODE(left.stat().st_mode) == 0o600
        stores.file(target)(created())
        assert target.read_text() == NEW

    @pytest.mark.parametrize("leads_to", ["elsewhere", "nothing"])
    def test_a_symlink_is_refused(self, tmp_path: Path, leads_to: str) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_text(OLD)
        link = tmp_path / "link"
        link.symlink_to(tmp_path / leads_to)
        with pytest.raises(InvalidRequestError, match="symlink") as refusal:
            stores.file(link)
        assert refusal.value.outcome is Outcome.NOT_SENT
        assert elsewhere.read_text() == OLD

    def test_a_symlink_made_later_is_refused_too(self, target: Path) -> None:
        elsewhere = target.with_name("elsewhere")
        store = stores.file(target)
        target.rename(elsewhere)
        target.symlink_to(elsewhere)
        assert "symlink" in not_stored(store)
        assert elsewhere.read_text() == OLD
        assert target.is_symlink()

    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o707], ids=oct)
    def test_a_folder_that_others_can_write_to_is_refused(self, target: Path, mode: int) -> None:
        store = stores.file(target)
        target.parent.chmod(mode)
        with pytest.raises(InvalidRequestError, match=f"others can write to {target.parent}"):
            stores.file(target)
        assert "others can write" in not_stored(store)
        assert unchanged(target)

    @pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o755, False)])
    def test_so_is_one_below_such_a_folder(self, tmp_path: Path, mode: int, refused: bool) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        tmp_path.chmod(mode)
        error = caught(lambda: stores.file(folder / "engine"))
        assert isinstance(error, InvalidRequestError) if refused else error is None

    def test_a_link_in_the_way_does_not_hide_such_a_folder(self, tmp_path: Path) -> None:
        open_to_all = tmp_path / "open"
        (open_to_all / "mine").mkdir(parents=True)
        open_to_all.chmod(0o777)
        (tmp_path / "link").symlink_to(open_to_all / "mine")
        with pytest.raises(InvalidRequestError, match=f"others can write to {open_to_all}"):
            stores.file(tmp_path / "link" / "engine")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
    def test_another_users_folder_is_refused(self, tmp_path: Path) -> None:
        os.chown(tmp_path, NOBODY, NOBODY)
        with pytest.raises(InvalidRequestError, match="belongs to another user"):
            stores.file(tmp_path / "engine")

    def test_what_is_no_file_is_refused(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        for path, problem in (
            (tmp_path, "no regular file"),
            (tmp_path / "fifo", "no regular file"),
            (tmp_path / "missing" / "engine", "folder is not there"),
            (tmp_path / "fifo" / "engine", "folder is not there"),
            (tmp_path / "a\0b", "no path"),
            ("", "no regular file"),
        ):
            with pytest.raises(InvalidRequestError, match=problem):
                stores.file(path)

    def test_a_folder_that_is_gone_by_then(self, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        store = stores.file(folder / "engine")
        folder.rmdir()
        assert "folder is not there" in not_stored(store)

    def test_a_read_only_folder(self) -> None:
        with without_privileges() as folder:
            store = stores.file(folder / "engine")
            folder.chmod(0o500)
            assert "Permission denied" in not_stored(store)
            assert [*folder.iterdir()] == []

    def test_a_folder_that_cannot_be_looked_at(self) -> None:
        with without_privileges() as folder:
            store = stores.file(folder / "engine")
            folder.chmod(0)
            assert "Permission denied" in not_stored(store)
            with pytest.raises(InvalidRequestError, match="Permission denied"):
                stores.file(folder / "engine")

    def test_a_full_disk(self, target: Path) -> None:
        resource = pytest.importorskip("resource")
        store = stores.file(target)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        try:
            error = caught(lambda: store(created()))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert type(error) is NotStored
        assert os.strerror(errno.EFBIG) in str(error)
        assert unchanged(target)

    def test_a_rename_that_fails_has_stored_nothing(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        flush = os.fsync

        def fsync(handle: int) -> None:
            flush(handle)
            # Nothing can be renamed to it any more.
            target.unlink()
            target.mkdir()

        monkeypatch.setattr(os, "fsync", fsync)
        assert os.strerror(errno.EISDIR) in not_stored(stores.file(target))
        assert [*target.parent.iterdir()] == [target]

    def test_what_fails_after_the_rename_is_not_called_not_stored(
        self, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flush = os.fsync

        def fsync(handle: int) -> None:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(errno.EIO, "the disk is gone")
            flush(handle)

        monkeypatch.setattr(os, "fsync", fsync)
        error = caught(lambda: stores.file(target)(created()))
        assert isinstance(error, OSError)
        assert_hides(shown_by(error), NEW, OLD)
        assert target.read_text() == NEW

    @pytest.mark.parametrize("make", [stores.file, lambda path: stores.env_file(path, "KEY")])
    def test_ctrl_c_leaves_no_copy(
        self, target: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], stores.Store]
    ) -> None:
        def fsync(_: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", fsync)
        error = caught(lambda: make(target)(created()))
        assert isinstance(error, KeyboardInterrupt)
        assert_hides(shown_by(error), NEW, OLD)
        assert unchanged(target)

    def test_ctrl_c_right_after_the_rename_stays_one(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        rename = os.replace

        def replace(*paths: Path) -> None:
            rename(*paths)
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", replace)
        error = caught(lambda: stores.file(target)(created()))
        assert isinstance(error, KeyboardInterrupt)
        assert target.read_text() == NEW


@contextmanager
def without_privileges() -> Iterator[Path]:
    """A folder of a user's whom modes keep out, unlike root."""
    folder = Path(tempfile.mkdtemp())
    user = os.geteuid()
    if user == 0:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(user)
        folder.chmod(0o700)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


VALUES = {
    "plain": (b"KEY=old\n", b"KEY=%s\n"),
    "empty": (b"KEY=\n", b"KEY=%s\n"),
    "double quotes": (b'KEY="old"\n', b'KEY="%s"\n'),
    "single quotes": (b"KEY='old'\n", b"KEY='%s'\n"),
    "export": (b"export KEY=old\n", b"export KEY=%s\n"),
    "spaces": (b"  export\tKEY = old  \n", b"  export\tKEY = %s  \n"),
    "no line end": (b"A=1\nKEY=old", b"A=1\nKEY=%s"),
    "windows": (b"A=1\r\nKEY=old\r\nB=2\r\n", b"A=1\r\nKEY=%s\r\nB=2\r\n"),
    "old mac": (b"A=1\rKEY=old\rB=2", b"A=1\rKEY=%s\rB=2"),
    "comment after it": (b"KEY=old # from the vault\n", b"KEY=%s # from the vault\n"),
    "comment after quotes": (b"KEY='old' # it's\n", b"KEY='%s' # it's\n"),
    "comment after a hash": (b"KEY=o#ld # from the vault\n", b"KEY=%s # from the vault\n"),
    "comment after nothing": (b"KEY= # from the vault\n", b"KEY=%s # from the vault\n"),
    "hash that is a value": (b"KEY=#old\n", b"KEY=%s\n"),
    "words": (b"KEY=o l d\n", b"KEY=%s\n"),
    "quotes and more": (b'KEY="old"er\n', b'KEY="%s"\n'),
    "two quotes": (b"KEY='o''ld'\n", b"KEY='%s'\n"),
    "quote left open": (b'KEY="old\nB=2\n', b'KEY="%s"\nB=2\n'),
    "escaped quote": (b'KEY="o\\"ld"\n', b'KEY="%s"\n'),
    "several lines": (b'KEY="o\nKEY=l\nd"\nB=2\n', b'KEY="%s"\nB=2\n'),
    "in another's lines": (b'A="\nKEY=inner\n"\nKEY=old\n', b'A="\nKEY=inner\n"\nKEY=%s\n'),
    "in another's lines only": (b"A='\nKEY=inner\n'\n", b"A='\nKEY=inner\n'\nKEY=%s\n"),
    "in a comment only": (b"# KEY=old\n", b"# KEY=old\nKEY=%s\n"),
    "quote in a comment": (b"# don't\nKEY=old\n# don't\n", b"# don't\nKEY=%s\n# don't\n"),
    "other names": (b"MY_KEY=1\nKEY2=2\nkey=3\n", b"MY_KEY=1\nKEY2=2\nkey=3\nKEY=%s\n"),
    "missing": (b"A=1\n", b"A=1\nKEY=%s\n"),
    "missing, no line end": (b"A=1", b"A=1\nKEY=%s\n"),
    "missing, windows": (b"A=1\r\n", b"A=1\r\nKEY=%s\r\n"),
    "missing, windows, no line end": (b"A=1\r\nB=2", b"A=1\r\nB=2\r\nKEY=%s\r\n"),
    "nothing": (b"", b"KEY=%s\n"),
    "no utf-8": (b"A=\xff\xfe\nKEY=\xe9\nB=\x80\n", b"A=\xff\xfe\nKEY=%s\nB=\x80\n"),
    "no dotenv": (b"{\n\tnonsense = =\n\x00\n", b"{\n\tnonsense = =\n\x00\nKEY=%s\n"),
}

# Lines as people write them, each whole, and none that sets KEY.
OTHER_LINES = strategies.one_of(
    strategies.sampled_from(["", "  ", "# don't", "# KEY=1", "export", 'A="a b" # c', "export B='x'", "C=", "D = 1 "]),
    strategies.sampled_from(['E="1\n2"', "F='\nKEY=1\n'", 'G="\\"\nKEY=2"', "H=it#s # so", "I=ö", "KEYS=1", "A.B=1"]),
)
KEY_LINES = strategies.tuples(
    strategies.sampled_from(["KEY=", "export KEY=", " KEY = ", "export\tKEY= "]),
    strategies.sampled_from(["old", "'old'", '"old"', '"o\nld"', "o#ld", "'it''s", "'\\''", "", '"old" ', "o ld"]),
    strategies.sampled_from(["", " # why", "\t#'", "  "]),
)
SECRETS = strategies.text("abcXYZ012+/=_-.:", min_size=1) | strategies.text('ab c$#"`&;!', min_size=1)


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A file in memory, if there is such a place: what a disk takes to flush would go into hundreds of examples."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder, ".env")


class TestEnvFile:
    @pytest.mark.parametrize("case", VALUES)
    def test_one_value_is_replaced(self, tmp_path: Path, case: str) -> None:
        before, after = VALUES[case]
        path = tmp_path / ".env"
        path.write_bytes(before)
        path.chmod(0o644)
        stores.env_file(path, "KEY")(created())
        assert path.read_bytes() == after.replace(b"%s", NEW.encode())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize("case", ["plain", "double quotes", "single quotes", "comment after it", "quotes and more"])
    def test_a_shell_reads_it(self, tmp_path: Path, case: str) -> None:
        path = tmp_path / "variables"
        path.write_bytes(VALUES[case][0])
        for secret in (NEW, 'a "b" $c `d` #e & (f)'):
            stores.env_file(path, "KEY")(created(secret))
            read = ["sh", "-c", '. "$0"; printf %s "$KEY"', str(path)]
            assert subprocess.run(read, capture_output=True, check=True).stdout == secret.encode()

    def test_a_file_that_is_not_there_is_made(self, tmp_path: Path) -> None:
        stores.env_file(tmp_path / ".env", "KEY")(created())
        assert (tmp_path / ".env").read_text() == f"KEY={NEW}\n"

    @properties
    @given(
        strategies.lists(OTHER_LINES),
        strategies.none() | KEY_LINES,
        strategies.lists(OTHER_LINES),
        strategies.sampled_from(["\n", "\r\n"]),
        strategies.booleans(),
        SECRETS,
    )
    def test_a_library_reads_the_secret_and_the_rest_as_before(
        self,
        scratch: Path,
        head: list[str],
        line: tuple[str, str, str] | None,
        tail: list[str],
        line_end: str,
        ended: bool,
        secret: str,
    ) -> None:
        lines = [*head, *([] if line is None else ["".join(line)]), *tail]
        before = (line_end.join(lines) + line_end * ended).replace("\n", line_end)
        scratch.write_bytes(before.encode())
        others = {name: value for name, value in dotenv_values(scratch, interpolate=False).items() if name != "KEY"}
        stores.env_file(scratch, "KEY")(created(secret))
        values = dotenv_values(scratch, interpolate=False)
        assert values.pop("KEY") == secret
        assert values == others

    @properties
    @given(strategies.binary() | strategies.text("KEY=\n\r\t '\"\\#ab").map(str.encode))
    def test_any_bytes_around_the_value_are_kept(self, scratch: Path, before: bytes) -> None:
        scratch.write_bytes(before)
        store = stores.env_file(scratch, "KEY")
        error = caught(lambda: store(created("first.secret")))
        after = scratch.read_bytes()
        if error is not None:
            assert isinstance(error, NotStored)
            assert after == before
            return
        store(created("second_secret"))
        assert scratch.read_bytes() == after.replace(b"first.secret", b"second_secret")
        head, _, tail = after.partition(b"first.secret")
        if head[-1:] in (b"'", b'"'):
            head, tail = head[:-1], tail[1:]
        assert after.startswith(before) or (before.startswith(head) and before.endswith(tail))

    def test_a_variable_that_is_set_twice_is_not_guessed_at(self, tmp_path: Path) -> None:
        path = tmp_path / ".env"
        path.write_text(f"KEY={OLD}\nexport KEY='x'\n")
        assert not_stored(stores.env_file(path, "KEY")) == f"{path}: KEY is set 2 times"
        assert path.read_text() == f"KEY={OLD}\nexport KEY='x'\n"
        assert [*tmp_path.iterdir()] == [path]

    @pytest.mark.parametrize(
        "secret", ["it's", "back\\slash", "two\nlines", "nul\0", "cr\r", "tab\t", "\x1b[2J", "\x7f"]
    )
    def test_a_secret_that_such_a_file_cannot_hold(self, tmp_path: Path, secret: str) -> None:
        path = tmp_path / ".env"
        path.write_text("KEY=old\n")
        with pytest.raises(NotStored, match="characters that a dotenv file cannot hold"):
            stores.env_file(path, "KEY")(created(secret))
        assert path.read_text() == "KEY=old\n"

    def test_nothing_of_the_file_shows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / ".env"
        path.write_text(f"OTHER={OLD}\nKEY={OLD}\n")

        def replace(_: object, __: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", replace)
        error = caught(lambda: stores.env_file(path, "KEY")(created()))
        assert isinstance(error, KeyboardInterrupt)
        assert_hides(shown_by(error), NEW, OLD)

    @pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\n", "Ä", None, b"A"])
    def test_a_name_that_is_none_is_refused(self, tmp_path: Path, name: Any) -> None:
        with pytest.raises(InvalidRequestError, match="name of a variable"):
            stores.env_file(tmp_path / ".env", name)

    def test_a_symlink_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / ".env")
        with pytest.raises(InvalidRequestError, match="symlink"):
            stores.env_file(tmp_path / "link", "KEY")


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
        main = threading.get_ident()
        pids: list[int] = []

        def press() -> None:
            pids.append(int(fifo.read_text()))
            signal.pthread_kill(main, signal.SIGINT)

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
        assert "could not be started" in not_stored(stores.command(["sh", "\ud800"]))

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
        "argv", ["vault", b"vault", [], [b"vault"], ["a\0b"], [1], None, 7, {"a": "b"}, iter(["sh"])]
    )
    def test_what_is_no_command_is_refused(self, argv: Any) -> None:
        with pytest.raises(InvalidRequestError, match="list of strings") as refusal:
            stores.command(argv)
        assert refusal.value.outcome is Outcome.NOT_SENT

    @pytest.mark.parametrize("timeout", [0, -1, None, "60", float("nan"), float("inf"), True])
    def test_a_time_that_is_none_is_refused(self, timeout: Any) -> None:
        with pytest.raises(InvalidRequestError, match="seconds"):
            stores.command(["true"], timeout=timeout)
