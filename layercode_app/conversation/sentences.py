"""Find the ends of sentences in text that arrives in pieces."""

from __future__ import annotations

import re

# A full stop at the end of a piece also ends a sentence, unless a digit precedes it: the number may continue.
_END = re.compile(
    r"""[.!?\u2026]["'\u201d\u2019)\]]*(?=\s)|(?<!\d)[.!?\u2026]["'\u201d\u2019)\]]*$|[\u3002\uff01\uff1f]|\n"""
)


def to_sentence_end(text: str) -> tuple[str, bool]:
    """Return the text up to the end of its first sentence, and True.

    If no sentence ends in the text, return the whole text, and False.
    """
    found = _END.search(text)
    return (text[: found.end()], True) if found else (text, False)


def ends_sentence(text: str) -> bool:
    """Return whether the text stops at the end of a sentence; true for blank text."""
    stripped = text.rstrip()
    return not stripped or any(found.end() == len(stripped) for found in _END.finditer(stripped))
