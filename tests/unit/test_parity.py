"""The two clients are one to the reader: the same names, signatures and docstrings, but for what asyncio adds."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

import api_keys_client
from api_keys_client import ApiKeysClient, AsyncApiKeysClient
from api_keys_client._transport import aio, sync

SYNC_ONLY = {"generated"}
TRANSLATED = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
PAIRS = [
    (AsyncApiKeysClient, ApiKeysClient),
    (api_keys_client.AsyncRotation, api_keys_client.Rotation),
]
TWINS = {"send", "sleep", "close"}
"""What the drivers have each in their own way; the methods of both clients call them."""


def members(kind: type) -> dict[str, object]:
    return {
        TRANSLATED.get(name, name): member
        for name, member in inspect.getmembers(kind)
        if (
            not name.startswith("_")
            or name in {*TRANSLATED, *TRANSLATED.values(), "__init__", "__repr__", "__reduce__"}
        )
    }


def translated(text: str) -> str:
    for kind, other in PAIRS:
        text = text.replace(kind.__name__, other.__name__)
    return text.replace("AsyncIterator", "Iterator").replace("_GeneratorContextManager", "")


def signature(member: object) -> str:
    assert callable(member)
    return translated(str(inspect.signature(member)))


@pytest.mark.parametrize(("made_async", "made_sync"), PAIRS)
def test_names_signatures_and_docstrings_are_the_same(made_async: type, made_sync: type) -> None:
    ours, theirs = members(made_async), members(made_sync)
    extra = SYNC_ONLY if made_sync is ApiKeysClient else set()
    assert ours.keys() == theirs.keys() - extra
    assert made_async.__doc__ == made_sync.__doc__
    for name, member in ours.items():
        assert signature(member) == signature(theirs[name]), name
        # The examples of the one wait for what they call.
        told = (inspect.getdoc(member) or "").replace("await ", "").replace("async ", "")
        assert told == (inspect.getdoc(theirs[name]) or "").replace("async ", ""), name


@pytest.mark.parametrize(("made_async", "made_sync"), PAIRS)
def test_what_does_io_is_a_coroutine_function_and_nothing_of_the_sync_client_is(
    made_async: type, made_sync: type
) -> None:
    at_once = {"with_options", "temporary_key", "__init__", "__repr__", "__reduce__"}
    for name, member in members(made_async).items():
        assert inspect.iscoroutinefunction(member) == (inspect.isfunction(member) and name not in at_once), name
    assert not any(inspect.iscoroutinefunction(member) for member in members(made_sync).values())


def test_every_public_method_has_a_docstring() -> None:
    for name, member in members(AsyncApiKeysClient).items():
        if not name.startswith("_"):
            assert inspect.getdoc(member), name


@pytest.mark.parametrize("name", sorted(TWINS))
def test_the_twins_of_the_drivers_take_the_same(name: str) -> None:
    def parameters(module: ModuleType) -> list[str]:
        return list(inspect.signature(getattr(module.Transport, name)).parameters)

    assert parameters(aio) == parameters(sync)
