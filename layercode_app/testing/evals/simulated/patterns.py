"""Patterns in scenario files: texts or regular expressions that are searched for in spoken words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator


def heard_in(pattern: str, text: str) -> bool:
    """Return whether the text contains the pattern, as plain text or as a regular expression, ignoring case."""
    return pattern.lower() in text.lower() or _compiled(pattern).search(text) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _checked(pattern: str) -> str:
    """Return the pattern. Raises ValueError if it is not a valid regular expression."""
    try:
        _compiled(pattern)
    except re.error as error:
        raise ValueError(
            f"{pattern!r} is not a regular expression ({error}); to find it as plain text, write {re.escape(pattern)}"
        ) from error
    return pattern


Pattern = Annotated[str, AfterValidator(_checked)]
"""A text to find: the plain text or a regular expression, ignoring case."""
