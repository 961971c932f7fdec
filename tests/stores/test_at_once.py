"""One file that several write to at once: no line and no secret is lost, and nobody waits for ever."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from api_keys_client import InvalidRequestError, NotStored, _files, stores
from tests.support.interrupts import press_here
from tests.support.rotations import caught
from tests.support.storing import NEW, begun, created, left_in, not_stored


@pytest.fixture
def env(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text("OTHER=1\n")
    return path


def values(path: Path) -> dict[str, str | None]:
    """What a dotenv file holds, beside which nothing was left but the lock."""
    assert left_in(path.parent) == [path.name]
    return dotenv_values(path, interpolate=False)


def before_each_rename(monkeypatch: pytest.MonkeyPatch, happening: Callable[[], object]) -> None:
    """Lets something happen whenever the new content is on the disk and is not yet renamed."""
    flush = os.fsync

    def fsync(handle: int) -> None:
        flush(handle)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            happening()

    monkeypatch.setattr(os, "fsync", fsync)


def appends(path: Path) -> None:
    with path.open("a") as opened:
        opened.write("ADDED=2\n")


def sets(path: Path) -> None:
    path.write_text("KEY='theirs'\nADDED=2\n")


def rewrites(path: Path) -> None:
    # The same file, as long as before and as old.
    found = path.stat()
    path.write_text("ADDED=2\n")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def replaces(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("ADDED=2\n")
    other.replace(path)


class TestSeveralAtOnce:
    def test_processes_lose_no_line_of_each_other(self, env: Path) -> None:
        code = """
sys.stdin.read()
for number in range(10):
    stores.env_file(sys.argv[2], f"{sys.argv[3]}_{number}")(created(f"secret-{number}"))
