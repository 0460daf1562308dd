"""Imitate how people speak: hesitations, restarted sentences, corrected numbers, and pauses in mid-sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

SOUNDS: Final = ("um", "uh", "er", "well")
NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_PAUSES = re.compile(r"(?<=[,;.!?])\s+|\s+(?=(?:and|but|because|or)\b)", re.IGNORECASE)
"""Matches the places where a speaker pauses: after punctuation, and before a conjunction."""


def hesitate(line: str, random: Random) -> str:
    """Return the line with one hesitation, with its beginning repeated, or with a number corrected immediately."""
    words = line.split()
    ways: list[Callable[[list[str], Random], list[str]]] = [_with_sound, _begun_twice]
    if _number_places(words):
        ways.append(_corrected)
    return " ".join(random.choice(ways)(words, random)) if words else line


def _with_sound(words: list[str], random: Random) -> list[str]:
    place = random.randrange(len(words))
    return [*words[:place], random.choice(SOUNDS), *words[place:]]


def _begun_twice(words: list[str], random: Random) -> list[str]:
    again = words[: random.randint(1, min(2, len(words)))]
    return [*again[:-1], again[-1].rstrip(",.!?") + ",", *words]


def _corrected(words: list[str], random: Random) -> list[str]:
    place = random.choice(_number_places(words))
    wrong = random.choice([number for number in NUMBERS if number != words[place].lower()])
    return [*words[:place], f"{wrong},", "I", "mean", *words[place:]]


def _number_places(words: list[str]) -> list[int]:
    return [place for place, word in enumerate(words) if word.lower() in NUMBERS]


def halves(line: str) -> list[str]:
    """Split a sentence into two messages, at the pause nearest to its middle, or at a space if it has no pause.

    A single word is not split.
    """
    places = [found.span() for found in _PAUSES.finditer(line)] or [found.span() for found in re.finditer(r"\s+", line)]
    if not places:
        return [line]
    begin, end = min(places, key=lambda span: abs(span[0] - len(line) / 2))
    return [line[:begin], line[end:]]
