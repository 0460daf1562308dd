"""What a new project installs: names that it cannot have itself."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, requires

from .source import NAME

OWN = (NAME, "mypy", "pytest", "ruff")
"""What a project's own pyproject.toml asks for."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@cache
def required() -> frozenset[str]:
    """The names of all distributions that a project may install, directly or not, as far as they are installed here."""
    found: set[str] = set()
    waiting = [normalized(name) for name in OWN]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _asked_for_by(name)
    return frozenset(found)


def normalized(name: str) -> str:
    """A distribution's name as installers compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _asked_for_by(name: str) -> list[str]:
    try:
        asked = requires(name) or []
    except PackageNotFoundError:
        return []
    # Of another platform or of an extra that nobody chose: what is not installed here leads no further.
    return [normalized(match[0]) for one in asked if (match := _NAME.match(one))]
