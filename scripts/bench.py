"""What the client costs, as ratios: CPU of the client's process against hand-written urllib3 (aiohttp) and pydantic.

One loopback server with canned answers, in a process of its own; the rivals take turns in each round, and the median
of the rounds' ratios is shown, so that a machine whose speed drifts does not matter.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import socketserver
import statistics
import subprocess
import sys
import time
import tracemalloc
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Any, ClassVar, cast

from bench_rivals import KEY_ID, TOKEN, AsyncFloor, AsyncOurs, Floor, Generated, InThreads, Ours
from rich.console import Console
from rich.progress import track
from rich.table import Table

PAIRS_OF_THREADS = 16
TASKS = 50


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
        b"GET /auth/api_keys/" + KEY_ID.encode() + b" ": canned(record(7)),
    }

    def handle(self) -> None:
        while request := self.rfile.readline():
            length = 0
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line[15:])
            self.rfile.read(length)
            self.wfile.write(self.answers[request[: request.rindex(b"HTTP/")]])


def serve() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Canned) as server:
        server.daemon_threads = True
        print(server.server_address[1], flush=True)
        server.serve_forever()


@contextmanager
def server() -> Iterator[str]:
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{cast('IO[str]', process.stdout).readline().strip()}"
        finally:
            process.terminate()


def cpu(run: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    run()
    return time.process_time() - began


def times(count: int, call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            call()

    return run


def threads(call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with ThreadPoolExecutor(PAIRS_OF_THREADS) as pool:
            for future in [pool.submit(call) for _ in range(1000)]:
                future.result()

    return run


async def in_a_row(call: Callable[[], Awaitable[object]]) -> None:
    for _ in range(1000):
        await call()


async def at_once(call: Callable[[], Awaitable[object]]) -> None:
    numbers = iter(range(1000))

    async def work() -> None:
        for _ in numbers:
            await call()

    await asyncio.gather(*(work() for _ in range(TASKS)))


def on_a_loop(
    kind: type[AsyncFloor | AsyncOurs | InThreads],
    url: str,
    work: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
) -> float:
    """CPU seconds, without those of opening the connections and of closing them."""

    async def run() -> float:
        async with kind(url) as rival:
            await asyncio.gather(*(rival.get() for _ in range(TASKS)))
            gc.collect()
            began = time.process_time()
            await work(rival.get)
            return time.process_time() - began

    return asyncio.run(run())


def kept(call: Callable[[], object]) -> float:
    """Bytes that one result keeps."""
    call()
    gc.collect()
    tracemalloc.start()
    result = call()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return float(size)


def process(code: str, url: str) -> float:
    """CPU seconds of a whole new process."""
    # Installed packages are compiled; this environment may say not to.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen([sys.executable, "-c", code, url], env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        raise RuntimeError(f"a measured process failed: {code}")
    return usage.ru_utime + usage.ru_stime


ONE_CALL = {
    "hand-written": f"""
import sys, urllib3
from pydantic import TypeAdapter
from _generated import ApiKeyResponse
response = urllib3.PoolManager().request("GET", sys.argv[1] + "/auth/api_keys/{KEY_ID}",
    headers={{"Authorization": "Bearer {TOKEN}", "Accept": "application/json"}}, timeout=30.0)
TypeAdapter(ApiKeyResponse).validate_json(response.data)
""",
    "api_keys_client": f"""
import sys
from api_keys_client import ApiKeysClient, Role
ApiKeysClient(sys.argv[1], token="{TOKEN}").get("{KEY_ID}")
""",
    "_generated": f"""
import sys
from _generated import ApiClient, APIKeysApi, Configuration
api = APIKeysApi(ApiClient(Configuration(host=sys.argv[1], access_token="{TOKEN}")))
api.get_api_key_auth_api_keys_api_key_id_get("{KEY_ID}")
""",
}
IMPORT = {
    "hand-written": "pass",
    "api_keys_client": "import api_keys_client",
    "_generated": "from _generated import APIKeysApi",
}

Row = tuple[str, float, Callable[[str], float]]


def rows(url: str) -> list[Row]:
    """Each row: its name, the most that ours may take, and a measure of one rival by its name."""
    rivals: dict[str, Any] = {kind.name: kind(url) for kind in (Floor, Ours, Generated)}
    kinds: dict[str, type[Any]] = {kind.name: kind for kind in (AsyncFloor, AsyncOurs, InThreads)}
    return [
        ("get", 0.90, lambda name: cpu(times(1000, rivals[name].get))),
        ("create", 0.90, lambda name: cpu(times(1000, rivals[name].create))),
        ("list of 1000", 1.00, lambda name: cpu(times(30, rivals[name].list))),
        ("1000 gets, 16 threads", 0.95, lambda name: cpu(threads(rivals[name].get))),
        ("async get", 1.15, lambda name: on_a_loop(kinds[name], url, in_a_row)),
        ("async: 1000 gets, 50 tasks", 1.15, lambda name: on_a_loop(kinds[name], url, at_once)),
        ("process: import", 1.5, lambda name: sum(process(IMPORT[name], url) for _ in range(5))),
        ("process: import, client, one call", 1.10, lambda name: sum(process(ONE_CALL[name], url) for _ in range(2))),
        ("memory kept by a list of 1000", 1.0, lambda name: kept(rivals[name].list)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often the rivals take turns (default 15)")
    parser.add_argument("--markdown", action="store_true", help="print the table for the guide")
    parser.add_argument("--only", default="", help="only rows whose name holds this")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    table = Table("", "ours, at most", "ours", "today's generated client")
    lines = []
    with server() as url:
        for title, most, measure in rows(url):
            if arguments.only not in title:
                continue
            ratios: dict[str, list[float]] = {Ours.name: [], Generated.name: []}
            for name in (Floor.name, *ratios):
                measure(name)
            rounds = range(arguments.rounds)
            for _ in track(rounds, title, disable=not sys.stderr.isatty(), console=Console(stderr=True)):
                floor = measure(Floor.name)
                for name, collected in ratios.items():
                    collected.append(measure(name) / floor)
            ours, generated = (statistics.median(collected) for collected in ratios.values())
            table.add_row(title, f"{most:.2f}", f"{ours:.2f}", f"{generated:.2f}")
            lines.append(f"| {title} | {most:.2f} | {ours:.2f} | {generated:.2f} |")
    if arguments.markdown:
        print("| | ours, at most | ours | today's generated client |\n|---|---|---|---|")
        print("\n".join(lines))
    else:
        Console().print(table)


if __name__ == "__main__":
    main()
