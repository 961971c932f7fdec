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
        """Say what is wrong, without what was typed: in the wrong place that may be a token."""
        super().error(message.partition(": ")[0])


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m api_keys_client.sandbox") -> int:
    """Run a sandbox from the command line until Ctrl-C or SIGTERM; the exit code."""
    parser = _Parser(
        prog=prog,
        description="A local server that answers as the Arthur GenAI Engine's API-keys API does. "
        "For development and tests only.",
        epilog="The token that clients need is taken from API_KEYS_TOKEN, or else BEARER_TOKEN, in the "
        "environment; without them one is made up and printed.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0, the default, picks a free one")
    parser.add_argument("--db", default=":memory:", metavar="FILE", help="keep the keys in this file")
    parser.add_argument("--profile", choices=get_args(Profile), default="engine", help="(%(default)s)")
    parser.add_argument("--limit", type=int, default=1000, help="of active keys (%(default)s)")
    options = parser.parse_args(arguments)
    token = os.environ.get("API_KEYS_TOKEN") or os.environ.get("BEARER_TOKEN") or None
    try:
        sandbox = Sandbox(
            token=token,
            profile=options.profile,
            limit=options.limit,
            database=options.db,
            host=options.host,
            port=options.port,
        )
    except (ValueError, sqlite3.Error) as error:
        about = "" if isinstance(error, ValueError) else f"cannot use the database {options.db}: "
        return _complain(f"{about}{error}", code=2)
    return _run(sandbox, made_up=token is None)


def _run(sandbox: Sandbox, *, made_up: bool) -> int:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        sandbox.start()
    except OSError as error:
        return _complain(f"cannot listen: {error.strerror or error}", code=1)
    try:
        token = f"export API_KEYS_TOKEN={sandbox.token}\n" if made_up else ""
        exports = f"export API_KEYS_BASE_URL={sandbox.url}\n{token}"
        if sys.stdout is None:
            return _complain("stdout is closed, so nobody would know its address", code=2)
        try:
            sys.stdout.write(f"A sandbox, for development and tests only.\n{exports}Ready: {sandbox.url}\n")
            sys.stdout.flush()
        except OSError as error:
            # Or Python tries again, and complains, when it ends.
            sys.stdout = None
            return _complain(f"its address could not be written: {error.strerror}", code=1)
        # With a timeout, because without one Ctrl-C does not end the wait on Windows.
        while not stopped.wait(1):
            pass
    finally:
        sandbox.stop()
    return 0


def _complain(problem: str, *, code: int) -> int:
    sys.stderr.write(f"sandbox: {problem}\n")
    return code
