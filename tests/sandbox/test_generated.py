"""A client that is nothing but generated from the contract, on the sandbox."""

from __future__ import annotations

from typing import get_args

import pytest

from _generated import ApiClient, APIKeysApi, Configuration, NewApiKeyRequest
from api_keys_client.sandbox import Profile, Sandbox


@pytest.mark.parametrize("profile", get_args(Profile))
def test_the_four_operations(profile: Profile) -> None:
    with Sandbox(profile=profile) as sandbox:
        with ApiClient(Configuration(host=sandbox.url, access_token=sandbox.token)) as connection:
            api = APIKeysApi(connection)
            created = api.create_api_key_auth_api_keys_post(NewApiKeyRequest(description="plain"))
            assert created.key
            secret = created.key.get_secret_value()
            assert sandbox.accepts(secret)
            assert [key.id for key in api.get_all_active_api_keys_auth_api_keys_get()] == [created.id]
            assert api.get_api_key_auth_api_keys_api_key_id_get(created.id).description == "plain"
            ended = api.deactivate_api_key_auth_api_keys_deactivate_api_key_id_delete_with_http_info(created.id)
            assert (ended.status_code, ended.data is None) == ((204, True) if profile == "engine" else (200, False))
            assert api.get_api_key_auth_api_keys_api_key_id_get(created.id).is_active is False
        assert not sandbox.accepts(secret)
