"""`api-keys`: the client's operations from a terminal; see docs/guides/cli.md. It needs the extra `cli`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command, and gives its exit code."""
    for needed in ("click", "rich"):
        if find_spec(needed) is None:
            sys.stderr.write(
                f"api-keys: its extra is not installed ({needed} is missing).\n"
                "Install it: pip install 'api-keys-client[cli]'\n"
            )
            return 2
    try:
        # Late: it needs what has just been looked for.
        from api_keys_client.cli.app import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return 130
