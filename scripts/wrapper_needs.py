"""What the wrapper relies on in the contract, and what of it a document lacks.

A subject names a thing in a document: an operation by its id, a model by its name, and after a dot what belongs
to one, as in `ApiKeyResponse.id` or `get_api_key_auth_api_keys__api_key_id__get.parameters.api_key_id`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

CREATE = "create_api_key_auth_api_keys__post"
LIST = "get_all_active_api_keys_auth_api_keys__get"
GET = "get_api_key_auth_api_keys__api_key_id__get"
DEACTIVATE = "deactivate_api_key_auth_api_keys_deactivate__api_key_id__delete"

# Code of the wrapper, and the subjects that it uses by name or, for a whole model, reads or writes.
NEEDS = {
    "Operations.create in api_keys_client/_core/operations.py": (
        CREATE,
        f"{CREATE}.tags.API Keys",
        f"{CREATE}.body.NewApiKeyRequest",
        "NewApiKeyRequest",
        "NewApiKeyRequest.description",
        "NewApiKeyRequest.roles",
        "ApiKeyResponse",
        "ApiKeyResponse.id",
        "ApiKeyResponse.key",
    ),
    "Operations.list in api_keys_client/_core/operations.py": (LIST, f"{LIST}.tags.API Keys", "ApiKeyResponse"),
    "Operations.get in api_keys_client/_core/operations.py": (
        GET,
        f"{GET}.tags.API Keys",
        f"{GET}.parameters.api_key_id",
        "ApiKeyResponse",
        "ApiKeyResponse.id",
    ),
    "Operations.deactivate in api_keys_client/_core/operations.py": (
        DEACTIVATE,
        f"{DEACTIVATE}.tags.API Keys",
        f"{DEACTIVATE}.parameters.api_key_id",
        "ApiKeyResponse",
        "ApiKeyResponse.id",
    ),
    "Executor in api_keys_client/_async/executor.py": ("ApiKeyResponse.is_active",),
    "_check_created in api_keys_client/_async/creations.py": ("ApiKeyResponse.id", "ApiKeyResponse.description"),
    "AsyncApiKeysClient in api_keys_client/_async/client.py": (
        "ApiKeyResponse.id",
        "ApiKeyResponse.description",
        "ApiKeyResponse.roles",
    ),
    "replace in api_keys_client/_async/rotation.py": (
        "ApiKeyResponse.id",
        "ApiKeyResponse.is_active",
        "ApiKeyResponse.roles",
        "APIKeysRolesEnum",
    ),
    "leftovers_of in api_keys_client/_core/markers.py": (
        "ApiKeyResponse.id",
        "ApiKeyResponse.description",
        "ApiKeyResponse.roles",
    ),
    "still_active in api_keys_client/_core/policy.py": ("ApiKeyResponse.id",),
    "checked_roles in api_keys_client/_core/validation.py": ("APIKeysRolesEnum",),
}


def missing_from(document: dict[str, Any]) -> list[str]:
    """Say of each thing that the wrapper needs and the document lacks what it is, and who needs it."""
    there = {*operation_subjects(document), *model_subjects(document)}
    return [
        f"there is no {subject}, on which {code} relies"
        for code, subjects in NEEDS.items()
        for subject in subjects
        if subject not in there
    ]


def touched_by(changed: str) -> list[str]:
    """Name the code that relies on what changed, on a part of it, or on what it is a part of."""
    return [
        code
        for code, subjects in NEEDS.items()
        if any(within(subject, changed) or within(changed, subject) for subject in subjects)
    ]


def within(part: str, whole: str) -> bool:
    """Tell whether one subject is the other, or a part of it."""
    return part == whole or part.startswith(f"{whole}.")


def operation_subjects(document: dict[str, Any]) -> Iterator[str]:
    """Name the operations with their tags, parameters and bodies."""
    for path_item in entries(document.get("paths")).values():
        shared = items(entries(path_item).get("parameters"))
        for method in METHODS:
            if not (operation := entries(entries(path_item).get(method))):
                continue
            subject = str(operation.get("operationId"))
            yield subject
            yield from (f"{subject}.tags.{tag}" for tag in items(operation.get("tags")))
            for parameter in (*shared, *items(operation.get("parameters"))):
                yield f"{subject}.parameters.{entries(resolved(document, parameter)).get('name')}"
            body = entries(resolved(document, operation.get("requestBody")))
            for media_type in entries(body.get("content")).values():
                reference = entries(entries(media_type).get("schema")).get("$ref")
                yield f"{subject}.body.{str(reference).rpartition('/')[2]}"


def model_subjects(document: dict[str, Any]) -> Iterator[str]:
    """Name the models with their fields."""
    for name, schema in entries(entries(document.get("components")).get("schemas")).items():
        yield name
        yield from (f"{name}.{field}" for field in entries(entries(schema).get("properties")))


def resolved(document: dict[str, Any], node: Any) -> Any:
    """Follow references within the document, as far as they lead."""
    followed: set[str] = set()
    while isinstance(node, dict) and isinstance(reference := node.get("$ref"), str) and reference not in followed:
        followed.add(reference)
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = entries(node).get(unquote(part).replace("~1", "/").replace("~0", "~"))
    return node


def entries(value: Any) -> dict[str, Any]:
    """Give an object's entries; none for what is no object."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Give a list's items; none for what is no list."""
    return value if isinstance(value, list) else []
