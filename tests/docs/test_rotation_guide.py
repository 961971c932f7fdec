"""docs/guides/rotation.md: its examples run, and it names what there is."""

from __future__ import annotations

import inspect
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_keys_client import ApiKeysClient, CreatedKey, stores
from api_keys_client.sandbox import Sandbox
from tests.support.rotations import active

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs" / "guides" / "rotation.md").read_text(encoding="utf-8")
SOURCE = (PROJECT / "api_keys_client" / "_sync" / "rotation.py").read_text(encoding="utf-8")

# What every program of a recipe is in the tests: it keeps its arguments, its environment and its input.
PROGRAM = """#!/bin/sh
printf '%s\\n' "$0" "$@" >>"$SEEN/arguments"
env >>"$SEEN/environment"
tee -a "$SEEN/input"
"""
KEYRING = """
import os

def set_password(service, name, password):
    with open(os.environ["SEEN"] + "/input", "a") as seen:
        seen.write(password)
"""


def examples() -> dict[str, str]:
    """The Python under each heading; of two, the second has its own name."""
    found: dict[str, str] = {}
    first, *sections = re.split(r"^## (.+)\n", GUIDE, flags=re.MULTILINE)
    for title, text in [("The beginning", first), *zip(sections[::2], sections[1::2], strict=True)]:
        for number, code in enumerate(re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)):
            found[f"{title}, another" if number else title] = code
    return found


EXAMPLES = examples()


@pytest.fixture
def old(engine: Sandbox) -> Iterator[CreatedKey]:
    with ApiKeysClient(engine.url, token=engine.token) as client:
        yield client.create("nightly evaluation", ["VALIDATION-USER"])


def run(title: str, folder: Path, engine: Sandbox) -> str:
    """What an example prints."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXAMPLES[title]],
        cwd=folder,
        env={**os.environ, "API_KEYS_BASE_URL": engine.url, "API_KEYS_TOKEN": engine.token},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


def is_in(place: Path, engine: Sandbox) -> str:
    """The only key that is active, which is the one that is stored there."""
    assert engine.accepts(place.read_text())
    (key_id,) = active(engine)
    return key_id


def test_there_is_no_other_example() -> None:
    assert list(EXAMPLES) == [
        "The beginning",
        "What a cut leaves",
        "Going on after a cut",
        "Giving programs time",
        "Stores",
        "Stores, another",
    ]


def test_the_first_one_rotates_a_key(engine: Sandbox, old: CreatedKey, tmp_path: Path) -> None:
    printed = run("The beginning", tmp_path, engine)
    assert printed == f"{old.id} -> {is_in(tmp_path / 'engine-key', engine)}\n"
    assert stat.S_IMODE((tmp_path / "engine-key").stat().st_mode) == 0o600


def test_a_store_that_failed_is_undone(engine: Sandbox, old: CreatedKey, tmp_path: Path) -> None:
    *text, last = run("What a cut leaves", tmp_path, engine).splitlines()
    (ended,) = {key.id for key in engine.keys()} - {old.id}
    assert last == f"store {old.id} {ended}"
    assert "both active" in "".join(text)
    assert active(engine) == {old.id}


def test_it_goes_on_after_a_cut(engine: Sandbox, old: CreatedKey, tmp_path: Path) -> None:
    place = tmp_path / "engine-key"
    with ApiKeysClient(engine.url, token=engine.token) as client:
        new = client.rotate(old.id, store=stores.file(place), keep_old=True).new
    assert run("Going on after a cut", tmp_path, engine) == f"leftovers ['{old.id}']\n"
    assert is_in(place, engine) not in (old.id, new.id)


def test_the_old_key_is_kept_for_a_while(engine: Sandbox, old: CreatedKey, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nENGINE_KEY=x # why\n")
    assert run("Giving programs time", tmp_path, engine) == ""
    value = re.fullmatch(r"A=1\nENGINE_KEY=(.+) # why\n", (tmp_path / ".env").read_text())
    assert value
    (tmp_path / "value").write_text(value[1])
    assert is_in(tmp_path / "value", engine) != old.id


def test_an_own_store(engine: Sandbox, old: CreatedKey, tmp_path: Path) -> None:
    assert run("Stores, another", tmp_path, engine) == ""
    assert is_in(tmp_path / "engine-key", engine) != old.id


@pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")
@pytest.mark.parametrize(
    ("recipe", "programs"),
    {"vault": ["vault"], "aws": ["aws"], "kubernetes": ["kubectl"] * 2, "keyring": [], "github": ["gh"]}.items(),
)
def test_a_recipe_gives_the_secret_on_standard_input_only(
    old: CreatedKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, programs: list[str]
) -> None:
    for program in programs:
        (tmp_path / program).write_text(PROGRAM)
        (tmp_path / program).chmod(0o700)
    (tmp_path / "keyring.py").write_text(KEYRING)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SEEN", str(tmp_path))
    names: dict[str, stores.Store] = {}
    exec(EXAMPLES["Stores"], {}, names)  # the guide's own
    names[recipe](old)
    secret = old.key.get_secret_value()
    assert (tmp_path / "input").read_text() == secret * (len(programs) or 1)
    seen = "".join((tmp_path / name).read_text() for name in ("arguments", "environment") if programs)
    assert secret not in seen
    assert [line for line in seen.splitlines() if line in {str(tmp_path / name) for name in programs}] == [
        str(tmp_path / name) for name in programs
    ]


def test_every_argument_and_store_is_named() -> None:
    for name in inspect.signature(ApiKeysClient.rotate).parameters.keys() - {"self", "key_id"}:
        assert re.search(rf"`{name}\b|[( ]{name}=", GUIDE), name
    for name in stores.__all__:
        assert f"stores.{name}" in GUIDE, name


def test_the_stages_in_the_table_are_those_that_there_are() -> None:
    described = set(re.findall(r"`stage` is `(\w+)`", GUIDE))
    stages = set(re.findall(r'\bstage ?= ?"(\w+)"', SOURCE))
    # Before anything was looked at, only the key itself can be the reason.
    assert described == stages - {"list"}


def test_the_links_resolve() -> None:
    titles = re.findall(r"^## (.+)", GUIDE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    links = re.findall(r"\]\((.+?)\)", GUIDE)
    assert links
    assert {link.removeprefix("#") for link in links} <= anchors
