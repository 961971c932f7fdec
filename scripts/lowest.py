"""Print the lowest version of each dependency and extra as a constraint, from the package that is installed."""

from __future__ import annotations

import re
import sys
from importlib.metadata import requires

REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[[\w,-]+\])?>=(?P<version>[\w.]+)(;.*)?")


def main() -> int:
    lowest: dict[str, str] = {}
    for requirement in requires("api-keys-client") or []:
        found = REQUIREMENT.fullmatch(requirement.replace(" ", ""))
        if found is None:
            print(f"lowest: {requirement}: a dependency is given by its lowest version alone", file=sys.stderr)
            return 1
        if lowest.setdefault(found["name"], found["version"]) != found["version"]:
            print(f"lowest: {found['name']} has two lowest versions", file=sys.stderr)
            return 1
    print(*(f"{name}=={version}" for name, version in lowest.items()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
