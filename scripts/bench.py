"""What the client costs, as ratios to hand-written urllib3 (async: aiohttp) and pydantic, on the same canned answers.

CPU seconds of the client's process always; with --instructions also the instructions that valgrind counts, which are
the same on a busy machine. Of memory, what tracemalloc counts once.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import formatdate
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench_clients import KEY_ID, key_ids

PROJECT = Path(__file__).parents[1]
CLIENTS = str(Path(__file__).with_name("bench_clients.py"))


def record(key_id: str, **more: object) -> dict[str, object]:
    return {
        "id": key_id,
        "description": f"nightly evaluation (made 2026-01-02T03:04:05Z, ends 2026-01-03T03:04:05Z #{key_id[-12:]})",
        "is_active": True,
        "created_at": "2026-01-02T03:04:05.678901",
        "message": "",
        "roles": ["VALIDATION-USER"],
        **more,
    }


@lru_cache
def listed(count: int) -> bytes:
    return json.dumps([record(key_id) for key_id in key_ids(count)]).encode()


def canned(text: bytes) -> bytes:
    """An answer in the engine's form: chunked, without Content-Length."""
    head = f"HTTP/1.1 200 OK\r\ndate: {formatdate(usegmt=True)}\r\ncontent-type: application/json\r\n"
    return b"%stransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (head.encode(), len(text), text)


class Canned(BaseHTTPRequestHandler):
    """An engine with as many keys as the first part of the path says, each of which has expired."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        count, _, key_id = self.path[1:].partition("/auth/api_keys/")
        text = json.dumps(record(key_id, is_active=False)).encode() if key_id else listed(int(count))
        self.wfile.write(canned(text))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(canned(json.dumps(record(KEY_ID, key="c2VjcmV0")).encode()))

    def do_DELETE(self) -> None:
        self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")


@contextmanager
def server() -> Iterator[str]:
    """Answers in threads of this process, whose own time is not measured."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Canned) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


class Row(NamedTuple):
    """One measurement: Python's arguments by column."""

    title: str
    columns: dict[str, list[str]]
    calls: int = 0
    """How many a process makes, and measures by itself; with 0 all of the process is measured."""
    is_memory: bool = False


WRAPPERS = {"hand-written": "urllib3", "ours": "ApiKeysClient"}
SYNC = {**WRAPPERS, "_generated": "generated"}
ASYNC = {"hand-written": "aiohttp", "ours": "AsyncApiKeysClient"}


def calling(
    clients: dict[str, str], call: str, *, workers: int = 1, measure: str = "cpu", keys: int = 1000
) -> dict[str, list[str]]:
    """A call and a measure of bench_clients, on an engine with so many keys."""
    return {column: [CLIENTS, client, measure, call, str(workers), str(keys)] for column, client in clients.items()}


def memory(call: str, calls: int, *, keys: int = 1000, workers: int = 1) -> Row:
    """The most memory that so many calls take."""
    clients = ASYNC if workers > 1 else WRAPPERS
    columns = calling(clients, call, workers=workers, measure="peak", keys=keys)
    if call == "get":
        together = f", {workers} tasks" if workers > 1 else ""
        return Row(f"memory: {calls:,} gets{together}", columns, calls, is_memory=True)
    return Row(f"memory: {call} of {keys:,}", columns, calls, is_memory=True)


IMPORT = {
    "hand-written": ["-c", "pass"],
    "ours": ["-c", "import api_keys_client"],
    "_generated": ["-c", "from _generated import APIKeysApi"],
}
ONE_CALL = {
    "hand-written": f"""
import os, urllib3
from pydantic import TypeAdapter
from _generated import ApiKeyResponse
response = urllib3.PoolManager().request("GET", os.environ["API_KEYS_BASE_URL"] + "/auth/api_keys/{KEY_ID}",
    headers={{"Authorization": "Bearer " + os.environ["API_KEYS_TOKEN"], "Accept": "application/json"}}, timeout=30.0)
TypeAdapter(ApiKeyResponse).validate_json(response.data)
""",
    "ours": f"""
import threading
from api_keys_client import ApiKeysClient, Role
ApiKeysClient().get("{KEY_ID}")
""",
    "_generated": f"""
import os, threading
from _generated import ApiClient, APIKeysApi, Configuration
settings = Configuration(host=os.environ["API_KEYS_BASE_URL"], access_token=os.environ["API_KEYS_TOKEN"])
APIKeysApi(ApiClient(settings)).get_api_key_auth_api_keys_api_key_id_get("{KEY_ID}")
""",
}
LIST = {
    "hand-written": [
        "-c",
        ONE_CALL["hand-written"].replace(KEY_ID, "").replace("ApiKeyResponse).", "list[ApiKeyResponse])."),
    ],
    "ours": ["-m", "api_keys_client.cli", "list"],
}
HELP = {"hand-written": ["-c", "pass"], "ours": ["-m", "api_keys_client.cli", "--help"]}

