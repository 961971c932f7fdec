"""Keys that are ended while the interpreter ends: by a function of `atexit`, or by what is left open."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from api_keys_client.sandbox import Fault, Sandbox

PATIENCE = 30.0
"""Seconds; each program takes less than one, and a call that hangs would take its deadline of 60."""


def ends(sandbox: Sandbox, program: str, *options: str) -> str:
    """What a program says on stderr that ends by itself."""
    head = f"from api_keys_client import *\nURL, TOKEN = {sandbox.url!r}, {sandbox.token!r}\n"
    command = [sys.executable, *options, "-c", head + textwrap.dedent(program)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    return ended.stderr


PROGRAMS = {
    "a function registered before the client is made": """
        import atexit
        atexit.register(lambda: client.deactivate(key.id))
        client = ApiKeysClient(URL, token=TOKEN)
        key = client.create("ci")
    """,
    "many keys": """
        import atexit
        atexit.register(lambda: client.deactivate_many([key.id]))
        client = ApiKeysClient(URL, token=TOKEN)
        client.deactivate_many([client.create("ci").id])
        key = client.create("ci")
    """,
    "a stack that is closed at the end": """
        import atexit, contextlib
        stack = contextlib.ExitStack()
        atexit.register(stack.close)
        client = stack.enter_context(ApiKeysClient(URL, token=TOKEN))
        stack.enter_context(client.temporary_key("ci"))
    """,
    "a generator in a cycle": """
        def keys():
            with ApiKeysClient(URL, token=TOKEN) as client, client.temporary_key("ci") as key:
                yield key
        held = {"generator": keys()}
        held["held"] = held
        next(held["generator"])
        del held
    """,
    "a thread that is left": """
        import threading
        def work():
            with client.temporary_key("ci"):
                threading.main_thread().join()
        client = ApiKeysClient(URL, token=TOKEN)
        threading.Thread(target=work).start()
    """,
}

AT_THE_LAST_MOMENT = {
    "a global stack that nobody closes": """
        import contextlib
        stack = contextlib.ExitStack()
        client = ApiKeysClient(URL, token=TOKEN)
        stack.enter_context(client.temporary_key("ci"))
    """,
    "a global generator": """
        def keys():
            with ApiKeysClient(URL, token=TOKEN) as client, client.temporary_key("ci") as key:
                yield key
        generator = keys()
        next(generator)
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_key_is_left(engine: Sandbox, name: str) -> None:
    assert ends(engine, PROGRAMS[name], "-W", "error") == ""
    assert engine.keys()
    assert not any(key.is_active for key in engine.keys())


def test_a_key_that_cannot_be_ended_is_named(engine: Sandbox) -> None:
    engine.queue(Fault.status(403), operation="deactivate")
    said = ends(engine, PROGRAMS["a stack that is closed at the end"])
    (key,) = engine.keys()
    assert f"deactivate {key.id}: the server answered 403" in said


@pytest.mark.parametrize("name", AT_THE_LAST_MOMENT)
def test_a_key_that_is_left_to_the_last_moment_is_ended_or_named_at_once(engine: Sandbox, name: str) -> None:
    """The modules that a call needs are being taken apart, so that its answer may not be read any more."""
    said = ends(engine, AT_THE_LAST_MOMENT[name])
    (key,) = engine.keys()
    assert f"Key {key.id} may still be active" in said or not (key.is_active or said)


def test_an_async_key_whose_loop_is_gone_is_named(engine: Sandbox) -> None:
    said = ends(
        engine,
        """
        import asyncio
        async def work():
            async with client.temporary_key("ci"):
                await asyncio.Event().wait()
        client = AsyncApiKeysClient(URL, token=TOKEN)
        loop = asyncio.new_event_loop()
        task = loop.create_task(work())
        loop.run_until_complete(asyncio.wait([task], timeout=1))
        """,
    )
    (key,) = engine.keys()
    assert f"Key {key.id} may still be active" in said
