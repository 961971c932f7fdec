"""docs/guides/async.md: each of its examples runs, in what it is written for."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from api_keys_client import ApiKeysClient, AsyncApiKeysClient
from api_keys_client.sandbox import Fault, Sandbox
from tests.support.calling import UNKNOWN_ID
from tests.support.pages import PROJECT, Page
from tests.support.tasks import run as run_to_its_end

EXAMPLES = Page("docs/guides/async.md").examples
FIRST, FASTAPI, CELERY, NOTEBOOK, CANCELLED = EXAMPLES

# One process of a worker without a broker: Celery runs the task where it is asked for.
WORKER = """
import sys
import jobs
from celery.signals import worker_process_init, worker_process_shutdown

jobs.app.conf.task_always_eager = True
worker_process_init.send(None)
print(jobs.describe.delay(sys.argv[1:]).get())
worker_process_shutdown.send(None)
"""


@pytest.fixture
def environment(set_up: Sandbox) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}


def test_the_first_example(engine: Sandbox, run: Callable[[str], list[str]]) -> None:
    (example,) = EXAMPLES[FIRST]
    assert run(example) == [engine.keys()[0].id, "1"]


@contextmanager
def child(command: list[str], folder: Path, environment: dict[str, str], ready: str) -> Iterator[tuple[str, list[str]]]:
    """A server that is stopped afterwards by Ctrl-C: the line that says it is ready, and all lines until its end."""
    lines: list[str] = []
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=folder, env=environment, **pipes) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                lines.append(line)
                if ready in line:
                    break
            assert process.poll() is None, "".join(lines)
            yield lines[-1], lines
            process.send_signal(signal.SIGINT)
            lines.extend(process.communicate(timeout=30)[0].splitlines(keepends=True))
        finally:
            process.kill()


def test_fastapi(engine: Sandbox, environment: dict[str, str], tmp_path: Path) -> None:
    (example,) = EXAMPLES[FASTAPI]
    (tmp_path / "service.py").write_text(example)
    with ApiKeysClient(engine.url, token=engine.token) as client:
        key_id = client.create("ci").id
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", "0", "--lifespan", "on"]
    with child(command, tmp_path, environment, "running on") as (line, lines):
        url = re.findall(r"http://[\d.:]+", line)[0]
        with urllib3.PoolManager() as pool:
            answers = [pool.request("GET", f"{url}/keys/{name}") for name in (key_id, UNKNOWN_ID, key_id)]
        assert [answer.status for answer in answers] == [200, 404, 200]
        assert answers[-1].json() == {"description": "ci", "active": True}
    assert any("Application shutdown complete" in line for line in lines)
    assert not any("Unclosed" in line or "Traceback" in line for line in lines), "".join(lines)


def test_celery(engine: Sandbox, environment: dict[str, str], tmp_path: Path) -> None:
    (example,) = EXAMPLES[CELERY]
    (tmp_path / "jobs.py").write_text(example)
    with ApiKeysClient(engine.url, token=engine.token) as client:
        key_ids = [client.create(f"key {number}").id for number in range(3)]
    environment["PYTHONPATH"] = os.pathsep.join((str(tmp_path), str(PROJECT)))
    command = [sys.executable, "-W", "error", "-c", WORKER, *key_ids]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (finished.stdout.strip(), finished.stderr) == (str(["key 0", "key 1", "key 2"]), "")


def test_a_notebook(set_up: Sandbox) -> None:
    """As its kernel does: the cells one after the other, on one loop that does not end between them."""
    names: dict[str, Any] = {}
    with closing(asyncio.new_event_loop()) as loop:
        for cell in EXAMPLES[NOTEBOOK]:
            code = compile(cell, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            assert inspect.CO_COROUTINE & code.co_flags
            loop.run_until_complete(types.FunctionType(code, names)())
    assert [outcome.key_id for outcome in names["outcomes"]] == [names["created"].id]
    assert [key.is_active for key in set_up.keys()] == [False]


def test_a_cancelled_creation(set_up: Sandbox) -> None:
    (example,) = EXAMPLES[CANCELLED]
    names: dict[str, Any] = {}
    exec(example, names)
    release = threading.Event()

    async def main() -> None:
        async with AsyncApiKeysClient() as client:
            assert set_up.accepts(await names["create_within"](client, 5))
            set_up.queue(Fault.hold(threading.Event(), release, committed=True), operation="create")
            with pytest.raises(TimeoutError):
                await names["create_within"](client, 1)

    run_to_its_end(main())
    release.set()
    assert [key.is_active for key in set_up.keys()] == [True, False]
