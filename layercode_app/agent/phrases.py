"""Recognise messages that consist only of known phrases, whatever their case, punctuation and repetition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from ..conversation.plain_words import plain_words


class Phrases:
    """A set of phrases; `fit` tells whether a text is nothing but these."""

    def __init__(self, phrases: Iterable[str], *, beside: Iterable[str] = ()) -> None:
        """Take the phrases, and those that may stand `beside` them but say nothing alone."""
        known = {plain for phrase in phrases if (plain := plain_words(phrase))}
        polite = {plain for phrase in beside if (plain := plain_words(phrase))}
        self._all = {tuple(phrase.split()) for phrase in known | polite}
        self._polite = {tuple(phrase.split()) for phrase in polite}

    def fit(self, text: str) -> bool:
        """Return whether the text has at least one of the phrases, and no other words."""
        words = plain_words(text).split()
        return _consists_of(words, self._all) and not _consists_of(words, self._polite)


def _consists_of(words: Sequence[str], phrases: Set[tuple[str, ...]]) -> bool:
    """Return whether the words are one phrase after another.

    Phrases may begin with one another, so a pattern that repeats them would try exponentially many ways.
    """
    longest = max(map(len, phrases), default=0)
    ends = {0}
    for at in range(len(words)):
        if at in ends:
            ends |= {at + n for n in range(1, longest + 1) if tuple(words[at : at + n]) in phrases}
    return bool(words) and len(words) in ends
