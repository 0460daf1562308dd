"""Find the imports of each module of the package, without running the module."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

import layercode_app

PACKAGE = Path(next(iter(layercode_app.__path__)))
NAME = "layercode_app"


class Import(NamedTuple):
    """An import of `target` in the file `module`. `top` is true if it runs as soon as the module itself is imported."""

    module: str
    line: int
    target: str
    top: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@cache
def modules(pattern: str = "*.py") -> tuple[tuple[str, ast.Module], ...]:
    """Return the path inside the package and the syntax tree of each module whose file name matches `pattern`."""
    # Disable the garbage collector. The trees are a million objects that stay in memory, and to search them for
    # garbage takes three times as long as to parse the files.
    enabled = gc.isenabled()
    gc.disable()
    try:
        return tuple(_modules(pattern))
    finally:
        gc.freeze()
        if enabled:  # While tests are collected, it is off, and stays off.
            gc.enable()


def _modules(pattern: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob(pattern)):
        inside = path.relative_to(PACKAGE)
        # Agents and templates are data: they are users' code, not a part of the package.
        if inside.parts[0] != "agents" and "templates" not in inside.parts:
            yield inside.as_posix(), ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports() -> tuple[Import, ...]:
    """Return every import of the package, also those inside functions."""
    return tuple(found for module, tree in modules() for found in imports_of(module, tree))


def imports_of(module: str, tree: ast.Module) -> Iterator[Import]:
    """Yield every import of one module. Each name that is imported from the package is a separate target."""
    lazy = set(_lazy(tree))
    for node in ast.walk(tree):
        for target in _targets(module, node):
            yield Import(module, node.lineno, target, node not in lazy)  # type: ignore[attr-defined]


def _targets(module: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = ".".join([NAME, *Path(module).parent.parts])
        source = resolve_name("." * node.level + (node.module or ""), package)
        ours = source.split(".")[0] == NAME
        yield from (f"{source}.{alias.name}" for alias in node.names) if ours else [source]


def _lazy(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that run only when a function is called, and the nodes below `TYPE_CHECKING`, which never run."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from ast.walk(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (inner for statement in node.body for inner in ast.walk(statement))
