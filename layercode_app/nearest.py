"""Suggest a known name for a name that was typed wrongly.

The known name differs from the typed name by one or two typos, or begins with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONG = 8
"""A word of at least this many letters may have two typos, a shorter word only one."""
SHORTEST_BEGINNING = 3


def nearest(name: str, known: Iterable[str], *, beginnings: bool = False) -> str:
    """Return the known name that `name` misspells, or "" if there is none.

    With `beginnings`, `name` may also be the beginning of a known name, unless several names begin with it.
    """
    names = sorted(known)
    misspelt = [(typos, one) for one in names if (typos := _typos(name, one)) is not None]
    if misspelt:
        return min(misspelt)[1]
    begun = [one for one in names if beginnings and len(name.strip("-")) >= SHORTEST_BEGINNING and one.startswith(name)]
    return begun[0] if len(begun) == 1 else ""


def _typos(name: str, other: str) -> int | None:
    """Return the number of typos between two names, or None if there are too many for words of that length."""
    left, right = (re.split(r"[-_. ]+", text.lower().strip("-")) for text in (name, other))
    if len(left) != len(right):
        # A separator is missing or superfluous, so compare the names without separators.
        left, right = ["".join(left)], ["".join(right)]
    typos = [_distance(one, two) for one, two in zip(left, right, strict=True)]
    allowed = [1 if len(word) < LONG else 2 for word in right]
    fits = all(count <= most for count, most in zip(typos, allowed, strict=True)) and sum(typos) <= 2
    return sum(typos) if fits else None


def _distance(left: str, right: str) -> int:
    """Return the edit distance: the number of wrong, missing, extra and swapped letters."""
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