"""
        children = [begun(code, env, name) for name in "ABC"]
        for child in children:
            # Its end lets all of them begin.
            assert child.stdin is not None
            child.stdin.close()
        assert [child.wait() for child in children] == [0] * 3
        wanted = {f"{name}_{number}": f"secret-{number}" for name in "ABC" for number in range(10)}
        assert values(env) == {"OTHER": "1", **wanted}

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_of_several_secrets_for_one_file_one_stays_whole(self, tmp_path: Path, overwrite: bool) -> None:
        target = tmp_path / "engine"
        secrets = [str(number) * 1000 for number in range(8)]
        ready = threading.Barrier(len(secrets))

        def write(secret: str) -> BaseException | None:
            store = stores.file(target, overwrite=overwrite)
            ready.wait()
            return caught(lambda: store(created(secret)))

        with ThreadPoolExecutor(len(secrets)) as pool:
            errors = [*pool.map(write, secrets)]
        assert {type(error) for error in errors} <= {type(None), NotStored}
        written = [secret for secret, error in zip(secrets, errors, strict=True) if error is None]
        assert target.read_text() in written
        # Where nothing may be overwritten, the others were told so.
        assert len(written) == (len(secrets) if overwrite else 1)
        assert left_in(tmp_path) == [target.name]


class TestNewFile:
    def test_it_takes_what_is_new_or_empty(self, tmp_path: Path) -> None:
        new, empty = tmp_path / "new", tmp_path / "empty"
        empty.touch(0o600)
        for target in (new, empty):
            store = stores.file(target, overwrite=False)
            store(created())
            assert target.read_text() == NEW
            assert stat.S_IMODE(target.stat().st_mode) == 0o600
            assert "it is there already, and is not empty" in not_stored(store)
            with pytest.raises(InvalidRequestError, match="it is there already, and is not empty"):
                stores.file(target, overwrite=False)
        undecided: Any = None
        with pytest.raises(InvalidRequestError, match="overwrite="):
            stores.file(tmp_path / "engine", overwrite=undecided)
        assert left_in(tmp_path) == ["empty", "new"]

    @pytest.mark.parametrize("exists", [True, False])
    def test_what_appears_right_before_it_has_the_name_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
    ) -> None:
        target = tmp_path / "engine"
        if exists:
            target.touch()
        before_each_rename(monkeypatch, lambda: appends(target))
        assert "it is there already" in not_stored(stores.file(target, overwrite=False))
        assert target.read_text() == "ADDED=2\n"
        assert left_in(tmp_path) == [target.name]


class TestChangedMeanwhile:
    @pytest.mark.parametrize(
        ("exists", "change"), [(True, appends), (True, rewrites), (True, replaces), (True, sets), (False, appends)]
    )
    def test_what_another_program_writes_is_kept(
        self, env: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, change: Callable[[Path], None]
    ) -> None:
        if not exists:
            env.unlink()
        changes = [change]
        before_each_rename(monkeypatch, lambda: changes and changes.pop()(env))
        stores.env_file(env, "KEY")(created())
        assert changes == []
        assert values(env) == {**({"OTHER": "1"} if exists and change is appends else {}), "ADDED": "2", "KEY": NEW}

    def test_a_file_that_appears_right_before_it_has_the_name_is_kept(
        self, env: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        env.unlink()
        link = os.link

        def late(source: str, target: Path) -> None:
            if not env.exists():
                appends(env)
            link(source, target)

        monkeypatch.setattr(os, "link", late)
        stores.env_file(env, "KEY")(created())
        assert values(env) == {"ADDED": "2", "KEY": NEW}

    def test_without_hard_links_it_says_how_to_begin(self, env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        env.unlink()

        def fail(_: object, __: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", fail)
        store = stores.env_file(env, "KEY")
        assert "Operation not permitted: make an empty file of that name first" in not_stored(store)
        assert left_in(env.parent) == []
        env.touch()
        store(created())
        assert values(env) == {"KEY": NEW}

    def test_a_file_that_never_rests_is_left_alone(self, env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before_each_rename(monkeypatch, lambda: appends(env))
        assert "another program changed it 5 times" in not_stored(stores.env_file(env, "KEY"))
        assert env.read_text() == "OTHER=1\n" + "ADDED=2\n" * 5
        assert left_in(env.parent) == [env.name]

    def test_a_symlink_that_appears_meanwhile_is_not_followed(self, env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        elsewhere = env.with_name("elsewhere")

        def link() -> None:
            if not elsewhere.exists():
                env.rename(elsewhere)
                env.symlink_to(elsewhere)

        before_each_rename(monkeypatch, link)
        assert "symlink" in not_stored(stores.env_file(env, "KEY"))
        assert elsewhere.read_text() == "OTHER=1\n"
        assert left_in(env.parent) == [env.name, elsewhere.name]


class TestTheLock:
    """On a file beside it, because the file itself is replaced."""

    def test_one_that_is_held_for_ever_is_waited_for_no_longer_than_said(
        self, env: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = stores.env_file(env, "KEY")
        held = os.open(env.parent / _files.LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            pressing = threading.Thread(target=press_here)
            pressing.start()
            error = caught(lambda: store(created()))
            pressing.join()
            assert isinstance(error, KeyboardInterrupt)

            monkeypatch.setattr(_files, "LOCK_SECONDS", 0.5)
            assert not_stored(store) == f"{env}: its lock, .api-keys-lock beside it, was not free for 0.5 seconds"
        finally:
            os.close(held)
        assert env.read_text() == "OTHER=1\n"
        store(created())
        assert values(env)["KEY"] == NEW

    def test_a_process_that_is_killed_keeps_nobody_out(self, env: Path) -> None:
        killed = begun("kill_at_the_rename()\nstores.env_file(sys.argv[2], 'KEY')(created('theirs'))", env)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
        stores.env_file(env, "KEY")(created())
        assert dotenv_values(env, interpolate=False) == {"OTHER": "1", "KEY": NEW}

    def test_a_child_of_a_fork_keeps_nobody_out(self, env: Path) -> None:
        code = """
from api_keys_client import _files
ours, theirs = os.pipe()
rename = os.replace
def fork(*paths):
    os.replace = rename
    if not os.fork():
        os.close(theirs)
        os.read(ours, 1)
        os._exit(0)
    rename(*paths)
os.replace = fork
stores.env_file(sys.argv[2], "A")(created("1"))
_files.LOCK_SECONDS = 10
stores.env_file(sys.argv[2], "B")(created("2"))
os.close(theirs)
os.wait()
"""
        begun(code, env).communicate()
        assert values(env) == {"OTHER": "1", "A": "1", "B": "2"}

    def test_only_its_owner_can_open_it(self, env: Path) -> None:
        """Anyone else could hold it for ever."""
        before = os.umask(0)
        try:
            stores.env_file(env, "KEY")(created())
        finally:
            os.umask(before)
        assert stat.S_IMODE((env.parent / _files.LOCK_NAME).stat().st_mode) == 0o600

    def test_what_else_has_its_name_is_not_followed_or_waited_for(self, env: Path) -> None:
        lock, victim = env.parent / _files.LOCK_NAME, env.parent / "victim"
        lock.symlink_to(victim)
        assert "its lock, .api-keys-lock beside it, cannot be had" in not_stored(stores.env_file(env, "KEY"))
        assert not victim.exists()
        lock.unlink()
        lock.mkdir()
        assert "cannot be had: Is a directory" in not_stored(stores.env_file(env, "KEY"))
        assert env.read_text() == "OTHER=1\n"
