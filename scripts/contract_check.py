"""Prove that the client does with a new `_generated` what the contract says, by making its calls on a local server.

    python contract_check.py GENERATED ROOT

Both clients are made, each of their calls is sent, and each answer that the contract allows (every branch of a union,
every format, every field null and left out, in turn) has to come back field for field. The wrapper's own checks are
met: an id is that of the key, a creation has a secret, a deactivated key is inactive. For `regenerate`, in a process of
its own; the exit code is 1 and the reason is one line if the client can't.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import pkgutil
import re
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from failure import Failure
from openapi_schema_validator import OAS31Validator
from pydantic import SecretStr
from pydantic_core import to_jsonable_python
from spec_document import items, resolved
from werkzeug import Request, Response
from werkzeug.serving import make_server

OLD, NEW = str(uuid.UUID(int=1, version=4)), str(uuid.UUID(int=2, version=4))
STRINGS = {
    "date-time": ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901+05:30", "2026-01-02T03:04:05.678901"],
    "date": ["2026-01-02"],
    "time": ["03:04:05"],
    "uuid": [NEW],
    "byte": ["dGV4dA=="],
}
ANYTHING: list[Any] = ["text", 7, 1.5, True, None, ["text", 7], {"name": ["text"]}]
TEXTS = ["text", "ÄÖ text", "", "a", "0", "A1", "2026-01-02", "user@example.com", "https://example.com/a", "x" * 64]
NUMBERS = [7, 0, -1, 2**53 + 1]


def import_every_module(package: str) -> None:
    """The generator exits 0 on code that doesn't compile, and names may clash."""
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, f"{package}."):
        try:
            importlib.import_module(module.name)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise Failure(f"the generated code cannot be imported: {module.name}: {reason}") from error


