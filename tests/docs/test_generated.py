"""The generated layer: its reference page and examples, and what was substituted in its code."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

import _generated
from api_keys_client import ApiKeysClient
from api_keys_client.sandbox import Profile, Sandbox
from tests.support.pages import PROJECT, Page

REFERENCE = Page("docs/APIKeysApi.md")
EXAMPLES = [code for examples in REFERENCE.examples.values() for code in examples]


def test_the_reference_page_is_the_agreed_one() -> None:
    digest = hashlib.sha256(REFERENCE.path.read_bytes()).hexdigest()
    assert digest == "cc6dd00685ea188a216ff253a90e24b0829377a233cebfad4f372a7ac968528b"


def run_python(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "utf-8", **variables}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


@pytest.mark.parametrize("profile", ["engine", "spec"])
@pytest.mark.parametrize("number", range(4), ids=["create", "deactivate", "list", "get"])
def test_an_example_runs(number: int, profile: Profile, tmp_path: Path) -> None:
    assert len(EXAMPLES) == 4
    code = EXAMPLES[number]
    with Sandbox(profile=profile) as sandbox:
        with ApiKeysClient(sandbox.url, token=sandbox.token) as client:
            key_id = client.create().id
        before = len(sandbox.requests)
        # What an example leaves to its reader. Its second configuration takes the place of the first and its host.
        for old, new in {
            "import _generated\n": "import os\nimport _generated\n",
            'host = "http://localhost"': f'host = "{sandbox.url}"',
            "access_token = os.environ": f'host = "{sandbox.url}", access_token = os.environ',
        }.items():
            assert code.count(old) == 1
            code = code.replace(old, new)
        code = code.replace("'api_key_id_example'", repr(key_id))
        finished = run_python(code, tmp_path, BEARER_TOKEN=sandbox.token)
        answered = sandbox.requests[before:]
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "Exception when calling" not in finished.stdout
    assert finished.stdout.startswith("The response of APIKeysApi->")
    assert [request.status in (200, 204) for request in answered] == [True]


def test_the_specification_is_valid_but_for_the_name_of_its_security_scheme() -> None:
    specification: dict[str, Any] = json.loads((PROJECT / "openapi.json").read_bytes())
    (error,) = OpenAPIV31SpecValidator(specification).iter_errors()
    assert list(error.absolute_path) == ["components", "securitySchemes"]
    assert "API Key" in error.message
    assert "does not match" in error.message

    text = json.dumps(specification)
    assert text.count('"API Key": ') == 5
    renamed = json.loads(text.replace('"API Key": ', '"ApiKey": '))
    assert list(OpenAPIV31SpecValidator(renamed).iter_errors()) == []


def test_importing_leaves_slow_modules_alone(tmp_path: Path) -> None:
    code = "import sys; before = {*sys.modules}; import _generated.api.api_keys_api; "
    code += "print({'dateutil', 'multiprocessing'} & ({*sys.modules} - before))"
    finished = run_python(code, tmp_path)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "set()\n", "")


def test_every_model_is_told_to_hide_what_it_refuses() -> None:
    packages = pkgutil.walk_packages(_generated.__path__, "_generated.")
    values = [value for package in packages for value in vars(importlib.import_module(package.name)).values()]
    classes = {value for value in values if isinstance(value, type) and issubclass(value, BaseModel)}
    models = [model for model in classes if model.__module__.startswith("_generated.")]
    assert {"ApiKeyResponse", "ApiResponse", "LocationInner"} <= {model.__name__ for model in models}
    assert [model for model in models if not model.model_config.get("hide_input_in_errors")] == []
