"""Forms that several kinds of tokens share: numbers, spaces, dashes, signs and names of months."""

from __future__ import annotations

from collections.abc import Callable

from ...spoken.money import SIGNS
from ...spoken.times import MONTHS
from .grammar import Form, char, maybe, named, one_of, times

SPACE = char(" \u00a0\u202f")
GAP = maybe(SPACE)
DASH = char("\\-\u2013\u2014")
MINUS = char("\\-\u2212")
DIGIT = char("0-9")
SHORT = times(DIGIT, 1, 2)
YEAR = times(DIGIT, 4, 4)
CAPITAL = char("A-Z")

_GROUPED = times(DIGIT, 1, 3) + times(one_of([","]) + times(DIGIT, 3, 3), 1, 5)
_FRACTION = one_of(["."]) + times(DIGIT, 1, 12)
INTEGER = _GROUPED | times(DIGIT, 1, 20)
"""A whole number: 1250, 1,250."""
PLAIN = INTEGER + maybe(_FRACTION)
"""A number without a sign: 1250, 1,250.50."""
NUMBER = maybe(MINUS) + (PLAIN | _FRACTION)
"""A number with or without a sign: -5, 1,250.50, .5."""
TO = GAP + DASH + GAP
"""The dash of a range, with or without spaces."""
SIGN = one_of(SIGNS)
"""The sign of a currency."""

HEADS = ("A", "a", "In", "No")
"""Words that may begin an abbreviation. They are spoken at once; the rest follows once the abbreviation is complete."""

ABBREVIATED = {name[:3]: name for name in MONTHS if name != "May"} | {"Sept": "September"}
"""The abbreviated names of the months. May has none."""
MONTH_NUMBER = {name: number for number, name in enumerate(MONTHS, 1)}
MONTH_NUMBER |= {short: MONTH_NUMBER[name] for short, name in ABBREVIATED.items()}
SUFFIX = one_of(["st", "nd", "rd", "th"])


def number(name: str) -> Form:
    """Return a form that matches a number, and captures it in a group called `name`."""
    return named(name, NUMBER)


def head_of(short: str) -> str:
    """Return the word of HEADS with which an abbreviation begins; "" if there is none."""
    return next((head for head in HEADS if short.startswith(head)), "")


def after(head: str) -> Callable[[str], bool]:
    """Return a condition for `Kind.when`: the letters of the word that were already spoken are exactly `head`."""
    return lambda word: word == head


def month_of(written: str) -> int:
    """Return the number of a month (1 to 12) by its name or abbreviation."""
    return MONTH_NUMBER[written.rstrip(".")]
