"""The generated layer: its reference page and examples, its links, and what was substituted in its code."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, ValidationError

import _generated
import api_keys_client
from api_keys_client.sandbox import Profile, Sandbox

PROJECT = Path(__file__).parents[2]
REFERENCE = PROJECT / "docs" / "APIKeysApi.md"
PAGES = sorted((PROJECT / "docs").glob("*.md"))
README = PROJECT / "README.md"
SECRET = "a-secret-that-nobody-may-see"

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)]*)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)

# The reference page fixes this link, and no heading has an anchor with a space.
UNRESOLVABLE = "../README.md#API Key"


def test_the_reference_page_is_the_agreed_one() -> None:
    digest = hashlib.sha256(REFERENCE.read_bytes()).hexdigest()
    assert digest == "cc6dd00685ea188a216ff253a90e24b0829377a233cebfad4f372a7ac968528b"


def examples() -> list[str]:
    blocks: list[tuple[str, str]] = FENCED.findall(REFERENCE.read_text(encoding="utf-8"))
    return [code for language, code in blocks if language == "python"]


def supplied(code: str, substitutions: dict[str, tuple[str, str]]) -> str:
    """Put in what an example leaves to its reader."""
    for name, (old, new) in substitutions.items():
        assert code.count(old) == 1, f"{name}: the example must have {old!r} once"
        code = code.replace(old, new)
    return code


def create_key(sandbox: Sandbox) -> str:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    with urllib3.PoolManager() as pool:
        created = pool.request("POST", f"{sandbox.url}/auth/api_keys/", json={}, headers=headers)
        return str(created.json()["id"])


def run_python(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {"PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "utf-8"} | variables
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def test_the_reference_page_has_four_examples() -> None:
    assert len(examples()) == 4


@pytest.mark.parametrize("profile", ["engine", "spec"])
@pytest.mark.parametrize("example", examples(), ids=["create", "deactivate", "list", "get"])
def test_an_example_runs(example: str, profile: Profile, tmp_path: Path) -> None:
    with Sandbox(profile=profile) as sandbox:
        key_id = create_key(sandbox)
        # The second configuration takes the place of the first, and with it of the first one's host.
        substitutions = {
            "import": ("import _generated\n", "import os\nimport _generated\n"),
            "host": ('host = "http://localhost"', f'host = "{sandbox.url}"'),
            "host again": ("access_token = os.environ", f'host = "{sandbox.url}", access_token = os.environ'),
        }
        if "(api_key_id)" in example:
            substitutions["id"] = ("'api_key_id_example'", repr(key_id))
        finished = run_python(supplied(example, substitutions), tmp_path, BEARER_TOKEN=sandbox.token)
        answered = sandbox.requests[1:]
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "Exception when calling" not in finished.stdout
    assert finished.stdout.startswith("The response of APIKeysApi->")
    assert [request.status in (200, 204) for request in answered] == [True]


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Name what a fragment can lead to, by the rules of GitHub."""
    text = prose(page)
    found: set[str] = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    for heading in HEADING.findall(text):
        label = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("*", "").replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", label.lower()).replace(" ", "-")
        numbered = (f"{slug}-{number}" for number in range(1, len(found) + 2))
        found.add(slug if slug not in found else next(name for name in numbered if name not in found))
    return found


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for link in LINK.findall(prose(page)):
            if not link.startswith(("http://", "https://")):
                yield page, link


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, fragment = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.is_file() and (not fragment or fragment in anchors(target))


def test_the_links_between_the_generated_pages_resolve() -> None:
    between = [(page, link) for page, link in links() if not link.startswith("../README.md")]
    assert ("APIKeysApi.md", "NewApiKeyRequest.md") in [(page.name, link) for page, link in between]
    assert [(page.name, link) for page, link in between if not leads_somewhere(page, link)] == []


def test_the_links_into_the_readme_resolve() -> None:
    into = [(page, link) for page, link in links() if link.startswith("../README.md")]
    unresolved = {link for page, link in into if not leads_somewhere(page, link)}
    assert into
    assert unresolved <= {UNRESOLVABLE}
    assert "documentation-for-authorization" in anchors(README)


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


def test_the_package_says_whose_it_is() -> None:
    assert _generated.__distribution__ == "api-keys-client"
    assert _generated.__version__ == api_keys_client.__version__


def test_importing_leaves_slow_modules_alone(tmp_path: Path) -> None:
    code = "import sys; before = {*sys.modules}; import _generated.api.api_keys_api; "
    code += "print({'dateutil', 'multiprocessing'} & ({*sys.modules} - before))"
    finished = run_python(code, tmp_path)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "set()\n", "")


def test_dates_are_still_parsed() -> None:
    client = _generated.ApiClient(_generated.Configuration())
    moment = client.deserialize('"2024-05-06T07:08:09"', "datetime", "application/json")
    assert moment == datetime(2024, 5, 6, 7, 8, 9)
    assert client.deserialize('"2024-05-06"', "date", "application/json") == date(2024, 5, 6)


def test_the_pool_is_still_as_large_as_the_machine() -> None:
    assert _generated.Configuration().connection_pool_maxsize == 5 * (os.cpu_count() or 1)


def models() -> list[type[BaseModel]]:
    packages = pkgutil.walk_packages(_generated.__path__, "_generated.")
    modules = [importlib.import_module(package.name) for package in packages]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    ours = (model for model in classes if model.__module__.startswith("_generated."))
    return [model for model in ours if issubclass(model, BaseModel)]


def test_every_model_is_told_to_hide_what_it_refuses() -> None:
    assert {"ApiKeyResponse", "ApiResponse", "LocationInner"} <= {model.__name__ for model in models()}
    assert [model for model in models() if not model.model_config.get("hide_input_in_errors")] == []


@pytest.mark.parametrize(
    "refuse",
    [
        lambda api: _generated.ApiKeyResponse.model_validate({"key": SECRET}),
        lambda api: _generated.LocationInner(actual_instance=[SECRET]),
        lambda api: api.create_api_key_auth_api_keys_post({"description": [SECRET]}),
        lambda api: api.get_api_key_auth_api_keys_api_key_id_get("an id", _headers=SECRET),
    ],
    ids=["model", "union", "body", "headers"],
)
def test_what_is_refused_is_not_shown(refuse: Callable[[Any], object]) -> None:
    with _generated.ApiClient(_generated.Configuration()) as client, pytest.raises(ValidationError) as refused:
        refuse(_generated.APIKeysApi(client))
    assert SECRET not in str(refused.value)
