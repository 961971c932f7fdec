"""One client in forked processes. These are the sync client's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.support.certificates import presenting
from tests.support.wire import KEY_ID, PATIENCE, Peer, Request, Server, good, good_when

both_schemes = pytest.mark.parametrize("scheme", ["http", "https"])
on_posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


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
    arrived, go_on = threading.Event(), threading.Event()
    with Server(good_when(go_on, arrived)) as server, script(CHILD_THAT_CLOSES, server) as process:
        assert process.stdin
        assert process.stdout
        assert arrived.wait(PATIENCE)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        go_on.set()
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
def test_a_process_may_fork_while_its_threads_call() -> None:
    with Server() as server, script(CHILD_OF_A_BUSY_MOMENT, server):
        pass
