"""Say what breaks the public API since the last release, or since BASE while none is tagged.

Each break fails, unless ACCEPTED has it. griffe sees names, parameters, literal defaults and base classes that are
gone; results, other defaults and the values of enums are what the tests of the types and of the README see.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import griffe

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = ("_generated", "api_keys_client")

BASE = "ac29fd287c3d370019bda40990de02172d8d4d25"
# Breaks since then that are meant, as this script prints them, each with the reason. A release empties it.
ACCEPTED: dict[str, str] = {}

# CONTRIBUTING.md says what is covered: these modules beside the packages themselves ...
COVERED = {f"api_keys_client.{name}" for name in ("errors", "pytest_plugin", "sandbox", "stores", "tokens")}
# ... without what the generator's version decides about, objects that only the client makes, and fixtures' arguments.
UNCOVERED = re.compile(
    r"APIKeysApi\.\w+_(with_http_info|without_preload_content)\b"
    r"|(ApiClient|Configuration)\.(?!__init__\b)"
    r"|(Async)?Rotation\.__init__\("
    r"|(async_)?api_keys_\w+\("
)


def main() -> int:
    tags = git("tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname").split()
    base = tags[0].decode() if tags else BASE
    archive = git("archive", "--format=zip", base, *PACKAGES)
    if not archive or git("rev-parse", "--is-shallow-repository") == b"true\n":
        print("this clone lacks the history to compare with: git fetch --unshallow --tags", file=sys.stderr)
        return 1
    with TemporaryDirectory() as folder:
        zipfile.ZipFile(io.BytesIO(archive)).extractall(folder)
        found = set(breaks(load(Path(folder)), load(PROJECT)))
    refused = sorted(found - ACCEPTED.keys())
    print(*refused, sep="\n", end="\n" if refused else "")
    return bool(refused)


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=PROJECT, stdout=subprocess.PIPE, check=False).stdout


def load(root: Path) -> griffe.ModulesCollection:
    """Read the packages of a checkout without importing them."""
    packages = griffe.ModulesCollection()
    for name in PACKAGES:
        griffe.load(
            name,
            search_paths=[root],
            try_relative_path=False,
            modules_collection=packages,
            allow_inspection=False,
            resolve_aliases=True,
        )
        hide(packages[name])
        lend_names(packages[name])
    for path in COVERED.union(PACKAGES):
        for public in packages[path].exports or ():
            # griffe compares nothing where a name leads nowhere, as after a syntax error: this raises there.
            _ = packages[path][public].canonical_path
    return packages


def lend_names(package: griffe.Module) -> None:
    """Give a package the names that it loads on first use, of which griffe knows nothing."""
    if "_HOME" in package.members and not package.exports:
        home: dict[str, str] = literal_eval(str(package["_HOME"].value))
        for name, module in home.items():
            package.set_member(name, griffe.Alias(name, f"{package.path}.{module}.{name}"))
        package.exports = [*home]


def hide(package: griffe.Module) -> None:
    for module in package.members.values():
        if isinstance(module, griffe.Module):
            module.public = module.path in COVERED
            hide(module)


def breaks(old: griffe.ModulesCollection, new: griffe.ModulesCollection) -> Iterator[str]:
    for package in PACKAGES:
        for found in griffe.find_breaking_changes(old[package], new[package]):
            explained = re.sub(r"\x1b\[\d+m", "", found.explain())
            # Without file and line, which are those of a private module and change.
            line = explained.split(": ", 1)[1]
            if not UNCOVERED.match(line):
                yield line


if __name__ == "__main__":
    sys.exit(main())
