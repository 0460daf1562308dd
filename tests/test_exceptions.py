"""The error classes match the tree that is drawn in the docstring of their module."""

from __future__ import annotations

import inspect
import re

from layercode_app import exceptions


def _drawn() -> dict[str, str]:
    """Read the tree of errors that is drawn in the docstring of `exceptions.py`.

    Return a dict from the name of each error to the name of its parent.
    """
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in inspect.cleandoc(exceptions.__doc__ or "").splitlines():
        if match := re.match(r"^([│├└─ ]*)(\w+Error)\b", line):
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            parents[match[2]] = path[depth - 1] if depth else "Exception"
    return parents


def test_docstring_draws_the_tree() -> None:
    real = {
        name: kind.__base__.__name__
        for name, kind in vars(exceptions).items()
        if inspect.isclass(kind) and kind.__module__ == exceptions.__name__ and kind.__base__
    }
    assert _drawn() == real


def test_every_error_says_who_must_act() -> None:
    for name in _drawn():
        assert getattr(exceptions, name).__doc__
