"""Compare texts by their words, and group similar texts, with TF-IDF vectors. Deterministic; no model is called.

scikit-learn can do this too, but it would be by far the largest dependency of the package.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

Vector: TypeAlias = Mapping[str, float]
"""A text as a vector: the weight of each word. The vector's length is 1, or 0 for a text without words."""

SIMILAR = 0.3
"""Two texts are similar if their cosine is at least this. Unrelated sentences are below 0.1."""
ROUNDS = 4
"""The number of rounds in which each text is moved to the nearest group. More rounds would move few texts."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_COMMON_TEXT = """
about all also am an and any are as at be been but by can could did do does doing don for from get give go good had has have
hello help hey hi how if in into is it its just know let like ll me my need no not now of off oh okay on or our out please re
really right say see she so some tell thank thanks that the their them then there they thing think this to too uh um up us ve
very want was we well were what when where which who why will with would yeah yes yet you your
zero one two three four five six seven eight nine ten eleven twelve dozen half hundred much many more
"""
_COMMON = frozenset(_COMMON_TEXT.split())
"""English words that say nothing about what a caller wants. Other languages have no such list, only the weights."""


def words_of(text: str) -> list[str]:
    """Return the words that tell what a text is about, in lower case and without a plural s."""
    found = (word for word in _WORD.findall(text.casefold()) if word not in _COMMON)
    return [word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word for word in found]


class Corpus:
    """A set of texts that gives each word a weight: a word that is in few texts weighs more."""

    def __init__(self, texts: Iterable[str]) -> None:
        known = [words_of(text) for text in texts]
        self._size = len(known)
        self._texts_with = Counter(word for words in known for word in set(words))

    def vector(self, text: str) -> Vector:
        """Return the vector of a text. The corpus need not contain the text."""
        counts = Counter(words_of(text))
        return _unit({word: (1 + math.log(count)) * self._weight(word) for word, count in counts.items()})

    def _weight(self, word: str) -> float:
        return 1 + math.log((1 + self._size) / (1 + self._texts_with[word]))


def cosine(one: Vector, other: Vector) -> float:
    """Return how similar two vectors are, from 0 to 1."""
    return sum(weight * other.get(word, 0.0) for word, weight in one.items())


def centre(vectors: Iterable[Vector]) -> Vector:
    """Return the mean of vectors, with a length of 1."""
    total: defaultdict[str, float] = defaultdict(float)
    for vector in vectors:
        for word, weight in vector.items():
            total[word] += weight
    return _unit(total)


def groups_of(vectors: Sequence[Vector]) -> list[list[int]]:
    """Return groups of similar vectors, the largest group first. A group lists the indices of its vectors.

    The vector of a text without words is in no group.
    """
    groups: list[list[int]] = []
    for _ in range(ROUNDS):
        groups = _assigned(vectors, [centre(vectors[index] for index in group) for group in groups])
    return sorted(groups, key=lambda group: (-len(group), group[0]))


def _assigned(vectors: Sequence[Vector], centres: list[Vector]) -> list[list[int]]:
    """Put each vector into the group of the nearest centre, or begin a group with it if no centre is similar."""
    groups: list[list[int]] = [[] for _ in centres]
    # Each text is compared only with centres that share a word with it, which is fast even with many groups.
    having: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for number, vector in enumerate(centres):
        _index(having, number, vector)
    for index, vector in enumerate(vectors):
        if not vector:
            continue
        nearest, similarity = _nearest(having, vector)
        if similarity < SIMILAR:
            nearest = len(groups)
            groups.append([])
            _index(having, nearest, vector)
        groups[nearest].append(index)
    return [group for group in groups if group]


def _index(having: defaultdict[str, dict[int, float]], number: int, vector: Vector) -> None:
    for word, weight in vector.items():
        having[word][number] = weight


def _nearest(having: Mapping[str, Mapping[int, float]], vector: Vector) -> tuple[int, float]:
    found: defaultdict[int, float] = defaultdict(float)
    for word, weight in vector.items():
        for number, theirs in having.get(word, {}).items():
            found[number] += weight * theirs
    return min(found.items(), key=lambda item: (-round(item[1], 9), item[0]), default=(0, 0.0))


def _unit(vector: Mapping[str, float]) -> Vector:
    length = math.sqrt(sum(weight * weight for weight in vector.values()))
    return {word: weight / length for word, weight in vector.items()} if length else {}
