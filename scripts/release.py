"""Say what a release takes. With --check try it: build, and look at what was built; nothing is published."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from failure import Failure

PROJECT = Path(__file__).resolve().parent.parent
# What the wheel has beside the files of the packages that git knows.
DATA = ("api_keys_client/conformance/server.md", "api_keys_client/openapi.json")
INFO = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")

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


def run(*command: str) -> str:
    finished = subprocess.run(command, cwd=PROJECT, capture_output=True, encoding="utf-8", check=False)
    if finished.returncode:
        raise Failure(f"{' '.join(command)}\n{finished.stdout}{finished.stderr}")
    return finished.stdout


def build(folder: Path) -> Path:
    """Build the source distribution, and from it the wheel."""
    installer = ["--installer", "uv"] if shutil.which("uv") else []
    run(sys.executable, "-m", "build", *installer, "--outdir", str(folder))
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_content(wheel: Path) -> None:
    """Compare the files of a wheel with those that it should have: nothing gets in that nobody meant to ship."""
    with zipfile.ZipFile(wheel) as opened:
        found = {re.sub(r"^\w+-[^/]+\.dist-info/", "", name) for name in opened.namelist()}
    expected = {*run("git", "ls-files", "_generated", "api_keys_client").splitlines(), *DATA, *INFO}
    if found != expected:
        raise Failure(f"the wheel has {sorted(found - expected)} too much, and lacks {sorted(expected - found)}")


def check_links(wheel: Path) -> None:
    """Refuse a readme whose links lead nowhere from where the package is shown."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        readme = opened.read(name).decode()
    if relative := re.findall(r"\]\((?!https://|#)([^)]*)\)", readme):
        raise Failure(f"pyproject.toml leaves links of the readme relative: {', '.join(relative)}")


def check() -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        print("Build: the sdist, and the wheel from it")
        wheel = build(folder / "dist")
        print("Metadata: twine check")
        run(sys.executable, "-m", "twine", "check", "--strict", *map(str, sorted((folder / "dist").iterdir())))
        print("Content: the files that git knows, and the data")
        check_content(wheel)
        print("Readme: its links")
        check_links(wheel)
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
