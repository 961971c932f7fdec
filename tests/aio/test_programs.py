"""What programs load of asyncio, and what they do without aiohttp."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import api_keys_client
from api_keys_client.sandbox import Sandbox

PROJECT = Path(api_keys_client.__file__).parent.parent


def run(code: str, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (PROJECT, PROJECT / "scripts")))}
    command = [sys.executable, *options, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def output(finished: subprocess.CompletedProcess[str]) -> str:
    # asyncio's debug mode also tells of steps that a busy machine made slow.
    complaints = [line for line in finished.stderr.splitlines() if not line.startswith("Executing <")]
    assert complaints == []
    assert finished.returncode == 0
    return finished.stdout.strip()


@pytest.mark.parametrize(
    "use",
    [
        "import api_keys_client",
        "from api_keys_client import ApiKeysClient; ApiKeysClient(sys.argv[1], token=sys.argv[2]).list()",
    ],
)
def test_the_sync_client_loads_nothing_of_asyncio(engine: Sandbox, use: str) -> None:
    code = f"import sys; {use}; print({{'aiohttp', 'asyncio', 'yarl'}} & {{*sys.modules}})"
    assert output(run(code, engine.url, engine.token)) == "set()"


def test_without_aiohttp_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['aiohttp'] = None; from api_keys_client import ApiKeysClient, AsyncApiKeysClient"
    finished = run(code)
    assert finished.returncode
    assert finished.stderr.splitlines()[-1] == (
        "ImportError: AsyncApiKeysClient needs aiohttp: pip install 'api-keys-client[async]'"
    )


def test_without_aiohttp_what_goes_through_all_names_goes_past_it() -> None:
    code = """
import inspect, pydoc, sys
sys.modules["aiohttp"] = None
import api_keys_client
from unittest.mock import create_autospec
from api_keys_client import *

inspect.getmembers(api_keys_client)
pydoc.render_doc(api_keys_client)
create_autospec(api_keys_client)
"""
    assert output(run(code)) == ""
