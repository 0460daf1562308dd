"""Every public package lists its exports: sorted, complete, importable and documented."""

from __future__ import annotations

import ast
import importlib
import inspect
from types import ModuleType

import pytest

from .imports import NAME, modules

PACKAGES = {".".join([NAME, *module.split("/")[:-1]]): tree for module, tree in modules("__init__.py")}
"""Every package's dotted name and the syntax of its `__init__.py`."""


def _assigns_all(tree: ast.Module) -> bool:
    assigned = (node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign))
    targets = (
        target for node in assigned for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    )
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _exporting() -> list[str]:
    return sorted(name for name, tree in PACKAGES.items() if _assigns_all(tree))


def _imported_names(tree: ast.Module) -> set[str]:
    """Return the public names that an `__init__.py` imports from our own modules, also under `TYPE_CHECKING`."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith(NAME))
        for alias in node.names
        if not (alias.asname or alias.name).startswith("_")
    }


def _load(name: str) -> tuple[ModuleType, list[str]]:
    package = importlib.import_module(name)
    return package, list(package.__all__)


@pytest.mark.parametrize("name", _exporting())
def test_exports_are_sorted_and_unique(name: str) -> None:
    _, exported = _load(name)
    # Constants, then classes, then functions: the order the linter keeps.
    assert exported == sorted(set(exported), key=lambda word: (_rank(word), word))


def _rank(word: str) -> int:
    return 0 if word.isupper() else 1 if word[0].isupper() else 2


@pytest.mark.parametrize("name", _exporting())
def test_exports_are_complete(name: str) -> None:
    _, exported = _load(name)
    assert _imported_names(PACKAGES[name]) - set(exported) == set()


@pytest.mark.parametrize("name", _exporting())
def test_exports_can_be_imported_and_listed(name: str) -> None:
    package, exported = _load(name)
    assert [member for member in exported if not hasattr(package, member)] == []
    assert set(exported) <= set(dir(package))
    assert not hasattr(package, "no_such_name")


@pytest.mark.parametrize("name", _exporting())
def test_exports_have_docstrings(name: str) -> None:
    package, exported = _load(name)
    members = {member: getattr(package, member) for member in exported}
    ours = {key: value for key, value in members.items() if inspect.isclass(value) or inspect.isroutine(value)}
    assert [key for key, value in ours.items() if not inspect.getdoc(value)] == []


def test_every_package_says_what_it_is_for() -> None:
    assert [name for name, tree in PACKAGES.items() if not ast.get_docstring(tree)] == []
