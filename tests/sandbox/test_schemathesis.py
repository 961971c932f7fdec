"""Schemathesis, all checks on that apply, against the sandbox that keeps openapi.json to the letter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from api_keys_client.sandbox import Sandbox

PROJECT = Path(__file__).parents[2]


def what_the_contract_leaves_out() -> dict[str, Any]:
    """openapi.json with what its reference page has no room for: the refusals, and that ids are UUIDs.

    And without the role that an engine's document lists, though it is not to be had.
    """
    document: dict[str, Any] = json.loads((PROJECT / "openapi.json").read_text())
    roles = document["components"]["schemas"]["APIKeysRolesEnum"]
    roles["enum"] = [role for role in roles["enum"] if role != "TENANT-USER"]
    refusal = {
        "description": "Refused",
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["detail"], "properties": {"detail": {"type": "string"}}}
            }
        },
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"]["401"] = refusal
            if method == "post":
                operation["responses"]["400"] = refusal
            if "{" in path:
                operation["responses"]["404"] = refusal
                operation["parameters"][0]["schema"]["format"] = "uuid"
    return document


def test_the_sandbox_keeps_the_contract(tmp_path: Path) -> None:
    specification = tmp_path / "openapi.json"
    specification.write_text(json.dumps(what_the_contract_leaves_out()))
    with Sandbox(profile="spec", limit=100_000) as sandbox:
        command = [sys.executable, "-m", "schemathesis.cli", "run", str(specification), "--url", sandbox.url]
        # A key that was deactivated can still be looked up: nothing is deleted.
        command += ["--exclude-checks", "use_after_free"]
        command += ["--header", f"Authorization: Bearer {sandbox.token}", "--checks", "all", "--max-examples", "50"]
        finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        asked = {request.operation for request in sandbox.requests}
    assert finished.returncode == 0, finished.stdout
    assert asked >= {"create", "list", "get", "deactivate"}
