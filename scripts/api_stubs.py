"""The public API of a checkout as the text of stubs, one for each public module; nothing is imported for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import griffe

HEAD = "# Recorded by scripts/public_api. Semantic versioning covers what is here; see CONTRIBUTING.md.\n"
WIDTH = 100

# For each recorded file, the module whose public names are in it.
MODULES = {
    "api_keys_client/__init__.pyi": "api_keys_client",
    "api_keys_client/pytest_plugin.pyi": "api_keys_client.pytest_plugin",
    "api_keys_client/sandbox.pyi": "api_keys_client.sandbox",
    "api_keys_client/stores.pyi": "api_keys_client.stores",
    "_generated/__init__.pyi": "_generated",
}

# What a function with this decorator gives a caller, and what a stub without the decorator says instead.
MANAGERS = {
    "contextmanager": ("Iterator", "AbstractContextManager"),
    "asynccontextmanager": ("AsyncIterator", "AbstractAsyncContextManager"),
}
# The generated twins of each method, which CONTRIBUTING.md leaves out of the promise, and pydantic's own setting.
UNCOVERED = re.compile(r"_|model_config$|\w+_(with_http_info|without_preload_content)$")
PROTOCOL = {"__init__", "__enter__", "__exit__", "__aenter__", "__aexit__"}
# Of the generator's runtime only what it takes to make an `APIKeysApi` is promised.
ONLY_MADE = {"_generated.api_client.ApiClient", "_generated.configuration.Configuration"}
# Made by the client, not by its users.
ONLY_GIVEN = {"api_keys_client._rotate.Rotation", "api_keys_client._rotate_async.AsyncRotation"}

Record = dict[str, str]


class Renderer:
    """Writes one module's names as the text of a stub."""

    def __init__(self, packages: griffe.ModulesCollection) -> None:
        self._packages = packages
        self._named = {name: value for package in packages.members.values() for name, value in named_values(package)}

    def module(self, path: str) -> str:
        module = self._packages[path]
        return HEAD + "".join(f"\n{self.member(name, target(module[name]))}" for name in public_names(module))

    def member(self, name: str, found: griffe.Object, indent: str = "") -> str:
        if isinstance(found, griffe.Class):
            return self.class_(name, found)
        if isinstance(found, griffe.Attribute):
            return self.attribute(name, found, indent)
        return self.function(name, cast("griffe.Function", found), indent)

    def class_(self, name: str, found: griffe.Class) -> str:
        shown = [str(base) for base in found.bases if not is_private_base(found, str(base))]
        head = f"class {name}({', '.join(shown)}):" if shown else f"class {name}:"
        body = "".join(self.member(*member, indent="    ") for member in members(found))
        return f"{head}\n{body}" if body else f"{head} ...\n"

    def attribute(self, name: str, found: griffe.Attribute, indent: str) -> str:
        annotation = None if found.annotation is None else self.expression(found.annotation)
        if "property" in found.labels:
            return f"{indent}@property\n{indent}def {name}(self) -> {annotation}: ...\n"
        if annotation in ("Final", "TypeAlias"):
            return f"{indent}{name}: {annotation} = {self.expression(str(found.value))}\n"
        if found.parent is not None and is_enum(found.parent):
            return f"{indent}{name} = {found.value}\n"
        initializer = found.parent.members.get("__init__") if found.parent is not None else None
        if annotation is None and isinstance(initializer, griffe.Function):
            # The attribute of a class is often an argument that was kept.
            given = [parameter for parameter in initializer.parameters if parameter.name == str(found.value)]
            annotation = self.expression(given[0].annotation) if given and given[0].annotation else None
        if annotation is None and isinstance(found.value, str) and (value := literal(found.value)) is not None:
            annotation = type(value).__name__
        return f"{indent}{name}: {annotation or 'Any'}\n"

    def function(self, name: str, found: griffe.Function, indent: str) -> str:
        result = "" if found.returns is None else f" -> {self.returned(found, self.expression(found.returns))}"
        parameters = [] if decorated_with(found, "fixture") else list(self.parameters(found))
        kept = next((kind for kind in ("classmethod", "staticmethod") if decorated_with(found, kind)), None)
        head = f"{indent}@{kept}\n" if kept else ""
        line = f"{indent}def {name}({', '.join(parameters)}){result}: ...\n"
        if len(line) > WIDTH:
            line = f"{indent}def {name}(\n"
            line += "".join(f"{indent}    {parameter},\n" for parameter in parameters) + f"{indent}){result}: ...\n"
        return head + line

    def returned(self, found: griffe.Function, result: str) -> str:
        """What a caller gets, without the decorator or `async` that says so in the source."""
        if "async" in found.labels and not any(decorated_with(found, manager) for manager in MANAGERS):
            return f"Coroutine[Any, Any, {result}]"
        for decorator, (before, after) in MANAGERS.items():
            if decorated_with(found, decorator):
                return result.replace(before, after, 1)
        return result

    def parameters(self, found: griffe.Function) -> Iterator[str]:
        starred = False
        for parameter in found.parameters:
            kind, text = parameter.kind, parameter.name
            if kind is griffe.ParameterKind.var_positional:
                starred, text = True, f"*{text}"
            elif kind is griffe.ParameterKind.var_keyword:
                text = f"**{text}"
            elif kind is griffe.ParameterKind.keyword_only and not starred:
                starred = True
                yield "*"
            if parameter.annotation is not None:
                text += f": {self.expression(parameter.annotation)}"
            if parameter.default is not None and "*" not in text.partition(":")[0]:
                text += f" = {self._named.get(str(parameter.default), parameter.default)}"
            yield text

    def expression(self, expression: griffe.Expr | str) -> str:
        tree = ast.parse(str(expression), mode="eval").body
        return ast.unparse(Simplify(self._named).visit(tree))


