"""Find the packages that a new project installs: the project cannot have the name of one of them."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, requires

from .source import NAME

OWN = (NAME, "mypy", "pytest", "ruff")
"""The requirements in a project's own pyproject.toml."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@cache
def required() -> frozenset[str]:
    """Return the names of the direct and indirect requirements of a project.

    If a requirement is not installed here, its own requirements are missing in the result.
    """
    found: set[str] = set()
    waiting = [normalized(name) for name in OWN]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _requirements_of(name)
    return frozenset(found)


def normalized(name: str) -> str:
    """Return a distribution's name as installers compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements_of(name: str) -> list[str]:
    try:
        requirements = requires(name) or []
    except PackageNotFoundError:
        return []
    # Requirements of other platforms and of extras are included, even if they are not installed here.
    return [normalized(match[0]) for one in requirements if (match := _NAME.match(one))]
