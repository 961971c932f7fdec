"""The dry run of a release; what is built is seen by `scripts/release --check` itself."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from tests.support.spec_sources import PROJECT
from tests.support.syncing import importing

with importing("release") as release:
    pass


def test_a_wheel_with_other_files_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "made-9.9-py3-none-any.whl"
    known = release.run("git", "ls-files", "_generated", "api_keys_client").splitlines()
    with zipfile.ZipFile(wheel, "w") as opened:
        for name in (*known, *release.DATA, *(f"made-9.9.dist-info/{name}" for name in release.INFO)):
            opened.writestr(name, "")
    release.check_content(wheel)
    with zipfile.ZipFile(wheel, "a") as opened:
        opened.writestr("api_keys_client/secrets.txt", "")
    with pytest.raises(release.Failure, match=r"api_keys_client/secrets\.txt"):
        release.check_content(wheel)


def test_a_readme_with_relative_links_is_refused(tmp_path: Path) -> None:
    made = tmp_path / "made.whl"
    for link in ("https://example.com/docs/a.md", "#part", "docs/a.md"):
        with zipfile.ZipFile(made, "w") as opened:
            opened.writestr("made-1.dist-info/METADATA", f"Name: made\n\n[a]({link})\n")
        if link != "docs/a.md":
            release.check_links(made)
    with pytest.raises(release.Failure, match=r"relative: docs/a\.md"):
        release.check_links(made)


def test_the_steps_name_what_is_there() -> None:
    for name in re.findall(r"\./(scripts/\w+)|([A-Z]+\.md)", release.STEPS):
        assert (PROJECT / "".join(name)).is_file()
