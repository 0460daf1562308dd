"""Texts and regular expressions of scenario files."""

from __future__ import annotations

import re
from functools import lru_cache


def heard_in(pattern: str, text: str) -> bool:
    """Return whether a text contains this text, or a match of this regular expression, without regard to case."""
    if pattern.lower() in text.lower():
        return True
    compiled = _compiled(pattern)
    return compiled is not None and compiled.search(text) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a regular expression; None if it is only a text, such as "$5 (about"."""
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error:
        return None
