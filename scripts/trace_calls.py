"""How far a reader has to follow one call: the client's own calls, their files, and the changes from file to file.

Counted with sys.setprofile while the sync client talks to a sandbox in another process. A call is what Python calls
one, in a file of api_keys_client/: comprehensions (before Python 3.12) and each step of a generator count too. A change
is a call whose file isn't that of the call before it. What happens only once, such as imports, isn't counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import IO, cast

from rich.console import Console
from rich.table import Table

import api_keys_client
from api_keys_client import ApiKeysClient

PACKAGE = str(Path(api_keys_client.__file__).parent)
SANDBOX = """
from api_keys_client.sandbox import Sandbox
with Sandbox() as sandbox:
    print(sandbox.url, sandbox.token, flush=True)
    input()
"""


@contextmanager
def sandbox() -> Iterator[tuple[str, str]]:
    """A sandbox in another process, where its code isn't counted: its URL and token."""
    command = [sys.executable, "-c", SANDBOX]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            url, token = cast("IO[str]", process.stdout).readline().split()
            yield url, token
        finally:
            process.communicate("\n")


def files_called(call: Callable[[], object]) -> list[str]:
    """The file of each call of ours, in order, those in threads that it starts too."""
    files: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(PACKAGE):
            files.append(file)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return files


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    table = Table("", "calls", "files", "changes of file")
    with sandbox() as (url, token), ApiKeysClient(url, token=token) as client:
        # Each gets the id of a key of its own.
        operations: dict[str, Callable[[str], object]] = {
            "create": lambda _: client.create("x"),
            "get": client.get,
            "list": lambda _: client.list(),
            "deactivate": client.deactivate,
            "rotate": lambda key_id: client.rotate(key_id, store=lambda _: None),
        }
        for name, operation in operations.items():
            operation(client.create("x").id)
            files = files_called(partial(operation, client.create("x").id))
            changes = sum(file != before for before, file in pairwise(files))
            table.add_row(name, str(len(files)), str(len(set(files))), str(changes))
    Console().print(table)


if __name__ == "__main__":
    main()
