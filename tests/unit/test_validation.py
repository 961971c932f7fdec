from __future__ import annotations

import base64
import pickle
import uuid

import pytest
from pydantic import SecretStr

from api_keys_client import ApiKeysClient, CreatedKey, key_id_from_secret

KEY_ID = "8f2b6a1c-1f0e-4c55-9a54-0d7c6f3b2a10"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_the_id_inside_a_secret(client: ApiKeysClient) -> None:
    created = client.create()
    assert key_id_from_secret(created.key) == key_id_from_secret(created.key.get_secret_value()) == created.id
    assert key_id_from_secret(SecretStr(encoded(f"{KEY_ID.upper()}:x"))) == KEY_ID
    assert key_id_from_secret(f"{created.key.get_secret_value()}\n") == created.id


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "not base64!",
        "ключ",
        encoded(KEY_ID),
        encoded(f"{KEY_ID}:"),
        encoded("no-uuid:x"),
        encoded(f"{KEY_ID}:ж"),
        base64.b64encode(b"\xff:\xff").decode(),
        None,
        7,
    ],
)
def test_a_secret_of_another_make_has_none(secret: str) -> None:
    assert key_id_from_secret(secret) is None


def test_a_created_key_is_not_pickled(client: ApiKeysClient) -> None:
    created = client.create("ci")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(created)
    assert created.model_copy().id == created.id


def test_a_created_key_shows_its_secret_nowhere(client: ApiKeysClient) -> None:
    created = client.create("ci")
    secret = created.key.get_secret_value()
    shown = (repr(created), str(created), f"{created}", created.to_json(), created.to_str(), created.model_dump_json())
    for text in (*shown, repr(created.to_dict()), repr(created.model_dump()), repr(vars(created))):
        assert secret not in text
    assert isinstance(created, CreatedKey)
    assert uuid.UUID(created.id)
