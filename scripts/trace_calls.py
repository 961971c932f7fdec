"""How far a reader has to follow one call: the client's own calls, their files, and the changes from file to file.

Counted with sys.setprofile while the sync client talks to a sandbox, whose own calls aren't counted. A call is what
Python calls one, in a file of api_keys_client/: comprehensions (before Python 3.12) and each step of a generator count
too. A change is a call whose file isn't that of the call before it. What happens only once, such as imports, isn't
counted.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

import api_keys_client
from api_keys_client import ApiKeysClient
from api_keys_client.sandbox import Sandbox

PACKAGE = str(Path(api_keys_client.__file__).parent)
SANDBOX = str(Path(PACKAGE, "sandbox"))


def files_called(call: Callable[[], object]) -> list[str]:
    """The file of each call of ours, in order, those in threads that it starts too."""
    files: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(PACKAGE) and not file.startswith(SANDBOX):
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
    with Sandbox() as sandbox, ApiKeysClient(sandbox.url, token=sandbox.token) as client:
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
