"""The package as a whole: its public names, what importing it loads, and the check of `_generated`."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
import typing
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import api_keys_client
from api_keys_client import sandbox, stores

PROJECT = Path(api_keys_client.__file__).parent.parent


def run(code: str, *search: Path) -> subprocess.CompletedProcess[str]:
    """In a new process and the first of these folders, which come before the project's own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*search, PROJECT)))}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=search[0], env=environment, capture_output=True, text=True, check=False)


def test_public_names_are_sorted_there_and_told_to_type_checkers() -> None:
    stub = ast.parse((PROJECT / "api_keys_client" / "__init__.pyi").read_text(encoding="utf-8"))
    told = {alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert sorted(told) == api_keys_client.__all__
    for name, module in told.items():
        assert getattr(import_module(module or ""), name) is getattr(api_keys_client, name)
    assert {*api_keys_client.__all__} <= {*dir(api_keys_client)}
    with pytest.raises(AttributeError):
        _ = getattr(api_keys_client, "nothing")  # noqa: B009  # to a type checker it is not there


def test_importing_the_package_loads_nothing_else(tmp_path: Path) -> None:
    code = "import sys; before = {*sys.modules}; import api_keys_client; print(*sorted({*sys.modules} - before))"
    assert run(code, tmp_path).stdout.split() == ["api_keys_client"]


@pytest.mark.parametrize(
    "source",
    ["", "__version__ = '0.1.0'", "__distribution__ = 'api-keys-client'\n__version__ = '9.9'"],
    ids=["empty", "another distribution's", "another version's"],
)
def test_a_foreign_generated_package_is_an_import_error_that_says_where_it_is(tmp_path: Path, source: str) -> None:
    (tmp_path / "_generated").mkdir()
    (tmp_path / "_generated" / "__init__.py").write_text(source)
    for name in ("ApiKeysClient", "Role"):
        finished = run(f"from api_keys_client import {name}", tmp_path)
        assert finished.returncode
        last = finished.stderr.splitlines()[-1]
        assert last.startswith("ImportError: the package _generated at " + str(tmp_path / "_generated"))
        assert "Install api-keys-client again" in last


def public_functions() -> Iterator[tuple[str, object]]:
    for module in (api_keys_client, stores, sandbox):
        for name, value in inspect.getmembers(module):
            members = inspect.getmembers(value, inspect.isfunction) if inspect.isclass(value) else []
            for member, function in [("", value), *members]:
                if name.startswith("_") or not (inspect.isclass(function) or inspect.isfunction(function)):
                    continue
                if function.__module__.startswith("api_keys_client"):
                    yield f"{module.__name__}.{name}.{member}", function


def test_the_types_of_every_public_function_can_be_asked_for_at_run_time() -> None:
    found = dict(public_functions())
    assert len(found) > 100
    for name, function in found.items():
        assert typing.get_type_hints(function) is not None, name
