"""Reduce spoken text to its plain words, so that different spellings of the same words become equal."""

from __future__ import annotations

import re
import unicodedata

_BETWEEN = re.compile(r"[\W_]+")
_STRETCHED = re.compile(r"(\w)\1{2,}")


def plain_words(text: str) -> str:
    """Return a text's words in lower case, separated by single spaces. A letter is repeated at most once.

    For example, "Uh-huh, okaaay!" becomes "uh huh okaay".
    """
    lower = unicodedata.normalize("NFKC", text).casefold()
    return _STRETCHED.sub(r"\1\1", _BETWEEN.sub(" ", lower)).strip()
