"""Make one call, against a sandbox, with the package as another environment has it: try_installed.py PYTHON."""

from __future__ import annotations

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

import api_keys_client
from api_keys_client.sandbox import Sandbox

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


def main() -> int:
    # PYTHONPATH above all could lead back to the checkout.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.argv[1], "-W", "error", "-c", ONE_CALL]
    with Sandbox() as sandbox, TemporaryDirectory() as elsewhere:
        environment |= {"API_KEYS_BASE_URL": sandbox.url, "API_KEYS_TOKEN": sandbox.token}
        called = subprocess.run(command, cwd=elsewhere, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        stored = sandbox.keys()
    if called.returncode:
        return called.returncode
    if called.stdout.split() != [api_keys_client.__version__, *(key.id for key in stored)]:
        print(f"printed {called.stdout!r}, while the sandbox has {stored}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
