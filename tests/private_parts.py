"""Find the places where a module uses a private part of another library, without running the module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum

ACCESSORS = {"getattr", "hasattr", "setattr", "delattr"}
OURS = {"self", "cls"}
MADE = {"_abc_impl", "_is_protocol", *vars(Enum)}
"""Private names that Python itself gives to a class."""


def private_parts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line number and the text of each use of a private part that the module itself does not define.

    Uses through `self` or `cls` are not found here. If a class of ours overrides a private part that it inherits from
    another library, `inherited_parts` finds it.
    """
    own = set(_defined(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            if _imports_private(node):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            if node.attr not in own and not _is_ours(node.value):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and is_private(_accessed(node)) and not _is_ours(node.args[0]):
            yield node.lineno, ast.unparse(node)


def is_private(name: str) -> bool:
    """Return whether a name is private: `_x`, `__x`, or one of pydantic's own, such as `__pydantic_x__`."""
    magic = name.startswith("__") and name.endswith("__")
    return name.startswith("__pydantic_") if magic else name.startswith("_")


def _imports_private(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.ImportFrom) and (node.level or node.module == "__future__"):
        return False
    source = node.module or "" if isinstance(node, ast.ImportFrom) else ""
    return any(is_private(part) for alias in node.names for part in f"{source}.{alias.name}".split("."))


def _is_ours(value: ast.expr) -> bool:
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "super":
        return True
    return isinstance(value, ast.Name) and value.id in OURS


def _accessed(call: ast.Call) -> str:
    """Return the attribute name that a call of one of ACCESSORS is given, or "" for any other call."""
    if isinstance(call.func, ast.Name) and call.func.id in ACCESSORS and len(call.args) > 1:
        name = call.args[1]
        return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""
    return ""


def _defined(tree: ast.Module) -> Iterator[str]:
    """Yield the names that the module's own classes define.

    They are methods, variables that are assigned in a class, and attributes that are assigned on `self` or `cls`.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for inner in ast.walk(node):
                yield from _names_in_class(inner)


def _names_in_class(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_ours(node.value):
        yield node.attr


def inherited_parts(kind: type) -> Iterator[str]:
    """Yield each private name that is defined both in a class of ours and in a class of another library.

    The classes are `kind` and its base classes. Names that begin with two underscores are left out.
    """
    package = [base for base in kind.__mro__ if base.__module__.startswith("layercode_app")]
    ours = [base for base in package if not base.__module__.startswith("layercode_app._compat")]
    others = [base for base in kind.__mro__ if base not in package and base is not object]
    for name in {name for base in ours for name in vars(base) if is_private(name)}:
        # Skip names that begin with two underscores: Pydantic gives each model its own `__pydantic_…__` attributes.
        if name not in MADE and not name.startswith("__") and any(name in vars(base) for base in others):
            yield name
