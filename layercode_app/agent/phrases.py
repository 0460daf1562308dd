"""Recognise messages that consist only of known phrases. Case, punctuation and repetition do not matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from ..conversation.plain_words import plain_words


class Phrases:
    """A set of phrases. `fit` tells whether a text consists only of these phrases."""

    def __init__(self, phrases: Iterable[str], *, beside: Iterable[str] = ()) -> None:
        """Prepare the phrases. `beside` are phrases such as "please", which a text may have in addition; see `fit`."""
        known = {plain for phrase in phrases if (plain := plain_words(phrase))}
        polite = {plain for phrase in beside if (plain := plain_words(phrase))}
        self._all = {tuple(phrase.split()) for phrase in known | polite}
        self._polite = {tuple(phrase.split()) for phrase in polite}

    def fit(self, text: str) -> bool:
        """Return whether the text consists only of known phrases, and at least one of them is not in `beside`."""
        words = plain_words(text).split()
        return _consists_of(words, self._all) and not _consists_of(words, self._polite)


def _consists_of(words: Sequence[str], phrases: Set[tuple[str, ...]]) -> bool:
    """Return whether the words are a sequence of phrases."""
    # Do not use a regular expression: one phrase may be the beginning of another, so matching could take exponential
    # time.
    longest = max(map(len, phrases), default=0)
    ends = {0}
    for at in range(len(words)):
        if at in ends:
            ends |= {at + n for n in range(1, longest + 1) if tuple(words[at : at + n]) in phrases}
    return bool(words) and len(words) in ends