class Contract:
    """A document, and the answers that it allows."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def operation(self, method: str, path: str) -> tuple[dict[str, Any], list[Any]]:
        """Give the operation of a request, and its parameters with those of its path."""
        for template, path_item in self.document["paths"].items():
            if method.lower() in path_item and re.fullmatch(re.sub(r"{\w+}", r"[\\w-]+", template), path):
                found = path_item[method.lower()]
                parameters = [*items(path_item.get("parameters")), *items(found.get("parameters"))]
                return found, [resolved(self.document, each) for each in parameters]
        raise Failure(f"there is no {method} {path}, which the client sends")

    def answers(self, operation: dict[str, Any]) -> list[tuple[int, Any]]:
        """Give status and value of each successful answer; a value of ... is no content."""
        found: list[tuple[int, Any]] = []
        for status, given in operation["responses"].items():
            content = resolved(self.document, given).get("content", {})
            if status.startswith("2") and not content:
                found.append((int(status.replace("XX", "04")), ...))
            elif status.startswith("2") and "application/json" in content:
                schema = content["application/json"].get("schema", {})
                found += [(int(status.replace("XX", "00")), value) for value in self.values(schema)]
        if not found:
            raise Failure(f"{operation['operationId']}: the contract has no answer in JSON")
        return found

    def values(self, schema: Any, above: tuple[str, ...] = ()) -> list[Any]:
        """Give values that a schema allows, a plain one first; none where a model would hold itself for ever."""
        if isinstance(schema, dict) and "$ref" in schema:
            name = schema["$ref"]
            return [] if name in above else self.values(resolved(self.document, schema), (*above, name))
        if not isinstance(schema, dict) or not schema.keys() - {"title", "description", "default"}:
            return ANYTHING
        candidates = [*items(schema.get("examples")), *self.candidates(schema, above)]
        allowed = [*filter(self.validator(schema).is_valid, candidates)]
        if candidates and not allowed:
            raise Failure(f"no value is known for {json.dumps(schema):.200}: give it examples")
        return allowed

    def validator(self, schema: dict[str, Any]) -> Any:
        """Give the judge of a schema and what its references lead to."""
        return OAS31Validator({**schema, "components": self.document["components"]})

    def candidates(self, schema: dict[str, Any], above: tuple[str, ...]) -> Iterator[Any]:
        if "const" in schema or "enum" in schema:
            yield from schema.get("enum", [schema.get("const")])
        elif "allOf" in schema:
            parts = [schema, *(resolved(self.document, part) for part in schema["allOf"])]
            merged: dict[str, Any] = {}
            for part in parts:
                merged |= {key: value for key, value in part.items() if key not in ("allOf", "properties", "required")}
            merged["properties"] = {name: each for part in parts for name, each in part.get("properties", {}).items()}
            merged["required"] = [name for part in parts for name in items(part.get("required"))]
            yield from self.candidates({key: value for key, value in merged.items() if value}, above)
        elif branches := [*items(schema.get("anyOf")), *items(schema.get("oneOf"))]:
            yield from chain.from_iterable(self.values(branch, above) for branch in branches)
        else:
            kinds = schema.get("type", "object" if "properties" in schema else [])
            for kind in kinds if isinstance(kinds, list) else [kinds]:
                yield from self.of_type(kind, schema, above)

    def of_type(self, kind: str, schema: dict[str, Any], above: tuple[str, ...]) -> Iterator[Any]:
        if kind == "string":
            yield from STRINGS.get(schema.get("format", ""), TEXTS)
        elif kind in ("integer", "number"):
            yield from [*NUMBERS, *(schema[key] for key in ("minimum", "maximum") if key in schema)]
            yield from [1.5, -0.25] if kind == "number" else []
        elif kind == "array":
            inner = self.values(schema.get("items", {}), above)
            yield from [inner[:1] * max(schema.get("minItems", 1), 1), [], inner, *([each] for each in inner)]
        elif kind == "object":
            yield from self.objects(schema, above)
        else:
            yield from [True, False] if kind == "boolean" else [None]

    def objects(self, schema: dict[str, Any], above: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        fields = {name: self.values(field, above) for name, field in schema.get("properties", {}).items()}
        if more := schema.get("additionalProperties"):
            fields["another name"] = self.values(more, above)
        base = {name: values[0] for name, values in fields.items() if values}
        yield base
        for name, values in fields.items():
            yield from ({**base, name: value} for value in values[1:])
            yield {key: value for key, value in base.items() if key != name}


class Server:
    """Answers each operation with a value that the contract allows, and looks at the requests."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.known: dict[str, list[tuple[int, Any]]] = {}
        self.listening = make_server("127.0.0.1", 0, Request.application(self.respond), threaded=True)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        threading.Thread(target=self.listening.serve_forever, daemon=True).start()

    def expect(self, number: int, record: dict[str, Any] | None = None) -> None:
        """Begin a call, whose first request gets that one of its answers, and those after it their first.

        With a record, each answer has that in it, and a new key what it is created with.
        """
        self.number, self.record = number, record
        self.count, self.problem = 0, ""
        self.methods: list[str] = []
        self.sent: Any = None

    def respond(self, request: Request) -> Response:
        try:
            status = self.choose(request)
        except Exception as error:
            self.problem = self.problem or sentence(error)
            return Response(status=400)
        content = b"" if self.sent is ... else json.dumps(self.sent).encode()
        return Response(content, status, content_type="application/json")

    def choose(self, request: Request) -> int:
        """Check a request, and leave what is to be answered in `sent`."""
        operation, parameters = self.contract.operation(request.method, request.path)
        name = operation["operationId"]
        body = request.get_json() if request.data else None
        given: dict[str, Any] = {"query": request.args, "header": request.headers, "cookie": request.cookies}
        for each in parameters:
            if each.get("required") and each["name"] not in given.get(each["in"], [each["name"]]):
                raise Failure(f"{name}: the client does not send the {each['in']} parameter {each['name']}")
        for content in resolved(self.contract.document, operation.get("requestBody", {})).get("content", {}).values():
            for error in self.contract.validator(content.get("schema", {})).iter_errors(body):
                raise Failure(f"{name}: what the client sends is not allowed: {error.message:.200}")
        for field in ("description", "roles"):
            if body is not None and field not in body:
                raise Failure(f"{name}: the client's {field} cannot be sent")
        if name not in self.known:
            self.known[name] = self.contract.answers(operation)
        answers = self.known[name]
        self.count = self.count or len(answers)
        status, value = answers[0 if self.methods else self.number]
        self.methods.append(request.method)
        own: dict[str, Any] = {"id": request.path.rpartition("/")[2] or (NEW if request.method == "POST" else OLD)}
        own |= {"is_active": False} if "DELETE" in self.methods else {}
        own |= {} if self.record is None else self.record | (body or {})
        if request.method == "POST" and isinstance(value, dict) and not value.get("key") and "key" in answers[0][1]:
            value = {**value, "key": answers[0][1]["key"]}
        self.sent = [met(each, own) for each in value] if isinstance(value, list) else met(value, own)
        return status


