"""The dry run of a release; what is built is seen by `scripts/release --check` itself."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from tests.support.spec_sources import PROJECT
from tests.support.syncing import importing

with importing("release") as release:
    LISTED = release.CONTENT.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with the files that are listed, those of the packages as they are here."""
    made = tmp_path / "api_keys_client-9.9-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as opened:
        for name in LISTED:
            path = PROJECT / name
            opened.writestr(name.replace("-*.", "-9.9."), path.read_bytes() if path.is_file() else b"")
    return made


def test_the_list_of_what_the_wheel_has_names_every_module() -> None:
    """Of each package every file, so that a module is not forgotten, and nothing gets in that nobody meant to ship."""
    folders = [PROJECT / name for name in ("_generated", "api_keys_client")]
    files = [path.relative_to(PROJECT) for folder in folders for path in folder.rglob("*") if path.is_file()]
    # These stand elsewhere in the project, and are put into the wheel when it is built.
    data = {"api_keys_client/openapi.json", "api_keys_client/conformance/server.md"}
    found = {path.as_posix() for path in files if "__pycache__" not in path.parts} | data
    assert {name for name in LISTED if ".dist-info/" not in name} == found
    assert sorted(set(LISTED)) == LISTED


def test_a_wheel_with_other_files_is_refused(wheel: Path) -> None:
    release.check_content(wheel)
    with zipfile.ZipFile(wheel, "a") as opened:
        opened.writestr("api_keys_client/secrets.txt", "")
    with pytest.raises(release.Failure, match=r"\+api_keys_client/secrets\.txt\n"):
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


def test_beside_another_generated_package_it_works_or_says_what_is_wrong(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "unpacked"
    release.check_beside_another(wheel, folder)
    assert f": {release.REFUSES}{folder / '_generated'}" in capsys.readouterr().out


def test_the_steps_name_what_is_there() -> None:
    for name in re.findall(r"\./(scripts/\w+)|([A-Z]+\.md)", release.STEPS):
        assert (PROJECT / "".join(name)).is_file()
