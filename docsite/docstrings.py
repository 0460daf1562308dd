"""Read the documentation of classes: their docstrings, and the strings below their attributes in the source."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap


def class_text(found: type) -> str:
    """Return the docstring of a class; "" if the class has none."""
    return inspect.cleandoc(found.__doc__ or "")


def attribute_texts(found: type) -> dict[str, str]:
    """Return a dict from the name of each attribute of a class to the string below the attribute."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    assert isinstance(tree, ast.ClassDef)
    return statement_texts(tree.body)


def statement_texts(body: list[ast.stmt]) -> dict[str, str]:
    """Return a dict from each assigned name to the string below its assignment."""
    texts = {}
    for one, below in itertools.pairwise(body):
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            for name in _names(one):
                texts[name] = inspect.cleandoc(below.value.value)
    return texts


def _names(statement: ast.stmt) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]
