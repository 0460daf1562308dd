"""Find the judges of a scenario: stock judges by name, or your own questions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ..exceptions import ConfigurationError
from ..nearest import nearest

ALL = "all"
_NAME = re.compile(r"[a-z]+(?:_[a-z]+)*")
"""Matches one lower-case word, with or without underscores. Such a text is taken for a stock judge's name."""


@cache
def stock() -> dict[str, str]:
    """Return the questions of all stock judges by name."""
    files = sorted(Path(__file__).parent.glob("*.md"))
    return {path.stem: path.read_text(encoding="utf-8").strip() for path in files}


def questions(asked: Iterable[str]) -> dict[str, str]:
    """Return the questions to ask, by the names shown in reports. The name of your own question is its text.

    Raises ConfigurationError for a name that no stock judge has.
    """
    found: dict[str, str] = {}
    for one in asked:
        if one == ALL:
            found |= stock()
        elif one in stock():
            found[one] = stock()[one]
        elif _NAME.fullmatch(one):
            raise ConfigurationError(_unknown(one))
        else:
            found[one] = one
    return found


def _unknown(name: str) -> str:
    meant = nearest(name, stock())
    known = ", ".join([ALL, *stock()])
    return f"judge {name!r}: expected a question, or one of {known}." + (f" Did you mean {meant!r}?" if meant else "")
