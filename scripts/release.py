"""Say what a release takes. With --check try it: build, look at what was built, and use it; nothing is published."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from failure import Failure

import api_keys_client
from api_keys_client.sandbox import Sandbox

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


ONE_CALL = """
import importlib.util
import pathlib
import sys

import _generated
import api_keys_client

for package in (api_keys_client, _generated):
    if not pathlib.Path(package.__file__).is_relative_to(sys.prefix):
        sys.exit(f"{package.__name__} is not the installed one: {package.__file__}")
if importlib.util.find_spec("werkzeug"):
    sys.exit("the environment has more than the package asks for")

with api_keys_client.ApiKeysClient() as client:
    key = client.create("a key made by the installed package")
print(api_keys_client.__version__, key.id)
"""


def run(*command: str | Path, **environment: str) -> str:
    variables = {**os.environ, **environment}
    finished = subprocess.run(command, cwd=PROJECT, env=variables, capture_output=True, encoding="utf-8", check=False)
    if finished.returncode:
        raise Failure(f"{' '.join(map(str, command))}\n{finished.stdout}{finished.stderr}")
    return finished.stdout


def build(folder: Path) -> Path:
    """Build the source distribution, and from it the wheel."""
    installer = ["--installer", "uv"] if shutil.which("uv") else []
    run(sys.executable, "-m", "build", *installer, "--outdir", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_content(wheel: Path) -> None:
    """Compare the files of a wheel with those that it should have: nothing gets in that nobody meant to ship."""
    with zipfile.ZipFile(wheel) as opened:
        found = {re.sub(r"^\w+-[^/]+\.dist-info/", "", name) for name in opened.namelist()}
    expected = {*run("git", "ls-files", "_generated", "api_keys_client").splitlines(), *DATA, *INFO}
    if found != expected:
        difference = f"the wheel has {sorted(found - expected)} too much, and lacks {sorted(expected - found)}"
        raise Failure(f"{difference}: git add what is to be shipped")


def check_links(wheel: Path) -> None:
    """Refuse a readme whose links lead nowhere from where the package is shown."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        readme = opened.read(name).decode()
    if relative := re.findall(r"\]\((?!https://|#)([^)]*)\)", readme):
        raise Failure(f"pyproject.toml leaves links of the readme relative: {', '.join(relative)}")


def check_installed(wheel: Path, place: Path) -> None:
    """Make one call, against a sandbox, in an environment that has the wheel and what it asks for."""
    python = place / "bin" / "python"
    if shutil.which("uv"):
        run("uv", "venv", "--quiet", "--python", sys.executable, place)
        run("uv", "pip", "install", "--quiet", "--python", python, wheel)
    else:
        run(sys.executable, "-m", "venv", place)
        run(python, "-m", "pip", "install", "--quiet", wheel)
    with Sandbox() as sandbox:
        # Isolated, because the folder or PYTHONPATH could lead back to the checkout.
        isolated = (python, "-I", "-W", "error", "-c", ONE_CALL)
        printed = run(*isolated, API_KEYS_BASE_URL=sandbox.url, API_KEYS_TOKEN=sandbox.token)
        stored = sandbox.keys()
    expected = [api_keys_client.__version__, *(key.id for key in stored)]
    if printed.split() != expected:
        raise Failure(f"the installed package printed {printed!r} instead of {expected}")


def check() -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        print("Build: the sdist, and the wheel from it")
        wheel = build(folder / "dist")
        print("Metadata: twine check")
        run(sys.executable, "-m", "twine", "check", "--strict", *sorted((folder / "dist").iterdir()))
        print("Content: the files that git knows, and the data")
        check_content(wheel)
        print("Readme: its links")
        check_links(wheel)
        print("Call: one with the wheel, in an environment of its own")
        check_installed(wheel, folder / "environment")
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
