"""The sandbox as a program, which runs until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn, get_args

from api_keys_client.sandbox.answers import Profile
from api_keys_client.sandbox.application import Sandbox


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Says what is wrong, without what was typed: in the wrong place that may be a token."""
        super().error(message.partition(": ")[0])


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m api_keys_client.sandbox") -> int:
    """Runs a sandbox until Ctrl-C or SIGTERM, and gives the exit code."""
    parser = _Parser(
        prog=prog,
        description="A local server that answers as the Arthur GenAI Engine's API-keys API does. "
        "For development and tests only.",
        epilog="The token that clients need is taken from API_KEYS_TOKEN, or else BEARER_TOKEN, in the "
        "environment; without them one is made up and printed.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0, the default, picks a free one")
    parser.add_argument("--db", dest="database", default=":memory:", metavar="FILE", help="keep the keys in this file")
    parser.add_argument("--profile", choices=get_args(Profile), default="engine", help="(%(default)s)")
    parser.add_argument("--limit", type=int, default=1000, help="of active keys (%(default)s)")
    options = parser.parse_args(arguments)
    token = os.environ.get("API_KEYS_TOKEN") or os.environ.get("BEARER_TOKEN") or None
    try:
        sandbox = Sandbox(token=token, **vars(options))
    except ValueError as error:
        return _complain(str(error), code=2)
    except sqlite3.Error as error:
        return _complain(f"cannot use the database {options.database}: {error}", code=2)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        sandbox.start()
    except OSError as error:
        return _complain(f"cannot listen: {error.strerror or error}", code=1)
    lines = ["A sandbox, for development and tests only.", f"export API_KEYS_BASE_URL={sandbox.url}"]
    if token is None:
        lines.append(f"export API_KEYS_TOKEN={sandbox.token}")
    try:
        if sys.stdout is None:
            return _complain("stdout is closed, so nobody would know its address", code=2)
        sys.stdout.write("\n".join([*lines, f"Ready: {sandbox.url}\n"]))
        sys.stdout.flush()
        # With a timeout, because without one Ctrl-C does not end the wait on Windows.
        while not stopped.wait(1):
            pass
    except OSError as error:
        # Or Python tries again, and complains, when it ends.
        sys.stdout = None
        return _complain(f"its address could not be written: {error.strerror}", code=1)
    finally:
        sandbox.stop()
    return 0


def _complain(problem: str, *, code: int) -> int:
    sys.stderr.write(f"sandbox: {problem}\n")
    return code
