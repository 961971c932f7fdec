"""docs/guides/rotation.md: its examples run, and it names what there is."""

from __future__ import annotations

import inspect
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api_keys_client import ApiKeysClient, CreatedKey, stores
from api_keys_client.sandbox import Sandbox
from tests.support.pages import PROJECT, Page
from tests.support.rotations import active

GUIDE = Page("docs/guides/rotation.md")
FIRST, CUT, GOING_ON, TIME, STORES = GUIDE.examples


@pytest.fixture
def old(engine: Sandbox) -> Iterator[CreatedKey]:
    with ApiKeysClient(engine.url, token=engine.token) as client:
        yield client.create("nightly evaluation", ["VALIDATION-USER"])


def the_active_one(engine: Sandbox, secret: str) -> str:
    """The only key that is active, which is the one whose secret this is."""
    assert engine.accepts(secret)
    (key_id,) = active(engine)
    return key_id


def test_the_first_one_rotates_a_key(engine: Sandbox, old: CreatedKey, run: Callable[[str], list[str]]) -> None:
    printed = run(GUIDE.examples[FIRST][0])
    assert printed == [f"{old.id} -> {the_active_one(engine, Path('engine-key').read_text())}"]
    assert stat.S_IMODE(Path("engine-key").stat().st_mode) == 0o600


def test_a_store_that_failed_is_undone(engine: Sandbox, old: CreatedKey, run: Callable[[str], list[str]]) -> None:
    *text, last = run(GUIDE.examples[CUT][0])
    (ended,) = {key.id for key in engine.keys()} - {old.id}
    assert last == f"store {old.id} {ended}"
    assert "both active" in "".join(text)
    assert active(engine) == {old.id}


def test_it_goes_on_after_a_cut(engine: Sandbox, old: CreatedKey, run: Callable[[str], list[str]]) -> None:
    place = Path("engine-key")
    with ApiKeysClient() as client:
        new = client.rotate(old.id, store=stores.file(place), keep_old=True).new
    assert run(GUIDE.examples[GOING_ON][0]) == [f"leftovers ['{old.id}']"]
    assert the_active_one(engine, place.read_text()) not in (old.id, new.id)


def test_the_old_key_is_kept_for_a_while(engine: Sandbox, old: CreatedKey, run: Callable[[str], list[str]]) -> None:
    Path(".env").write_text("A=1\nENGINE_KEY=x # why\n")
    assert run(GUIDE.examples[TIME][0]) == []
    value = re.fullmatch(r"A=1\nENGINE_KEY=(.+) # why\n", Path(".env").read_text())
    assert value
    assert the_active_one(engine, value[1]) != old.id


def test_an_own_store(engine: Sandbox, old: CreatedKey, run: Callable[[str], list[str]]) -> None:
    assert run(GUIDE.examples[STORES][0]) == []
    assert the_active_one(engine, Path("engine-key").read_text()) != old.id


def test_every_argument_store_and_stage_is_named() -> None:
    for name in inspect.signature(ApiKeysClient.rotate).parameters.keys() - {"self", "key_id"}:
        assert re.search(rf"`{name}\b|[( ]{name}=", GUIDE.text), name
    for name in stores.__all__:
        assert f"stores.{name}" in GUIDE.text, name
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT / "api_keys_client").rglob("*rotat*.py")]
    stages = set(re.findall(r'\bstage ?= ?"(\w+)"', "".join(sources)))
    # Before anything was looked at, only the key itself can be the reason.
    assert set(re.findall(r"`stage` is `(\w+)`", GUIDE.text)) == stages - {"list"}