ROWS = [
    Row("get", calling(SYNC, "get"), 500),
    Row("create", calling(SYNC, "create"), 500),
    Row("list of 10", calling(SYNC, "list", keys=10), 200),
    Row("list of 1000", calling(SYNC, "list"), 10),
    Row(
        "list of 100,000",
        calling(WRAPPERS, "list", keys=100_000),
        1,
    ),
    Row("deactivate", calling(SYNC, "deactivate"), 500),
    Row("1000 gets, 16 threads", calling(SYNC, "get", workers=16), 500),
    Row("async get", calling(ASYNC, "get"), 500),
    Row("async create", calling(ASYNC, "create"), 500),
    Row("async list of 1000", calling(ASYNC, "list"), 10),
    Row("async deactivate", calling(ASYNC, "deactivate"), 500),
    Row("async: 1000 gets, 50 tasks", calling(ASYNC, "get", workers=50), 500),
    Row("async: 1000 gets, 200 tasks", calling(ASYNC, "get", workers=200), 500),
    Row("process: import", IMPORT),
    Row("process: import, client, one call", {column: ["-c", code] for column, code in ONE_CALL.items()}),
    Row("process: api-keys --help", HELP),
    Row("process: api-keys list", LIST),
    Row("memory kept by a list of 1000", calling(SYNC, "list", measure="kept"), 1, is_memory=True),
    *(memory("list", 1, keys=keys) for keys in (10, 1000, 100_000)),
    *(memory(call, 1, keys=keys) for call in ("deactivate_many", "sweep") for keys in (1000, 10_000)),
    *(memory("get", calls) for calls in (1000, 100_000)),
    memory("get", 1000, workers=200),
]


def run(command: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    """Run a measured process, which finds the client there, and orders sets the same way each time."""
    # Without what has Python write no compiled modules, or has coverage measure each process.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    environment = {**kept, "PYTHONPATH": str(root), "PYTHONHASHSEED": "0"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"bench: a measured process failed: {command}\n{finished.stderr}")
    return finished


def cpu(command: list[str], root: Path, calls: int) -> float:
    """CPU seconds of a whole process; what it prints, if it measures itself."""
    if calls:
        # As many as the instructions are counted for.
        return float(run([sys.executable, *command, str(2 * calls)], root).stdout)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run([sys.executable, *command], root)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def instructions(command: list[str], root: Path, calls: int) -> float:
    """Instructions of a whole process; of one call, as the difference of many and few, where it makes calls."""
    if calls:
        few, many = (instructions([*command, str(count)], root, 0) for count in (calls, 3 * calls))
        return (many - few) / (2 * calls)
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=yes"]
    finished = run([*valgrind, sys.executable, *command], root)
    found = re.search(r"Collected : (\d+)", finished.stderr)
    if not found:
        raise SystemExit(f"bench: valgrind counted nothing: {command}\n{finished.stderr}")
    return int(found[1])


def cells(row: Row, roots: dict[str, Path], rounds: int, counted: bool) -> list[str]:
    """The row as the table shows it: ratios of instructions, with those of CPU in brackets, or of CPU alone."""
    print(row.title, file=sys.stderr)
    measured = {column: (command, PROJECT, row.calls) for column, command in row.columns.items()}
    measured |= {name: (row.columns["ours"], root, row.calls) for name, root in roots.items()}
    # One round more than asked for: the first leaves the compiled modules behind.
    rounds = 0 if row.is_memory else rounds
    times = [{name: cpu(*each) for name, each in measured.items()} for _ in range(rounds + 1)][1 if rounds else 0 :]
    seconds = {name: statistics.median(each[name] for each in times) for name in measured}
    counts: dict[str, float] = {}
    if counted and not row.is_memory:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            counting = {name: pool.submit(instructions, *each) for name, each in measured.items()}
        counts = {name: future.result() for name, future in counting.items()}
    by_hand = "hand-written"
    absolute = f"{seconds[by_hand] / 1024:,.0f} KiB" if row.is_memory else ""
    cells = [row.title, f"{counts[by_hand] / 1000:,.0f}" if counts else absolute]
    for column in ("ours", *roots, "_generated"):
        if column not in measured:
            cells.append("")
        elif counts:
            ratio = counts[column] / counts[by_hand]
            cells.append(f"{ratio:.3f} ({seconds[column] / seconds[by_hand]:.2f})")
        else:
            cells.append(f"{seconds[column] / seconds[by_hand]:.2f}")
    return cells


@contextmanager
def other_commit(revision: str | None) -> Iterator[dict[str, Path]]:
    """The packages at that commit, by the name of their column."""
    if not revision:
        yield {}
        return
    with TemporaryDirectory() as folder:
        command = ["git", "archive", "--output", f"{folder}/packages.zip", revision, "api_keys_client", "_generated"]
        archived = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        if archived.returncode:
            raise SystemExit(f"bench: {archived.stderr.strip()}")
        shutil.unpack_archive(f"{folder}/packages.zip", folder)
        yield {f"ours at {revision}": Path(folder)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instructions", action="store_true", help="count instructions too (some minutes)")
    parser.add_argument("--against", metavar="REV", help="measure this commit's client beside")
    parser.add_argument("--rounds", type=int, default=5, help="of CPU times; the median counts (default %(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose name holds this")
    arguments = parser.parse_args()
    if arguments.instructions and not shutil.which("valgrind"):
        parser.exit(3, "bench: --instructions needs valgrind; on Debian or Ubuntu: apt install valgrind\n")
    with server() as url, other_commit(arguments.against) as roots:
        os.environ.update(SERVER=url, API_KEYS_BASE_URL=f"{url}/1000", API_KEYS_TOKEN="bench-token")  # noqa: S106  # opens nothing
        head = ["", "hand-written", "ours", *roots, "_generated"]
        rows = [row for row in ROWS if arguments.only in row.title]
        lines = (cells(row, roots, arguments.rounds, arguments.instructions) for row in rows)
        for line in chain((head, ["---"] * len(head)), lines):
            print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