class Simplify(ast.NodeTransformer):
    """Puts in place of a name what it stands for, and `X` in place of `Annotated[X, ...]` and of `"X"`."""

    def __init__(self, named: dict[str, str]) -> None:
        self._named = named

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._parsed(self._named[node.id]) if node.id in self._named else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return self._parsed(node.value) if isinstance(node.value, str) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        if name == "Literal":
            return node
        if name == "Annotated" and isinstance(node.slice, ast.Tuple):
            annotated: ast.AST = self.visit(node.slice.elts[0])
            return annotated
        return self.generic_visit(node)

    def _parsed(self, text: str) -> ast.AST:
        parsed: ast.AST = self.visit(ast.parse(text, mode="eval").body)
        return parsed


def named_values(module: griffe.Module) -> Iterator[tuple[str, str]]:
    """What names of a package stand for that a reader of a signature would have to look up."""
    for name, found in module.members.items():
        if isinstance(found, griffe.Module):
            yield from named_values(found)
        elif isinstance(found, griffe.Attribute) and (
            str(found.annotation) == "TypeAlias" or name.startswith("DEFAULT_")
        ):
            yield name, str(found.value)


def literal(value: str) -> object:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None


def public_names(module: griffe.Module) -> list[str]:
    """The names that a module promises: its `__all__`, or the fixtures where there is none."""
    if "_HOME" in module.members:
        home = module["_HOME"]
        return sorted(ast.literal_eval(str(home.value)))
    if module.exports:
        return sorted(str(name) for name in module.exports)
    functions = [name for name, found in module.members.items() if isinstance(found, griffe.Function)]
    return sorted(name for name in functions if name[0] != "_" and decorated_with(module[name], "fixture"))


def target(found: griffe.Object | griffe.Alias) -> griffe.Object:
    return found.final_target if isinstance(found, griffe.Alias) else found


def decorated_with(found: griffe.Object | griffe.Alias, name: str) -> bool:
    decorators = cast("griffe.Function", target(found)).decorators
    return any(re.match(rf"([\w.]+\.)?{name}\b", str(decorator.value)) for decorator in decorators)


def is_enum(found: griffe.Object) -> bool:
    return isinstance(found, griffe.Class) and any("Enum" in str(base) for base in found.bases)


def is_private_base(found: griffe.Class, base: str) -> bool:
    """Whether a base is one of our own that is not public itself: its members are recorded as the class's."""
    return any(mine.name == base and "._" in mine.path for mine in found.resolved_bases)


def members(found: griffe.Class) -> Iterator[tuple[str, griffe.Object]]:
    """What a class has, by name, in the order of the source; of its bases, only what private ones give it."""
    for base in found.resolved_bases:
        if isinstance(base, griffe.Class) and is_private_base(found, base.name):
            yield from members(base)
    inherited = {name for base in found.resolved_bases for name in target(base).all_members}
    for name, alias in found.members.items():
        member = target(alias)
        if name in PROTOCOL:
            shown = found.path not in ONLY_GIVEN
        elif isinstance(member, griffe.Attribute) and member.annotation is None and name in inherited:
            shown = False
        else:
            shown = found.path not in ONLY_MADE and not UNCOVERED.match(name)
        if shown:
            yield name, member


def render(root: Path) -> Record:
    """The public API of a checkout, as the text of each stub."""
    packages = griffe.ModulesCollection()
    for package in ("_generated", "api_keys_client"):
        griffe.load(
            package,
            search_paths=[root],
            try_relative_path=False,
            modules_collection=packages,
            allow_inspection=False,
            resolve_aliases=True,
        )
    renderer = Renderer(packages)
    return {file: renderer.module(path) for file, path in MODULES.items()}
