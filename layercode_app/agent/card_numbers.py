"""Find payment card numbers in the caller's words, in digits or spoken digit by digit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_DIGITS = {
    "zero": "0", "oh": "0", "o": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "null": "0", "eins": "1", "zwei": "2", "zwo": "2", "drei": "3", "vier": "4",
    "fünf": "5", "sechs": "6", "sieben": "7", "acht": "8", "neun": "9",
}  # fmt: skip
_FILLERS = {"uh", "um", "er", "erm", "hm", "hmm", "ah", "eh", "and", "then", "äh", "ähm", "und", "dann"}
"""Words that may stand between the digits of one number."""
_TIMES = {"double": 2, "triple": 3, "doppel": 2}
MOST_DIGITS = 19
_TOKEN = re.compile(r"\d+|\w+")
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|65\d{2}|64[4-9]\d)\d{12}"  # Discover
    r"|3(?:0[0-5]|[68]\d)\d{11}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14,17}"  # UnionPay
)


def has_card_number(text: str) -> bool:
    """Return whether the text contains a card number.

    A card number has the prefix and the length that a card issuer uses, and a valid check digit.
    """
    return any(
        _ISSUERS.fullmatch(number) and luhn(number) for groups in _digit_groups(text) for number in _numbers_in(groups)
    )


def luhn(digits: str) -> bool:
    """Return whether the last digit is the correct check digit of the other digits (Luhn algorithm)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def digit_runs(text: str) -> Iterator[str]:
    """Yield each sequence of digits, written or spoken. Filler words such as "um" may stand between its digits."""
    return map("".join, _digit_groups(text))


def _numbers_in(groups: Sequence[str]) -> Iterator[str]:
    """Yield each number that consecutive groups of digits form.

    It is not enough to join all groups into one number, because an expiry date may follow a card number. A number
    starts only at the first group, or at a group of several digits. Otherwise part of a long number that is spoken
    digit by digit, such as an IBAN, could look like a card number by chance.
    """
    for start, first in enumerate(groups):
        number = ""
        for group in groups[start:] if start == 0 or len(first) > 1 else ():
            number += group
            if len(number) > MOST_DIGITS:
                break
            yield number


def _digit_groups(text: str) -> Iterator[list[str]]:
    """Yield each sequence of digits as a list of its groups, such as ["4111", "1111"]."""
    run: list[str] = []
    times = 1
    for token in _TOKEN.findall(text.casefold()):
        if token in _TIMES:
            times = _TIMES[token]
            continue
        if token in _FILLERS:
            continue
        digit = token if token.isdecimal() else _DIGITS.get(token, "")
        if not digit:
            if run:
                yield run
            run = []
        else:
            run.append(digit * times)
        times = 1
    if run:
        yield run
