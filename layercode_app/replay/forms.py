"""Recognise spoken and written forms of personal details, and make replacements in the same form."""

from __future__ import annotations

import re

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TOKEN = re.compile(r"\d|\b(?:oh|" + "|".join(DIGITS) + r")\b", re.IGNORECASE)
PART_OF_NUMBER = rf"(?<![\w.])(?:{_TOKEN.pattern})(?:[\s,-]*(?:{_TOKEN.pattern})){{3,5}}(?!\w|\.\d)"
"""A pattern for 4 to 6 digits, which may be part of a personal number."""
LAST_DIGITS = re.compile(rf"(?:(?:{_TOKEN.pattern})[\s,.-]*)+$", re.IGNORECASE)


def key_of(kind: str, found: str) -> str:
    """Return a key that all forms of a detail share: the e-mail address, or the last 7 digits of the number."""
    if "address" in kind:
        return re.sub(r"\s+at\s+", "@", re.sub(r"\s+dot\s+", ".", found.casefold()))
    return digits_in(found)[-7:]


def digits_in(found: str) -> str:
    """Return the digits of a number that is written in figures or in words."""
    return "".join(_digit(token) for token in _TOKEN.findall(found))


def _digit(token: str) -> str:
    word = token.casefold()
    return word if word.isdigit() else "0" if word == "oh" else str(DIGITS.index(word))


def fictional(count: int, number: int) -> str:
    """Return the last `count` digits of a fictional telephone number. `number` selects it: 0 is 202-555-0100."""
    return f"{'1' * count}202555{100 + number % 100:04d}"[-count:]


def formed(kind: str, found: str, number: int) -> str:
    """Return a fictional replacement for a personal detail, in the same form. Each `number` gives another replacement."""
    if kind == "e-mail address":
        return f"caller{number}@example.com"
    if kind == "spoken e-mail address":
        return f"caller{number} at example dot com"
    return with_digits(found, fictional(len(_TOKEN.findall(found)), number))


def with_digits(found: str, digits: str) -> str:
    """Replace the digits of a number but keep its form: figures or words, with the same spaces."""
    given = iter(digits)
    return _TOKEN.sub(lambda token: _like(token[0], next(given)), found)


def _like(token: str, digit: str) -> str:
    return digit if token.isdigit() else DIGITS[int(digit)]
