"""Say codes digit by digit, in the groups in which they are written."""

from __future__ import annotations

import re

from ...spoken.numbers import groups
from .grammar import char, named, times
from .kinds import Kind, Place
from .shapes import DIGIT, SPACE

CODES = {
    *(
        "code",
        "pin",
        "otp",
        "order",
        "account",
        "reference",
        "confirmation",
        "ticket",
        "invoice",
        "booking",
        "zip",
        "postcode",
    ),
    *("extension", "flight", "room", "suite", "passcode", "password", "card", "serial", "tracking", "id"),
}
"""Words before a number that is said digit by digit."""
LINKS = {"#", "\u2116", "is", "was", "number", "no", "id", "code", "ending", "in", "with"}
"""Words that may stand between a word of CODES and its number."""


def is_code(place: Place) -> bool:
    """Return whether the words before a number say that it is a code: "your order number is"."""
    words = [word.lower() for word in place.before]
    while words and words[-1] in LINKS - CODES:
        words.pop()
    return bool(words) and words[-1] in CODES


def say_code(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a code of several groups after a word of CODES, such as "card 4111 1111 1111 1111"."""
    longest = max(map(len, re.findall(r"\d+", match["n"])))
    return groups(match["n"]) if longest > 2 and is_code(place) else None


def say_hyphenated(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a number with several hyphens, such as the sort code 12-34-56. This is no range."""
    return groups(match["n"])


_GROUP = times(DIGIT, 2, 6)
_HYPHEN = char("\\-\u2011")

CODE_KINDS = [
    Kind(named("n", _GROUP + (times(SPACE + _GROUP, 1, 7) | (_HYPHEN + _GROUP))), say_code),
    Kind(named("n", times(DIGIT, 1, 8) + times(_HYPHEN + times(DIGIT, 1, 8), 2, 6)), say_hyphenated),
]
"""The kinds of tokens that are codes of several groups."""
