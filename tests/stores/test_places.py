"""Which files and folders a secret is not put into."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api_keys_client import InvalidRequestError, Outcome, stores
from tests.support.rotations import caught
from tests.support.storing import MAKERS, NEW, OLD, MakeStore, created, left_in, not_stored, unchanged

NOBODY = 65534


@pytest.mark.parametrize("make", MAKERS, ids=["file", "env_file"])
def test_what_can_hold_no_secret_is_refused_when_the_store_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: MakeStore
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("link").symlink_to("elsewhere")
    places: list[tuple[Any, str]] = [
        (None, "not NoneType"),
        (b"engine", "not bytes"),
        ("\ud800", "lone surrogate"),
        ("n" * 256, "name too long"),
        ("f/" * 2500 + "engine", "name too long"),
        ("a\0b", "no path"),
        ("", "no regular file"),
        ("/", "no regular file"),
        ("fifo", "no regular file"),
        ("missing/engine", "folder is not there"),
        ("link", "symlink: follow_symlinks=True"),
    ]
    for path, problem in places:
        with pytest.raises(InvalidRequestError, match=problem) as refusal:
            make(path)
        assert refusal.value.outcome is Outcome.NOT_SENT
        assert str(refusal.value).isprintable()
    assert {*os.listdir()} == {"fifo", "link"}


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InvalidRequestError, match="working directory is gone"):
        stores.file("engine")
    stores.file(tmp_path / "engine")(created())


def test_a_place_that_is_unfit_by_then_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, elsewhere = tmp_path / "folder" / "engine", tmp_path / "elsewhere"
    elsewhere.write_text(OLD)
    store = stores.file(target)
    target.symlink_to(elsewhere)
    assert "symlink" in not_stored(store)
    assert (elsewhere.read_text(), target.is_symlink()) == (OLD, True)
    target.unlink()
    target.parent.rmdir()
    assert "folder is not there" in not_stored(store)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o707], ids=oct)
def test_a_folder_that_others_can_write_to_is_refused(target: Path, mode: int) -> None:
    store = stores.file(target)
    target.parent.chmod(mode)
    with pytest.raises(InvalidRequestError, match=f"others can write to {target.parent}"):
        stores.file(target)
    assert "others can write" in not_stored(store)
    assert unchanged(target)


@pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o755, False)])
def test_so_is_one_below_such_a_folder(tmp_path: Path, mode: int, refused: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    tmp_path.chmod(mode)
    error = caught(lambda: stores.file(folder / "engine"))
    assert isinstance(error, InvalidRequestError) if refused else error is None


def test_a_link_in_the_way_does_not_hide_such_a_folder(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    (open_to_all / "mine").mkdir(parents=True)
    open_to_all.chmod(0o777)
    (tmp_path / "link").symlink_to(open_to_all / "mine")
    with pytest.raises(InvalidRequestError, match=f"others can write to {open_to_all}"):
        stores.file(tmp_path / "link" / "engine")


@pytest.mark.parametrize("make", [stores.file, lambda path, **more: stores.env_file(path, "KEY", **more)])
def test_a_symlink_is_followed_if_that_is_said(tmp_path: Path, make: Callable[..., stores.Store]) -> None:
    (tmp_path / "there").mkdir()
    place, link = tmp_path / "there" / "engine", tmp_path / "link"
    link.symlink_to(place)
    for _ in range(2):
        make(link, follow_symlinks=True)(created())
    assert NEW in place.read_text()
    assert os.readlink(link) == str(place)
    (tmp_path / "there").chmod(0o777)
    with pytest.raises(InvalidRequestError, match=rf"others can write to {tmp_path}/there: chmod go-w"):
        make(link, follow_symlinks=True)
    (tmp_path / "there").chmod(0o700)
    (tmp_path / "open").mkdir(mode=0o700)
    theirs = tmp_path / "open" / "link"
    theirs.symlink_to("../link")
    make(theirs, follow_symlinks=True)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(InvalidRequestError, match=rf"at {theirs}: it is a symlink that cannot be followed: others"):
        make(theirs, follow_symlinks=True)
    with pytest.raises(InvalidRequestError, match="follow_symlinks="):
        make(link, follow_symlinks="no")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InvalidRequestError):
        make(tmp_path / "loop", follow_symlinks=True)


def test_a_file_with_an_acl_is_refused_before_there_is_a_key(target: Path) -> None:
    store = stores.file(target)
    # One entry for a user beside the three that a mode stands for.
    entries = ((1, 6, -1), (2, 4, 1234), (4, 4, -1), (16, 4, -1), (32, 0, -1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(target, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("this filesystem has no ACLs")
    with pytest.raises(InvalidRequestError, match=f"it has an ACL, which would be lost: setfacl -b {target}"):
        stores.file(target)
    assert "it has an ACL" in not_stored(store)
    assert unchanged(target)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
@pytest.mark.parametrize(
    ("owner", "group", "way_out"), [(0, NOBODY, f"chown {NOBODY}"), (NOBODY, 0, f"chgrp {os.getegid()}")]
)
def test_an_owner_or_group_that_would_be_lost_is_refused(owner: int, group: int, way_out: str) -> None:
    with without_privileges() as folder:
        place = folder / "engine"
        place.write_text(OLD)
        os.seteuid(0)
        os.chown(place, owner, group)
        groups = os.getgroups()
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(InvalidRequestError, match=way_out.split()[0]):
                stores.file(place)
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
        assert place.read_text() == OLD


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    with pytest.raises(InvalidRequestError, match="belongs to another user"):
        stores.file(tmp_path / "engine")


def test_a_folder_that_is_read_only_or_cannot_be_looked_at() -> None:
    with without_privileges() as folder:
        store = stores.file(folder / "engine")
        folder.chmod(0o300)
        store(created())
        (folder / "engine").unlink()
        stores.env_file(folder / "engine", "KEY")(created())
        (folder / "engine").unlink()
        folder.chmod(0o500)
        assert "Permission denied" in not_stored(store)
        assert left_in(folder) == []
        folder.chmod(0)
        assert "Permission denied" in not_stored(store)
        with pytest.raises(InvalidRequestError, match="Permission denied"):
            stores.file(folder / "engine")


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
