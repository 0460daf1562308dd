"""Find numbers, digits and times in an English sentence, for the offline scripts of agents."""

from __future__ import annotations

import re

UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBERS = {word: number for number, word in enumerate(UNITS)} | {"couple": 2, "dozen": 12}
DIGITS = {word: str(digit) for digit, word in enumerate(UNITS[:10])} | {"oh": "0"}

_CLOCK = rf"(?:{'|'.join(UNITS)}|half past \w+|noon|midnight|\d[\d:.]*)(?: o'clock)?(?: ?[ap]\.?m\b)?"
_PART = (
    r"(?:(?:on |this |next )?(?:today|tonight|tomorrow|mon|tues|wednes|thurs|fri|satur|sun)(?:day)?"
    r"|(?:this |in the )?(?:morning|afternoon|evening)|any ?time|noon|midnight"
    rf"|(?:at|around|after|before) (?:about )?{_CLOCK})"
)
_WHEN = re.compile(rf"\b{_PART}\b(?:[ ,]*\b{_PART}\b)*", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")


def when(text: str) -> str:
    """Return the first date or time of day in a sentence, such as "tomorrow at seven"; "" if there is none."""
    found = _WHEN.search(text)
    return found[0] if found else ""


def digits(text: str) -> str:
    """Return all digits of a sentence, written or spoken: "one oh four 2" is 1042."""
    words = _WORD.findall(text.lower())
    return "".join(DIGITS.get(word, word if word.isdecimal() else "") for word in words)


def numbers(text: str) -> list[int]:
    """Return the numbers of a sentence, written or spoken, except those in times such as "at seven"."""
    found = (number(word) for word in _WORD.findall(_WHEN.sub(" ", text).lower()))
    return [one for one in found if one is not None]


def quantity(text: str, item: str) -> int:
    """Return the number in the two words before an item, as in "three warm croissants"; 1 if there is none."""
    before = _WORD.findall(text.lower().partition(item.lower())[0].rpartition(",")[2])[-2:]
    return next((found for word in reversed(before) if (found := number(word)) is not None), 1)


def number(word: str) -> int | None:
    """Return the number that a word stands for, or None if the word is not a number."""
    return int(word) if word.isdecimal() else NUMBERS.get(word)
