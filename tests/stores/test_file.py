"""A secret in a file of its own: it is there as a whole or not at all, and nobody else can read it."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from api_keys_client import NotStored, stores
from tests.support.rotations import assert_hides, caught, shown_by
from tests.support.storing import KEY_ID, NEW, OLD, created, looks_into_proc, not_stored, unchanged

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, links and signals are POSIX's")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "engine"
    path.write_text(OLD)
    return path


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
