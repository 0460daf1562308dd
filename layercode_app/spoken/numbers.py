"""Say numbers: cardinals, ordinals, years, decimals and single digits, through num2words."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from .extra import need

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LONG = 7
"""A number of at least this many digits without commas is a code or a telephone number, and is said in groups."""
LARGEST = 10**15
"""Numbers from this one on are said digit by digit."""


def need_number_words() -> None:
    """Import num2words in advance, because the import is slow. Raises MissingExtraError if it is not installed."""
    need("num2words", "num2words", "speech", "Saying numbers")


@lru_cache(maxsize=4096)
def _words(number: int, kind: str) -> str:
    words = need("num2words", "num2words", "speech", "Saying numbers").num2words(number, to=kind)
    return str(words).replace(",", "")


def cardinal(number: int) -> str:
    """Say a whole number: 105 is "one hundred and five"."""
    if abs(number) >= LARGEST:
        return ("minus " if number < 0 else "") + digits(str(abs(number)))
    return _words(number, "cardinal") if number >= 0 else f"minus {_words(-number, 'cardinal')}"


def ordinal(number: int) -> str:
    """Say an ordinal number: 21 is "twenty-first"."""
    return _words(number, "ordinal") if number < LARGEST else cardinal(number)


def year(number: int) -> str:
    """Say a year: 1905 is "nineteen oh-five"."""
    return _words(number, "year")


def decade(number: int) -> str:
    """Say a decade by its first year: 1990 is "nineteen nineties"."""
    words = year(number)
    return words[:-1] + "ies" if words.endswith("y") else f"{words}s"


def digits(text: str) -> str:
    """Say each digit of a text: "042" is "zero four two". Other characters are dropped."""
    return " ".join(DIGITS[int(char)] for char in text if char in "0123456789")


def groups(text: str) -> str:
    """Say digits in groups with pauses between. Any other character ends a group: "415 555 0199" has three groups."""
    parts = "".join(char if char in "0123456789" else " " for char in text).split()
    return ", ".join(digits(part) for part in parts)


def number(text: str) -> str:
    """Say a number as it is written: "1,250.50" is "one thousand two hundred and fifty point five zero"."""
    plain = text.replace(",", "")
    sign, plain = ("minus ", plain[1:]) if plain[:1] in ("-", "\u2212") else ("", plain)
    whole, point, fraction = plain.partition(".")
    words = cardinal(int(whole or "0"))
    return f"{sign}{words} point {digits(fraction)}" if point and fraction else sign + words


def quantity(value: Decimal) -> str:
    """Say a decimal number without trailing zeros: 2.50 is "two point five"."""
    text = f"{value:f}"
    return number(text.rstrip("0").rstrip(".") if "." in text else text)


def in_threes(text: str) -> str:
    """Say digits in groups of three with pauses between. A single last digit joins the group before it."""
    text = "".join(char for char in text if char in "0123456789")
    parts = [text[start : start + 3] for start in range(0, len(text), 3)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [parts[-2] + parts[-1]]
    return groups(" ".join(parts))
