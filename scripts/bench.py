"""What the client costs, as ratios to hand-written urllib3 (async: aiohttp) and pydantic, on the same canned answers.

CPU seconds of the client's process always; with --instructions also the instructions that valgrind counts, which are
the same on a busy machine.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import resource
import shutil
import socketserver
import statistics
import subprocess
import sys
import threading
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from bench_rivals import KEY_ID, TOKEN

PROJECT = Path(__file__).parents[1]
RIVALS = str(Path(__file__).with_name("bench_rivals.py"))


def record(number: int, **more: object) -> dict[str, object]:
    return {
        "id": str(uuid.UUID(int=number, version=4)),
        "description": f"key number {number}",
        "is_active": True,
        "created_at": "2026-01-02T03:04:05.678901",
        "message": "",
        "roles": ["VALIDATION-USER"],
        **more,
    }


def canned(body: object) -> bytes:
    """An answer in the engine's form: chunked, without Content-Length."""
    text = json.dumps(body).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    return b"%s%x\r\n%s\r\n0\r\n\r\n" % (head, len(text), text)


class Canned(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    answers: ClassVar[dict[bytes, bytes]] = {
        b"GET /auth/api_keys/ ": canned([record(number) for number in range(1000)]),
        b"POST /auth/api_keys/ ": canned(record(7, key="c2VjcmV0")),
        b"GET /auth/api_keys/" + KEY_ID.encode() + b" ": canned(record(7, is_active=False)),
        b"DELETE /auth/api_keys/deactivate/" + KEY_ID.encode() + b" ": b"HTTP/1.1 204 No Content\r\n\r\n",
    }

    def handle(self) -> None:
        while request := self.rfile.readline():
            length = 0
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line[15:])
            self.rfile.read(length)
            self.wfile.write(self.answers[request[: request.rindex(b"HTTP/")]])


@contextmanager
def server() -> Iterator[str]:
    """Answers in threads of this process, whose own time is not measured."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Canned) as listening:
        listening.daemon_threads = True
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


ONE_CALL = {
    "hand-written": f"""
import sys, urllib3
from pydantic import TypeAdapter
from _generated import ApiKeyResponse
response = urllib3.PoolManager().request("GET", sys.argv[1] + "/auth/api_keys/{KEY_ID}",
    headers={{"Authorization": "Bearer {TOKEN}", "Accept": "application/json"}}, timeout=30.0)
TypeAdapter(ApiKeyResponse).validate_json(response.data)
""",
    "ours": f"""
import sys
import threading
from api_keys_client import ApiKeysClient, Role
ApiKeysClient(sys.argv[1], token="{TOKEN}").get("{KEY_ID}")
""",
    "_generated": f"""
import sys
import threading
from _generated import ApiClient, APIKeysApi, Configuration
api = APIKeysApi(ApiClient(Configuration(host=sys.argv[1], access_token="{TOKEN}")))
api.get_api_key_auth_api_keys_api_key_id_get("{KEY_ID}")
""",
}
IMPORT = {
    "hand-written": "pass",
    "ours": "import api_keys_client",
    "_generated": "from _generated import APIKeysApi",
}
HELP = {"hand-written": "pass", "ours": "from api_keys_client.cli import main; main()"}


@dataclass
class Row:
    """One measurement: the arguments of Python, for each column, and how many calls it is to make."""

    title: str
    commands: dict[str, list[str]]
    calls: int = 0
    """0: the whole process is measured."""
    has_instructions: bool = True

    def count(self, times: int) -> list[str]:
        """The argument that says how many calls are to be made."""
        return [str(times * self.calls)] if self.calls else []


def rows(url: str) -> list[Row]:
    sync = {"hand-written": "urllib3", "ours": "sync", "_generated": "generated"}
    loop = {"hand-written": "aiohttp", "ours": "async"}

    def called(rivals: dict[str, str], operation: str) -> dict[str, list[str]]:
        return {column: [RIVALS, rival, operation, url] for column, rival in rivals.items()}

    def process(code: dict[str, str], argument: str) -> dict[str, list[str]]:
        return {column: ["-c", text, argument] for column, text in code.items()}

    operations = [("get", "get", 500), ("create", "create", 500), ("list of 1000", "list", 10)]
    operations.append(("deactivate", "deactivate", 500))
    return [
        *(Row(title, called(sync, name), calls) for title, name, calls in operations),
        Row("1000 gets, 16 threads", called(sync, "gets at once"), 500),
        *(Row(f"async {title}", called(loop, name), calls) for title, name, calls in operations),
        Row("async: 1000 gets, 50 tasks", called(loop, "gets at once"), 500),
        Row("process: import", process(IMPORT, url)),
        Row("process: import, client, one call", process(ONE_CALL, url)),
        Row("process: api-keys --help", process(HELP, "--help")),
        Row("memory kept by a list of 1000", called(sync, "memory"), 1, has_instructions=False),
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


def native(row: Row, command: list[str], root: Path) -> float:
    """CPU seconds; what the process prints, if it measures itself."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = run([sys.executable, *command, *row.count(2)], root)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(finished.stdout) if row.calls else used


