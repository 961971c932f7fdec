"""OpenAPI documents that the tests of syncing start from, written as FastAPI writes them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ROLES = ["DEFAULT-RULE-ADMIN", "TASK-ADMIN", "VALIDATION-USER", "ORG-AUDITOR", "ORG-ADMIN", "TENANT-USER"]


def engine_document() -> Json:
    """A document as the engine emits it: our four operations among others, and none of our corrections."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Arthur GenAI Engine", "version": "2.1.686"},
        "paths": {
            "/api/v2/tasks": {
                "get": operation("Tasks", "Get All Tasks", "get_all_tasks_api_v2_tasks_get", answer=list_of("Task")),
                "post": operation(
                    "Tasks", "Create Task", "create_task_api_v2_tasks_post", body="NewTask", answer=ref("Task")
                ),
            },
            "/auth/api_keys/": {
                "post": operation(
                    "API Keys",
                    "Create Api Key",
                    "create_api_key_auth_api_keys__post",
                    body="NewApiKeyRequest",
                    answer=ref("ApiKeyResponse"),
                    description="Generates a new API key. Up to 100 active keys can exist at the same time by default. "
                    f"Contact your system administrator if you need more. Allowed roles are: {', '.join(ROLES)}.",
                ),
                "get": operation(
                    "API Keys",
                    "Get All Active Api Keys",
                    "get_all_active_api_keys_auth_api_keys__get",
                    answer={
                        **list_of("ApiKeyResponse"),
                        "title": "Response Get All Active Api Keys Auth Api Keys  Get",
                    },
                ),
            },
            "/auth/api_keys/deactivate/{api_key_id}": {
                "delete": operation(
                    "API Keys",
                    "Deactivate Api Key",
                    "deactivate_api_key_auth_api_keys_deactivate__api_key_id__delete",
                    parameters=[path_id("api_key_id", "Api Key Id")],
                    answer=ref("ApiKeyResponse"),
                )
            },
            "/auth/api_keys/{api_key_id}": {
                "get": operation(
                    "API Keys",
                    "Get Api Key",
                    "get_api_key_auth_api_keys__api_key_id__get",
                    parameters=[path_id("api_key_id", "Api Key Id")],
                    answer=ref("ApiKeyResponse"),
                )
            },
            "/health": {
                "get": {
                    "summary": "Health",
                    "operationId": "health_health_get",
                    "responses": {
                        "200": {"description": "Successful Response", "content": {"application/json": {"schema": {}}}}
                    },
                }
            },
        },
        "components": {
            "schemas": {
                "APIKeysRolesEnum": {"type": "string", "enum": list(ROLES), "title": "APIKeysRolesEnum"},
                "ApiKeyResponse": {
                    "properties": {
                        "id": {"type": "string", "title": "Id", "description": "ID of the key"},
                        "key": optional("Key", "The generated key; empty after creation"),
                        "description": optional("Description", "Description of the key"),
                        "is_active": {"type": "boolean", "title": "Is Active", "description": "Status of the key."},
                        "created_at": {
                            "type": "string",
                            "format": "date-time",
                            "title": "Created At",
                            "description": "Creation time",
                        },
                        "deactivated_at": {
                            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
                            "title": "Deactivated At",
                            "description": "Deactivation time",
                        },
                        "message": optional("Message", "Optional message"),
                        "roles": {
                            "items": {"type": "string"},
                            "type": "array",
                            "title": "Roles",
                            "description": "Roles of the key",
                            "default": [],
                        },
                    },
                    "type": "object",
                    "required": ["id", "is_active", "created_at"],
                    "title": "ApiKeyResponse",
                },
                "HTTPValidationError": {
                    "properties": {"detail": {**list_of("ValidationError"), "title": "Detail"}},
                    "type": "object",
                    "title": "HTTPValidationError",
                },
                "NewApiKeyRequest": {
                    "properties": {
                        "description": optional("Description", "Description of the key"),
                        "roles": {
                            "anyOf": [list_of("APIKeysRolesEnum"), {"type": "null"}],
                            "title": "Roles",
                            "description": "Roles of the key",
                            "default": ["VALIDATION-USER"],
                        },
                    },
                    "type": "object",
                    "title": "NewApiKeyRequest",
                },
                "NewTask": {"properties": {"name": {"type": "string"}}, "type": "object", "title": "NewTask"},
                "Rule": {
                    "properties": {"task": ref("Task"), "kind": {"enum": ["regex", "toxicity"], "type": "string"}},
                    "type": "object",
                    "title": "Rule",
                },
                "Task": {
                    "properties": {"name": {"type": "string"}, "rules": list_of("Rule")},
                    "type": "object",
                    "title": "Task",
                },
                "ValidationError": {
                    "properties": {
                        "loc": {
                            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                            "type": "array",
                            "title": "Location",
                        },
                        "msg": {"type": "string", "title": "Message"},
                        "type": {"type": "string", "title": "Error Type"},
                    },
                    "type": "object",
                    "required": ["loc", "msg", "type"],
                    "title": "ValidationError",
                },
            },
            "securitySchemes": {
                "API Key": {"type": "http", "scheme": "bearer"},
                "OAuth2": {
                    "type": "oauth2",
                    "flows": {"password": {"scopes": {}, "tokenUrl": "/login"}},
                },
            },
        },
    }


