"""Count millions of values and names in little memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from heapq import merge

MOST_EXACT = 10_000
"""The size of a batch. The values of a batch that is not full yet are kept exactly."""
DIGITS = 3
"""The significant digits to which the values of a full batch are rounded. Percentiles are then at most 0.5% off."""
MOST_UNSORTED = 10_000


class Values:
    """Numbers for percentiles and means. Each full batch of `MOST_EXACT` numbers is rounded to `DIGITS` digits."""

    __slots__ = ("_exact", "_rounded", "total")

    def __init__(self) -> None:
        self.total = 0.0
        """The sum of the numbers before rounding."""
        self._exact = array("d")
        self._rounded: Counter[float] = Counter()

    def append(self, value: float) -> None:
        """Add a number."""
        self.total += value
        self._exact.append(value)
        if len(self._exact) >= MOST_EXACT:
            self._rounded.update(float(f"{number:.{DIGITS}g}") for number in self._exact)
            del self._exact[:]

    def __len__(self) -> int:
        """Return how many numbers were added."""
        return len(self._exact) + self._rounded.total()

    def __iter__(self) -> Iterator[float]:
        """Yield all numbers, in no particular order."""
        yield from self._exact
        yield from self._rounded.elements()

    def __contains__(self, value: object) -> bool:
        """Return whether the number was added. A number in a rounded batch is found only by its rounded value."""
        return value in self._exact or value in self._rounded


class Distinct:
    """A set of names that only counts them. Each name takes about 8 bytes, because only its 64-bit hash is kept."""

    __slots__ = ("_new", "_sorted")

    def __init__(self) -> None:
        self._new: set[int] = set()
        self._sorted = array("q")

    def add(self, name: str) -> None:
        """Add a name, unless it is in the set."""
        if name in self:
            return
        self._new.add(hash(name))
        # Each merge copies all sorted hashes. So wait until there are at least an eighth as many new hashes.
        if len(self._new) >= max(MOST_UNSORTED, len(self._sorted) // 8):
            self._sorted = array("q", merge(self._sorted, sorted(self._new)))
            self._new = set()

    def __contains__(self, name: str) -> bool:
        """Return whether the name was added."""
        key = hash(name)
        at = bisect_left(self._sorted, key)
        return key in self._new or (at < len(self._sorted) and self._sorted[at] == key)

    def __len__(self) -> int:
        """Return how many different names were added."""
        return len(self._new) + len(self._sorted)
