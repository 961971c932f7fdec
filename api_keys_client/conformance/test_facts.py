"""What may differ from one deployment to another: each line of the guide's tables, by its name."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from api_keys_client import Role, key_id_from_secret
from api_keys_client.conformance.deployment import KEYS, NO_ROLE, UNKNOWN_ID, Compare, Deployment

BROKEN = b'{"roles": ['
WRONG = {"Authorization": "Bearer wrong"}


def made(deployment: Deployment, **body: object) -> Any:
    """Gives the record in the raw answer to a creation."""
    answer = deployment.call("POST", KEYS, {"description": deployment.named("fact"), **body})
    assert isinstance(answer.json, dict), answer
    return answer.json


def code(text: object) -> str:
    return f"`{text}`"


def kind(value: object) -> str:
    return "a string" if isinstance(value, str) else "a list" if isinstance(value, list) else "something else"


def presence(record: dict[str, Any], name: str) -> str:
    if name not in record:
        return "is left out"
    return {None: "is null", "": "is empty"}.get(record[name], "is there")


def test_the_creation(deployment: Deployment, compare: Compare) -> None:
    answer = deployment.call("POST", KEYS, {"description": deployment.named("status")})
    compare("Status of a creation", answer.status)
    compare("A field of the record that has no value", presence(answer.json, "deactivated_at"))


def test_roles_named_twice(deployment: Deployment, compare: Compare) -> None:
    twice = ["TASK-ADMIN", "ORG-ADMIN", "TASK-ADMIN"]
    roles = made(deployment, roles=twice).get("roles")
    compare("A role that is named twice", "stays twice" if roles == twice else f"becomes {roles}")


def test_unknown_fields(deployment: Deployment, compare: Compare) -> None:
    answer = deployment.call("POST", KEYS, {"description": deployment.named("fields"), "color": "red"})
    ignored = answer.status == 200 and "color" not in answer.json
    compare("A field that the contract does not know", "is ignored" if ignored else f"gets {answer.status}")


def test_refused_creations(deployment: Deployment, compare: Compare) -> None:
    def refused(*roles: str) -> dict[str, Any]:
        return {"description": deployment.named("refused"), "roles": roles}

    answer = deployment.call("POST", KEYS, refused(NO_ROLE))
    compare("Status for a role that does not exist", answer.status)
    compare("`detail` for a role that does not exist", kind(answer.detail))
    compare("Status for the role `TENANT-USER`", deployment.call("POST", KEYS, refused("TENANT-USER")).status)
    answer = deployment.call("POST", KEYS, refused(NO_ROLE), headers=WRONG)
    compare("Status for a wrong token and a role that does not exist", answer.status)


def test_what_is_no_json(deployment: Deployment, compare: Compare) -> None:
    compare("Status for broken JSON", deployment.call("POST", KEYS, BROKEN).status)
    compare("Status for broken JSON without a token", deployment.call("POST", KEYS, BROKEN, headers={}).status)
    compare("Status for no body at all", deployment.call("POST", KEYS).status)


def test_a_list(deployment: Deployment, compare: Compare) -> None:
    key_id = deployment.create().id
    (record,) = [record for record in deployment.call("GET", KEYS).json if record["id"] == key_id]
    compare("`message` in a list", presence(record, "message"))


def test_the_path_without_its_slash(deployment: Deployment, compare: Compare) -> None:
    answer = deployment.call("GET", KEYS.rstrip("/"))
    compare("Status of the list's path without its last slash", answer.status)
    location = answer.headers.get("Location")
    kinds = {"http:": "to plain http", "https:": "to https", None: "nowhere"}
    compare(
        "Where the path without its last slash leads",
        kinds.get(location and location.split("//")[0], "to a path on the same server"),
    )


def test_ids_that_are_none(deployment: Deployment, compare: Compare) -> None:
    compare("`detail` for an id that no key has", code(deployment.call("GET", f"{KEYS}{UNKNOWN_ID}").detail))
    compare("Status for an id that is no UUID", deployment.call("GET", f"{KEYS}no-uuid").status)
    answer = deployment.call("GET", f"{KEYS}no-uuid", headers=WRONG)
    compare("Status for an id that is no UUID, with a wrong token", answer.status)


def test_the_deactivation(deployment: Deployment, compare: Compare) -> None:
    key_id = deployment.create().id
    first = deployment.call("DELETE", f"{KEYS}deactivate/{key_id}")
    compare("Status of a deactivation", first.status)
    body = "the record" if isinstance(first.json, dict) and "id" in first.json else "something else"
    compare("Body of a deactivation", "nothing" if first.is_empty else body)
    before = deployment.client.get(key_id).deactivated_at
    compare("Status of a second deactivation", deployment.call("DELETE", f"{KEYS}deactivate/{key_id}").status)
    moved = deployment.client.get(key_id).deactivated_at != before
    compare("`deactivated_at` after a second deactivation", "has moved" if moved else "is the same")


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("`detail` without a token", {}),
        ("`detail` for an empty header", {"Authorization": ""}),
        ("`detail` for a wrong token", WRONG),
    ],
)
def test_texts_for_strangers(deployment: Deployment, compare: Compare, name: str, headers: dict[str, str]) -> None:
    compare(name, code(deployment.call("GET", KEYS, headers=headers).detail))


def test_minted_keys_and_cookies(deployment: Deployment, compare: Compare) -> None:
    minted = deployment.create(roles=[Role.ORG_ADMIN])
    answer = deployment.call("GET", KEYS, headers={"Authorization": f"Bearer {minted.key.get_secret_value()}"})
    compare("Status for a key made here, with the role `ORG-ADMIN`", answer.status)
    answer = deployment.call("GET", KEYS, headers=deployment.authorization | {"Cookie": "ACCESS_TOKEN=wrong"})
    compare("Status for a wrong cookie `ACCESS_TOKEN` beside the right token", answer.status)


def test_times(deployment: Deployment, compare: Compare) -> None:
    first, second = (made(deployment)["created_at"] for _ in range(2))
    compare("`created_at` of two keys made one after the other", "is the same" if first == second else "differs")
    parts = re.fullmatch(r"[\d-]{10}T[\d:]{8}(?:\.(\d+))?(Z|[+-][\d:]+)?", first)
    assert parts, first
    digits, offset = parts.groups(default="")
    compare("Digits after the second", "six or none" if len(digits) in (0, 6) else len(digits))
    compare("Offset of times", "there" if offset else "none")


def test_ids_and_secrets(deployment: Deployment, compare: Compare) -> None:
    created = deployment.create()
    compare("Version of the UUID in `id`", uuid.UUID(created.id).version)
    compare("Length of a secret", len(created.key))
    inside = key_id_from_secret(created.key.get_secret_value()) == created.id
    compare("The id inside a secret", "is there" if inside else "is not")


def test_headers(deployment: Deployment, compare: Compare) -> None:
    headers = deployment.call("GET", KEYS).headers
    compare("Content type of answers", code(headers.get("Content-Type")))
    chunked = headers.get("Transfer-Encoding") == "chunked"
    compare("How the length of an answer is told", "by chunks" if chunked else "by Content-Length")
    about = [name for name in headers if re.search("retry-after|rate-?limit|request-id|correlation-id", name, re.I)]
    compare("Headers about retries, rates or the request's id", ", ".join(about) or "none")
