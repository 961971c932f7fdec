"""One client in forked processes, and errors across a process pool. These are the sync client's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest
import trustme

from api_keys_client import ApiKeysClient, ApiKeysError
from tests.support.certificates import presenting
from tests.support.failing import OPERATIONS
from tests.support.gathering import PATIENCE, Gathering, both_schemes
from tests.support.wire import KEY_ID, Act, Peer, Request, Server, answer, good, say

on_posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


SCRIPT = """
import gc, os, queue, signal, ssl, sys, threading
from api_keys_client import ApiKeysClient

url, certificates, key_id = sys.argv[1:]
context = ssl.create_default_context(cafile=certificates) if certificates else None
client = ApiKeysClient(url, token="token", ssl_context=context, headers={"X-Process": "parent"})
view = client.with_options(headers={"X-Process": "child"})

def ends_well(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def run(work, count):
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads
"""

CALLS_WITHOUT_IMPORTS = """
imported = {*sys.modules}
client.list()
client.create()
client.get(key_id)
client.deactivate(key_id)
assert {*sys.modules} == imported, {*sys.modules} - imported
client.close()
"""

CALLS_OF_BOTH = """
client.get(key_id)
pid = os.fork()
if pid == 0:
    # Threads that take turns at any moment, and make the child's first calls at the same one.
    sys.setswitchinterval(1e-6)
    barrier, got = threading.Barrier(8), []
    def call():
        barrier.wait()
        got.append(view.get(key_id))
    for thread in run(call, 8):
        thread.join()
    view.close()
    client.close()
    sys.exit(len(got) != 8)
assert ends_well(pid)
client.get(key_id)
client.close()
"""

CHILD_THAT_CLOSES = """
got = []
(thread,) = run(lambda: got.append(client.get(key_id)), 1)
sys.stdin.readline()
pid = os.fork()
if pid == 0:
    client.close()
    os._exit(0)
assert ends_well(pid)
print("the child has ended", flush=True)
thread.join()
assert got
client.close()
"""

CHILD_OF_A_BUSY_MOMENT = """
client.get(key_id)
# As if other threads were in the middle of taking a connection, or of giving one back.
locks = [thing.mutex for thing in gc.get_objects() if isinstance(thing, queue.Queue)]
assert locks
for lock in locks:
    lock.acquire()
pid = os.fork()
if pid == 0:
    signal.alarm(10)
    view.get(key_id)
    view.close()
    client.close()
    os._exit(0)
for lock in locks:
    lock.release()
assert ends_well(pid)
client.close()
"""

FORKS_WHILE_THREADS_CALL = """
ended = threading.Event()
def call():
    while not ended.is_set():
        client.get(key_id)
threads = run(call, 16)
for _ in range(40):
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        view.get(key_id)
        view.get(key_id)
        os._exit(0)
    assert ends_well(pid)
ended.set()
for thread in threads:
    thread.join()
client.close()
"""


@contextmanager
def script(code: str, server: Server, certificates: str = "") -> Iterator[subprocess.Popen[str]]:
    """The code in a process of its own, where threads and forks may meet; it has to end well, and silently."""
    options = ["-W", "error::ResourceWarning", "-W", "ignore::DeprecationWarning"]
    command = [sys.executable, *options, "-c", SCRIPT + code, server.url, certificates, KEY_ID]
    pipe = subprocess.PIPE
    # Not measured: coverage's own locks do not survive a fork while other threads run.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            yield process
            _, complaints = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, complaints) == (0, "")


@on_posix
@both_schemes
def test_a_forked_child_has_its_own_connections(authority: trustme.CA, scheme: str, tmp_path: Path) -> None:
    certificates = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(certificates)
    used = defaultdict[Peer, list[str]](list)

    def note(peer: Peer, request: Request) -> None:
        used[peer].append(request.headers["x-process"])
        good(peer, request)

    with Server(*[note] * 99, tls=presenting(authority) if scheme == "https" else None) as server:
        with script(CALLS_OF_BOTH, server, str(certificates)):
            pass
    first, *others = used.values()
    assert first == ["parent", "parent"]
    assert [process for processes in others for process in processes] == ["child"] * 8


@on_posix
def test_a_forked_child_that_closes_leaves_the_parents_calls_alone() -> None:
    gathering = Gathering(1)
    with Server(gathering.until_let_go) as server, script(CHILD_THAT_CLOSES, server) as process:
        assert process.stdin
        assert process.stdout
        assert gathering.complete.wait(PATIENCE)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        gathering.go_on.set()
    assert server.connections == 1


@both_schemes
def test_no_call_imports_anything(authority: trustme.CA, scheme: str, tmp_path: Path) -> None:
    """A process that is forked meanwhile would wait for it to be imported, for ever."""
    certificates = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(certificates)
    with Server(tls=presenting(authority) if scheme == "https" else None) as server:
        with script(CALLS_WITHOUT_IMPORTS, server, str(certificates)):
            pass


@on_posix
@pytest.mark.parametrize(
    "code", [CHILD_OF_A_BUSY_MOMENT, FORKS_WHILE_THREADS_CALL], ids=["a lock is held", "16 threads"]
)
def test_a_process_may_fork_while_its_threads_call(code: str) -> None:
    with Server() as server, script(code, server):
        pass


ENDS: dict[str, tuple[str, Act]] = {
    "AuthenticationError": ("list", answer(401, b'{"detail": "Unauthorized"}')),
    "PermissionDeniedError": ("create", answer(403, b'{"detail": "Forbidden"}')),
    "KeyNotFoundError": ("deactivate", answer(404, b'{"detail": "API Key not found"}')),
    "InvalidRequestError": ("create", answer(422, b'{"detail": [{"loc": ["body"], "msg": "no"}]}')),
    "RateLimitedError": ("get", answer(429, b"{}", "Retry-After: 7")),
    "ServerError": ("deactivate", answer(503, b"<html>")),
    "UnexpectedResponseError": ("get", answer(200, b"{}")),
    "OutcomeUnknownError": ("create", say()),
    "ApiConnectionError": ("list", say()),
}


def call_it(url: str, operation: str) -> object:
    """What a worker process runs."""
    with ApiKeysClient(url, token="token", max_attempts=1) as client:
        return OPERATIONS[operation](client)


def test_a_process_pool_gets_errors_back_whole() -> None:
    acts = [act for _, act in ENDS.values() for _ in range(2)]
    with Server(*acts) as server, ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for name, (operation, _) in ENDS.items():
            with pytest.raises(ApiKeysError) as here:
                call_it(server.url, operation)
            with pytest.raises(ApiKeysError) as there:
                pool.submit(call_it, server.url, operation).result(60)
            assert type(there.value) is type(here.value)
            assert type(there.value).__name__ == name
            assert without_time(there.value) == without_time(here.value)
        with ApiKeysClient(server.url, token="token") as client:
            with pytest.raises(TypeError, match="make another"):
                pool.submit(client.get, KEY_ID).result(60)


def without_time(error: ApiKeysError) -> tuple[str, dict[str, object]]:
    return re.sub(r"\d+\.\d s", "", str(error)), {**vars(error), "args": None, "elapsed": None}
