"""Say what a release takes. With --check try it: build, look at what was built, and install it; nothing is published.

The wheel is installed beside another one that also ships `_generated`, since two such distributions overwrite each
other: ours has to work or to say what is wrong, in whichever order they came.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parent.parent
CONTENT = PROJECT / "scripts" / "wheel-content.txt"

STEPS = """\
A release takes these steps; nothing of it happens here.

 1. Choose the version by what CHANGELOG.md says below Unreleased; the rules are in CONTRIBUTING.md.
 2. Write it to api_keys_client/__init__.py, and run ./scripts/regenerate, which stamps it into _generated.
 3. In CHANGELOG.md give the unreleased section the version and the date, and begin a new one.
 4. ./scripts/test --full
 5. ./scripts/release --check
 6. Commit, tag the commit v<version>, and push both.
 7. From a clean checkout of the tag: python -m build, then twine upload dist/*
"""

OTHER = "another-generated-client"
OTHER_FILES = {
    "_generated/__init__.py": '__version__ = "1.0"\n',
    "another_generated_client-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {OTHER}\nVersion: 1.0\n",
    "another_generated_client-1.0.dist-info/WHEEL": (
        "Wheel-Version: 1.0\nGenerator: release\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    ),
}

PROBE = "from api_keys_client import ApiKeysClient, Role; print('ours works')"
WORKS = "ours works"
REFUSES = "ImportError: the package _generated at "


class Failure(Exception):
    """What is wrong, for a person to read."""


class Environment:
    """An empty environment to install wheels into."""

    def __init__(self, folder: Path) -> None:
        self._uv = shutil.which("uv")
        self._folder = folder
        maker = (
            [self._uv, "venv", "--quiet", "--python", sys.executable] if self._uv else [sys.executable, "-m", "venv"]
        )
        run(*maker, str(folder))
        self._python = str(next(path for path in folder.glob("*/python*") if path.stem == "python"))

    def install(self, *arguments: str) -> None:
        self._pip("install", *arguments)

    def uninstall(self, *names: str) -> None:
        self._pip("uninstall", *([] if self._uv else ["--yes"]), *names)

    def _pip(self, verb: str, *arguments: str) -> None:
        if self._uv:
            run(self._uv, "pip", verb, "--quiet", "--python", self._python, *arguments)
        else:
            run(self._python, "-m", "pip", verb, "--quiet", *arguments)

    def probe(self) -> str:
        """What a program that imports the client ends with."""
        # PYTHONPATH above all could lead back to the checkout.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [self._python, "-W", "error", "-c", PROBE]
        finished = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        return (finished.stderr or finished.stdout).strip().splitlines()[-1]


def run(*command: str) -> None:
    finished = subprocess.run(command, cwd=PROJECT, capture_output=True, encoding="utf-8", check=False)
    if finished.returncode:
        raise Failure(f"{' '.join(command)}\n{finished.stdout}{finished.stderr}")


def build(folder: Path) -> Path:
    """Builds the source distribution, and from it the wheel."""
    installer = ["--installer", "uv"] if shutil.which("uv") else []
    run(sys.executable, "-m", "build", *installer, "--outdir", str(folder))
    (wheel,) = folder.glob("*.whl")
    return wheel


def content(wheel: Path) -> list[str]:
    """The files of a wheel, with a * for its version."""
    with zipfile.ZipFile(wheel) as opened:
        return sorted(re.sub(r"^(\w+)-[^/]+\.dist-info/", r"\1-*.dist-info/", name) for name in opened.namelist())


def check_content(found: list[str]) -> None:
    expected = CONTENT.read_text(encoding="utf-8").splitlines()
    if found != expected:
        name = CONTENT.relative_to(PROJECT).as_posix()
        diff = "\n".join(difflib.unified_diff(expected, found, name, "the wheel", lineterm=""))
        raise Failure(f"{diff}\nthe wheel's content is not what {name} says; correct the one that is wrong")


def build_other(folder: Path) -> Path:
    """A wheel of another project that ships `_generated` too."""
    wheel = folder / "another_generated_client-1.0-py3-none-any.whl"
    record = "another_generated_client-1.0.dist-info/RECORD"
    with zipfile.ZipFile(wheel, "w") as opened:
        for name, text in OTHER_FILES.items():
            opened.writestr(name, text)
        opened.writestr(record, "".join(f"{name},,\n" for name in (*OTHER_FILES, record)))
    return wheel


def check_installed(environment: Environment, ours: Path, other: Path) -> None:
    """Goes through the ways in which the two can meet."""

    def expect(beginning: str, when: str) -> None:
        said = environment.probe()
        print(f"  {when}: {said}")
        if not said.startswith(beginning):
            raise Failure(f"expected {beginning!r}")

    environment.install(str(ours))
    expect(WORKS, "alone")
    environment.install(str(other))
    expect(REFUSES, "then another that ships _generated")
    environment.uninstall(OTHER)
    expect(REFUSES, "then without that one")
    environment.install("--force-reinstall", "--no-deps", str(ours))
    expect(WORKS, "then installed again, as the error says")
    environment.uninstall("api-keys-client")
    environment.install(str(other))
    environment.install(str(ours))
    expect(WORKS, "after another that ships _generated")


def check() -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        print("Build: the sdist, and the wheel from it")
        ours = build(folder / "dist")
        print("Metadata: twine check")
        run(sys.executable, "-m", "twine", "check", "--strict", *map(str, sorted((folder / "dist").iterdir())))
        print(f"Content: {CONTENT.relative_to(PROJECT).as_posix()}")
        check_content(content(ours))
        print("Install: the wheel, in an empty environment")
        check_installed(Environment(folder / "environment"), ours, build_other(folder))
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
