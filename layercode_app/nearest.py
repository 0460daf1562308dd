"""Find the name that was meant. A suggestion is made for a typo, never for another word that looks similar."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONG = 8
"""From this length on a word may have two typos; a shorter one has one."""
SHORTEST_BEGINNING = 3


def nearest(name: str, known: Iterable[str], *, beginnings: bool = False) -> str:
    """Return the known name of which this is a misspelling, "" if there is none.

    With `beginnings` it may also be the beginning of one name only.
    """
    names = sorted(known)
    misspelt = [(typos, one) for one in names if (typos := _typos(name, one)) is not None]
    if misspelt:
        return min(misspelt)[1]
    begun = [one for one in names if beginnings and len(name.strip("-")) >= SHORTEST_BEGINNING and one.startswith(name)]
    return begun[0] if len(begun) == 1 else ""


def _typos(name: str, other: str) -> int | None:
    """Return the number of typos between two names, None if they are too many for the length of the words."""
    left, right = (re.split(r"[-_. ]+", text.lower().strip("-")) for text in (name, other))
    if len(left) != len(right):
        # A separator is missing, or one too many.
        left, right = ["".join(left)], ["".join(right)]
    typos = [_distance(one, two) for one, two in zip(left, right, strict=True)]
    allowed = [1 if len(word) < LONG else 2 for word in right]
    fits = all(count <= most for count, most in zip(typos, allowed, strict=True)) and sum(typos) <= 2
    return sum(typos) if fits else None


def _distance(left: str, right: str) -> int:
    """Return how many letters are wrong, missing, too many, or swapped with their neighbour."""
    before: list[int] = []
    last = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        row = [i]
        for j, two in enumerate(right, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (one != two))
            if i > 1 and j > 1 and one == right[j - 2] and left[i - 2] == two:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
