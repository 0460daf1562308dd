"""Imitate the errors of speech recognition: homophones, and small words that are lost."""

from __future__ import annotations

import re
from random import Random
from typing import Final

HOMOPHONES: Final = {
    "ate": "eight", "buy": "by", "by": "buy", "eight": "ate", "for": "four", "four": "for",
    "flour": "flower", "hear": "here", "here": "hear", "hour": "our", "know": "no", "mail": "male", "meet": "meat",
    "new": "knew", "no": "know", "one": "won", "our": "hour", "pair": "pear", "right": "write", "roll": "role",
    "sale": "sail", "see": "sea", "son": "sun", "sun": "son", "their": "there", "there": "their", "to": "two",
    "too": "two", "two": "to", "wait": "weight", "way": "weigh", "weak": "week", "week": "weak", "whole": "hole",
}  # fmt: skip
SMALL: Final = frozenset({"a", "an", "the", "please", "of", "is", "my", "i", "and", "on", "at", "it's", "that"})
"""Words that recognition often loses."""
_WORD = re.compile(r"[\w']+")


def mishear(line: str, random: Random) -> str:
    """Return the line with one word replaced by a homophone, or with one small word left out.

    Return it unchanged if it has only one word, or if it has no small word and no word with a homophone.
    """
    words = line.split()
    places = [place for place, word in enumerate(words) if _core(word) in HOMOPHONES or _core(word) in SMALL]
    if not places or len(words) == 1:
        return line
    place = random.choice(places)
    heard = HOMOPHONES.get(_core(words[place]))
    words[place : place + 1] = [] if heard is None else [_WORD.sub(heard, words[place], count=1)]
    return " ".join(words)


def _core(word: str) -> str:
    found = _WORD.search(word)
    return found[0].lower() if found else ""
