"""A secret in a file of its own: it is there as a whole or not at all, and nobody else can read it."""

from __future__ import annotations

import errno
import os
import signal
import stat
from pathlib import Path

import pytest

from api_keys_client import NotStored, stores
from tests.support.leaks import assert_hides, shown_by
from tests.support.rotations import caught
from tests.support.storing import (
    MAKERS,
    NEW,
    OLD,
    MakeStore,
    begun,
    created,
    left_in,
    looks_into_proc,
    not_stored,
    unchanged,
)


def test_it_holds_the_secret_and_nothing_else(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(target.parent)
    store, fresh = stores.file("engine"), stores.file("fresh")
    # A relative path stays where it was.
    monkeypatch.chdir("/")
    store(created())
    assert target.read_bytes() == NEW.encode()
    assert left_in(target.parent) == [target.name]
    fresh(created())
    assert target.with_name("fresh").read_text() == NEW


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
def test_only_its_owner_can_read_a_new_one(target: Path, umask: int) -> None:
    target.unlink()
    before = os.umask(umask)
    try:
        stores.file(target)(created())
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize("make", MAKERS, ids=["file", "env_file"])
@pytest.mark.parametrize(("before", "after"), [(0o640, 0o640), (0o600, 0o600), (0o666, 0o660), (0o404, 0o400)])
def test_one_that_is_there_keeps_what_its_owner_and_group_may_do(
    target: Path, make: MakeStore, before: int, after: int
) -> None:
    owner = (1, 2) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(target, *owner)
    target.chmod(before)
    make(target)(created())
    found = target.stat()
    assert (stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)) == (after, owner)
    assert NEW in target.read_text()


@looks_into_proc
def test_it_is_on_the_disk_before_it_has_the_name(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_process_killed_before_the_rename_leaves_the_old_one(target: Path) -> None:
    killed = begun("kill_at_the_rename()\nstores.file(sys.argv[2])(created(sys.argv[3]))", target, NEW)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert target.read_text() == OLD
    (left,) = {*target.parent.iterdir()} - {target}
    assert left.name.startswith(".api-keys-")
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    stores.file(target)(created())
    assert target.read_text() == NEW


def test_a_full_disk(target: Path) -> None:
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


@pytest.mark.parametrize("make", MAKERS, ids=["file", "env_file"])
def test_a_folder_that_cannot_be_flushed_is_no_failure(
    target: Path, monkeypatch: pytest.MonkeyPatch, make: MakeStore
) -> None:
    flush = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    make(target)(created())
    assert NEW in target.read_text()


def test_a_mount_of_its_own_says_what_to_mount(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*_: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(os, "replace", replace)
    assert "mount its folder instead" in not_stored(stores.file(target))
    assert unchanged(target)


@pytest.mark.parametrize("make", MAKERS, ids=["file", "env_file"])
@pytest.mark.parametrize("cut", ["at the flush", "at the rename", "after the rename", "at the folder"])
def test_what_cuts_it_off_shows_no_secret_and_leaves_no_copy(
    target: Path, monkeypatch: pytest.MonkeyPatch, make: MakeStore, cut: str
) -> None:
    flush, rename = os.fsync, os.replace

    def fsync(handle: int) -> None:
        if cut == "at the flush":
            raise KeyboardInterrupt
        if cut == "at the folder" and stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "the disk is gone")
        flush(handle)

    def replace(*paths: Path) -> None:
        if cut != "at the rename":
            rename(*paths)
        if cut != "at the folder":
            raise KeyboardInterrupt

    store = make(target)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    error = caught(lambda: store(created()))
    # After the rename it is not called not stored.
    assert type(error) is (OSError if cut == "at the folder" else KeyboardInterrupt)
    assert_hides(shown_by(error), NEW, OLD)
    if cut in ("at the flush", "at the rename"):
        assert unchanged(target)
    else:
        assert NEW in target.read_text()
    assert left_in(target.parent) == [target.name]