def met(record: Any, own: dict[str, Any]) -> Any:
    """Put into a record what the wrapper checks by itself, where it has something of that kind."""
    if not isinstance(record, dict):
        return record
    return {**record, **{name: own[name] for name in own if type(record.get(name)) is type(own[name])}}


def differences(sent: Any, got: Any, place: str = "the answer") -> Iterator[str]:
    """Say where what was decoded is not what was sent."""
    if hasattr(got, "model_dump"):
        got = got.model_dump(by_alias=True, exclude_unset=True, warnings=False)
    if isinstance(sent, dict) and isinstance(got, dict):
        for name in sent.keys() | got.keys():
            if name not in got or name not in sent:
                yield f"the field {name} of {place} {'is lost' if name in sent else 'comes from elsewhere'}"
            else:
                yield from differences(sent[name], got[name], name)
    elif isinstance(sent, list) and isinstance(got, list) and len(sent) == len(got):
        for one, other in zip(sent, got, strict=True):
            yield from differences(one, other, f"an item of {place}")
    elif not same(sent, got):
        yield f"{place} is {json.dumps(sent):.80} and is read as {got!r:.80}"


def same(sent: Any, got: Any) -> bool:
    got = got.get_secret_value() if isinstance(got, SecretStr) else to_jsonable_python(got)
    return isinstance(sent, bool) == isinstance(got, bool) and bool(sent == got)


def sentence(error: Exception) -> str:
    """Say in one line what went wrong, and where in the client."""
    if isinstance(error, Failure):
        return str(error)
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if "api_keys_client" in frame.filename]
    place = f" ({Path(places[-1].filename).name}, line {places[-1].lineno})" if places else ""
    return " ".join(f"{type(error).__name__}: {error}{place}".split())


def make_calls(client: Any, server: Server, finish: Callable[[Any], Any]) -> None:
    """Make each call once for every answer to it that the contract allows, then a rotation, which reads records."""
    role = next(iter(importlib.import_module("api_keys_client").Role))
    calls: dict[str, Callable[[], Any]] = {
        "list": client.list,
        "get": lambda: client.get(OLD),
        "create": lambda: client.create("text", roles=[role]),
        "deactivate": lambda: client.deactivate(OLD),
        "rotate": lambda: client.rotate(OLD, store=lambda _: None),
    }
    for name, call in calls.items():
        number = 0
        while number == 0 or (number < server.count and name != "rotate"):
            server.expect(number, {"roles": [role.value]} if name == "rotate" else None)
            number += 1
            try:
                got = finish(call())
            except Exception as error:
                answer = f" with the answer {json.dumps(server.sent, default=str):.300}" if server.methods else ""
                raise Failure(server.problem or f"{name} failed{answer}: {sentence(error)}") from error
            if name != "rotate" and (found := next(differences(server.sent, got), None)):
                raise Failure(f"{name}: {found}")


def check(contract: Contract) -> None:
    """Raises if the client does not do what the contract says."""
    import_every_module("_generated")
    server = Server(contract)
    package = importlib.import_module("api_keys_client")
    url = f"http://127.0.0.1:{server.listening.port}"
    sync, loop = (client(url, token="t") for client in (package.ApiKeysClient, package.AsyncApiKeysClient))  # noqa: S106  # opens nothing
    make_calls(sync, server, lambda result: result)
    with asyncio.Runner() as runner:
        make_calls(loop, server, runner.run)
        runner.run(loop.close())


def main() -> int:
    generated, root = sys.argv[1:]
    sys.path[:0] = [generated, root]
    try:
        check(Contract(json.loads(Path(root, "openapi.json").read_bytes())))
    except Exception as error:
        print(sentence(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
