"""Say what a release takes. With --check try it: build, and look at what was built; nothing is published.

The wheel is also unpacked beside another one that ships `_generated`, since two such distributions overwrite each
other: ours has to work or to say what is wrong, in whichever order they came.
"""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from failure import Failure

PROJECT = Path(__file__).resolve().parent.parent
CONTENT = PROJECT / "scripts" / "wheel-content.txt"

STEPS = """\
A release takes these steps; nothing of it happens here.

 1. Choose the version by what CHANGELOG.md says below Unreleased; the rules are in CONTRIBUTING.md.
 2. Write it to api_keys_client/__init__.py, and run ./scripts/regenerate, which stamps it into _generated.
 3. In CHANGELOG.md give the unreleased section the version and the date, and begin a new one.
 4. ./scripts/test --full
 5. ./scripts/release --check
 6. Commit, tag the commit v<version>, and push both. The workflow Release waits for the whole CI, builds, signs and
    publishes; PyPI has to trust it once: https://docs.pypi.org/trusted-publishers/, with the environment "pypi".
"""

PROBE = "from api_keys_client import ApiKeysClient, Role; print('ours works')"
WORKS = "ours works"
REFUSES = "ImportError: the package _generated at "


def run(*command: str) -> None:
    finished = subprocess.run(command, cwd=PROJECT, capture_output=True, encoding="utf-8", check=False)
    if finished.returncode:
        raise Failure(f"{' '.join(command)}\n{finished.stdout}{finished.stderr}")


def build(folder: Path) -> Path:
    """Build the source distribution, and from it the wheel."""
    installer = ["--installer", "uv"] if shutil.which("uv") else []
    run(sys.executable, "-m", "build", *installer, "--outdir", str(folder))
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_content(wheel: Path) -> None:
    """Compare the files of a wheel, with a * for its version, with those that it should have."""
    with zipfile.ZipFile(wheel) as opened:
        found = sorted(re.sub(r"^(\w+)-[^/]+\.dist-info/", r"\1-*.dist-info/", name) for name in opened.namelist())
    expected = CONTENT.read_text(encoding="utf-8").splitlines()
    if found != expected:
        name = CONTENT.relative_to(PROJECT).as_posix()
        diff = "\n".join(difflib.unified_diff(expected, found, name, "the wheel", lineterm=""))
        raise Failure(f"{diff}\nthe wheel's content is not what {name} says; correct the one that is wrong")


def check_links(wheel: Path) -> None:
    """Refuse a readme whose links lead nowhere from where the package is shown."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        readme = opened.read(name).decode()
    if relative := re.findall(r"\]\((?!https://|#)([^)]*)\)", readme):
        raise Failure(f"pyproject.toml leaves links of the readme relative: {', '.join(relative)}")


def check_beside_another(wheel: Path, folder: Path) -> None:
    """Unpack the wheel where another project's `_generated` comes or was, as an installer does."""
    shared = folder / "_generated" / "__init__.py"
    unpack(wheel, folder)
    expect(folder, WORKS, "alone")
    shared.write_text('__version__ = "1.0"\n')
    expect(folder, REFUSES, "then another that ships _generated")
    unpack(wheel, folder)
    expect(folder, WORKS, "after another that ships _generated")


def unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder)


def expect(folder: Path, beginning: str, when: str) -> None:
    """Run a program that imports the client from a folder, and look at its last line."""
    # Python looks in the current folder first; what the client depends on is in this environment.
    command = [sys.executable, "-B", "-W", "error", "-c", PROBE]
    finished = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    said = (finished.stderr or finished.stdout).strip().splitlines()[-1]
    print(f"  {when}: {said}")
    if not said.startswith(beginning):
        raise Failure(f"expected {beginning!r}")


def check() -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        print("Build: the sdist, and the wheel from it")
        wheel = build(folder / "dist")
        print("Metadata: twine check")
        run(sys.executable, "-m", "twine", "check", "--strict", *map(str, sorted((folder / "dist").iterdir())))
        print(f"Content: {CONTENT.relative_to(PROJECT).as_posix()}")
        check_content(wheel)
        print("Readme: its links")
        check_links(wheel)
        print("Import: the wheel's files")
        check_beside_another(wheel, folder / "unpacked")
    print("It could be released. Nothing was published.")


def main() -> int:
    parser = argparse.ArgumentParser(description="Say what a release takes.")
    parser.add_argument("--check", action="store_true", help="try it, and publish nothing")
    if not parser.parse_args().check:
        print(STEPS, end="")
        return 0
    try:
        check()
    except Failure as failure:
        print(f"release: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