def instructions(row: Row, command: list[str], root: Path, times: int) -> int:
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=yes"]
    finished = run([*valgrind, sys.executable, *command, *row.count(times)], root)
    found = re.search(r"Collected : (\d+)", finished.stderr)
    if not found:
        raise SystemExit(f"bench: valgrind counted nothing: {command}\n{finished.stderr}")
    return int(found[1])


def measure(row: Row, roots: dict[str, Path], rounds: int, counted: bool) -> tuple[dict[str, float], dict[str, float]]:
    """CPU (the median of the rounds) and instructions by column; per call where the row is one of calls."""
    sources = {column: (command, PROJECT) for column, command in row.commands.items()}
    sources |= {name: (row.commands["ours"], root) for name, root in roots.items()}
    seconds: dict[str, list[float]] = {column: [] for column in sources}
    print(f"{row.title}: CPU", file=sys.stderr)
    # One round more than asked for: the first leaves the compiled modules behind.
    for _ in range(rounds + 1):
        for column, (command, root) in sources.items():
            seconds[column].append(native(row, command, root))
    cpu = {column: statistics.median(each[1:]) for column, each in seconds.items()}
    if not counted or not row.has_instructions:
        return cpu, {}
    print(f"{row.title}: instructions", file=sys.stderr)
    runs = (1, 3) if row.calls else (0,)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = {
            column: [pool.submit(instructions, row, command, root, times) for times in runs]
            for column, (command, root) in sources.items()
        }
        results = {column: [future.result() for future in futures] for column, futures in counts.items()}
    if row.calls:
        return cpu, {column: (many - few) / (2 * row.calls) for column, (few, many) in results.items()}
    return cpu, {column: float(whole) for column, (whole,) in results.items()}


@contextmanager
def other_commits(revision: str | None) -> Iterator[dict[str, Path]]:
    """The packages at that commit, by the name of their column."""
    if not revision:
        yield {}
        return
    command = ["git", "archive", "--format=zip", revision, "api_keys_client", "_generated"]
    archive = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    if archive.returncode:
        raise SystemExit(f"bench: {archive.stderr.decode().strip()}")
    with TemporaryDirectory() as folder:
        zipfile.ZipFile(io.BytesIO(archive.stdout)).extractall(folder)
        yield {f"ours at {revision}": Path(folder)}


def cells(row: Row, roots: dict[str, Path], rounds: int, counted: bool) -> list[str]:
    """The row as the table shows it: ratios of instructions, with those of CPU in brackets, or of CPU alone."""
    cpu, counts = measure(row, roots, rounds, counted)
    by_hand = "hand-written"
    cells = [row.title, f"{counts[by_hand] / 1000:,.0f}" if counts else ""]
    for column in ("ours", *roots, "_generated"):
        if column not in cpu:
            cells.append("")
        elif counts:
            cells.append(f"{counts[column] / counts[by_hand]:.3f} ({cpu[column] / cpu[by_hand]:.2f})")
        else:
            cells.append(f"{cpu[column] / cpu[by_hand]:.2f}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instructions", action="store_true", help="count instructions too (some minutes)")
    parser.add_argument("--against", metavar="REV", help="measure this commit's client beside")
    parser.add_argument("--rounds", type=int, default=5, help="of CPU times; the median counts (default %(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose name holds this")
    arguments = parser.parse_args()
    if arguments.instructions and not shutil.which("valgrind"):
        parser.exit(3, "bench: --instructions needs valgrind; on Debian or Ubuntu: apt install valgrind\n")
    with server() as url, other_commits(arguments.against) as roots:
        head = ["", "hand-written", "ours", *roots, "_generated"]
        lines = [
            cells(row, roots, arguments.rounds, arguments.instructions)
            for row in rows(url)
            if arguments.only in row.title
        ]
    for line in (head, ["---"] * len(head), *lines):
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
