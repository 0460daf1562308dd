"""Recognise messages that consist only of known phrases, whatever their case, punctuation and repetition."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..conversation.plain_words import plain_words


class Phrases:
    """A set of phrases; `fit` tells whether a text is nothing but these."""

    def __init__(self, phrases: Iterable[str], *, beside: Iterable[str] = ()) -> None:
        """Take the phrases, and those that may stand `beside` them but say nothing alone."""
        known = {plain for phrase in phrases if (plain := plain_words(phrase))}
        polite = {plain for phrase in beside if (plain := plain_words(phrase))}
        self._all = _only(known | polite)
        self._polite = _only(polite)

    def fit(self, text: str) -> bool:
        """Return whether the text has at least one of the phrases, and no other words."""
        words = plain_words(text) + " "
        return self._all.fullmatch(words) is not None and self._polite.fullmatch(words) is None


def _only(phrases: set[str]) -> re.Pattern[str]:
    """Return a pattern of a text that has only these phrases, each followed by a space."""
    longest_first = sorted(map(re.escape, phrases), key=len, reverse=True)
    return re.compile(f"(?:(?:{'|'.join(longest_first)}) )+") if phrases else re.compile(r"(?!)")
