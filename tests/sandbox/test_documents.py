"""What the sandbox says of itself, without a token."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from api_keys_client.sandbox import Profile, Sandbox
from tests.support.calling import KEYS, caller_on
from tests.support.pages import PROJECT


@pytest.mark.parametrize("profile", get_args(Profile))
def test_the_contract_with_the_limit_of_this_server_and_its_health(profile: Profile) -> None:
    contract = json.loads((PROJECT / "openapi.json").read_text())
    with Sandbox(profile=profile, limit=7) as sandbox, caller_on(sandbox.url, "") as caller:
        document = caller.call("GET", "/openapi.json", headers={}).json
        description = document["paths"][KEYS]["post"].pop("description")
        assert "Up to 7 active keys can exist at the same time" in description
        contract["paths"][KEYS]["post"].pop("description")
        assert document == contract
        health = caller.call("GET", "/health", headers={})
        assert (health.status, "build_version" in health.json) == (200, True)
        refused = caller.call("POST", "/health", headers={})
        assert (refused.status, refused.headers["allow"]) == (405, "GET")
        assert [request.operation for request in sandbox.requests] == [None] * 3