def large_document(operations: int = 150, schemas: int = 400) -> Json:
    """A document of that many operations and schemas, ours among them; ten of the others at a time make a circle."""
    document = engine_document()
    models, paths = document["components"]["schemas"], document["paths"]
    count = schemas - len(models)
    for number in range(count):
        title = f"Model{number}"
        start = number // 10 * 10
        following, later = (f"Model{(start + (number + step) % 10) % count}" for step in (1, 7))
        models[title] = [
            {"type": "object", "properties": {"next": {"anyOf": [ref(following), {"type": "null"}]}}, "title": title},
            {"allOf": [ref(following), {"type": "object", "properties": {"more": list_of(later)}}], "title": title},
            {"anyOf": [ref(following), ref(later), {"type": "string"}], "title": title},
            {"type": "string", "enum": ["a-b", "a_b", "1st", "class", ""], "title": title},
            {"type": "object", "properties": {"itself": ref(title), "all": list_of(following)}, "title": title},
        ][number % 5]
    for number in range(operations - sum(map(len, paths.values()))):
        paths[f"/things/{number}"] = {
            "post": operation(
                f"Things {number % 9}",
                f"Thing {number}",
                f"thing_{number}_things_{number}_post",
                body=f"Model{number * 5 % count}",
                answer=ref(f"Model{number * 2 % count}"),
            )
        }
    return document


def operation(
    tag: str,
    summary: str,
    operation_id: str,
    *,
    answer: Json,
    body: str | None = None,
    parameters: list[Json] | None = None,
    description: str | None = None,
) -> Json:
    made: Json = {"tags": [tag], "summary": summary}
    if description is not None:
        made["description"] = description
    made["operationId"] = operation_id
    if body is not None:
        made["requestBody"] = {"content": {"application/json": {"schema": ref(body)}}, "required": True}
    made["security"] = [{"API Key": []}]
    if parameters:
        made["parameters"] = parameters
    made["responses"] = {"200": {"description": "Successful Response", **json_content(answer)}}
    if parameters or body is not None:
        problem = {"description": "Validation Error", **json_content(ref("HTTPValidationError"))}
        made["responses"]["422"] = problem
    return made


def json_content(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}


def path_id(name: str, title: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "format": "uuid", "title": title},
    }


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str) -> Json:
    return {"items": ref(name), "type": "array"}


def optional(title: str, description: str) -> Json:
    return {"anyOf": [{"type": "string"}, {"type": "null"}], "title": title, "description": description}
