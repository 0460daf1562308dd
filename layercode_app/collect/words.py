"""Split a caller's words, drop noise such as "um" and "please", and read numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from itertools import pairwise

ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19,
}  # fmt: skip
TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
SCALES = {"thousand": 10**3, "grand": 10**3, "million": 10**6, "billion": 10**9}
ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
NOISE = {
    *("um", "umm", "uh", "uhm", "er", "erm", "ah", "hm", "hmm", "well", "so", "okay", "ok", "please", "thanks", "sure"),
    *("like", "yes", "yeah", "yep", "thank", "you", "hi", "hello", "hey"),
}
"""Words without meaning, which may come before or after any value."""
DOUBT = {"or", "no", "not", "wait", "sorry", "actually", "instead", "rather", "versus", "nope", "mean"}
"""Words that correct a value or name an alternative, so that it is unclear which value is meant."""

_TOKEN = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[@._+\-/#$€£%:&]")


def split(heard: str) -> list[str]:
    """Split a text into lower-case words, numbers and signs. A hyphen within a word splits the word."""
    text = heard.lower().replace("\u2019", "'")
    text = re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", " ", text)
    return _TOKEN.findall(re.sub(r"[.,!?;:]+(?=\s|$)", " ", text))


def without(tokens: Sequence[str], lead: Collection[str], trail: Collection[str] = ()) -> list[str]:
    """Drop words of NOISE at both ends. Also drop words of `lead` at the start, and words of `trail` at the end."""
    start, end = 0, len(tokens)
    while start < end and (tokens[start] in NOISE or tokens[start] in lead):
        start += 1
    while end > start and (tokens[end - 1] in NOISE or tokens[end - 1] in trail):
        end -= 1
    return list(tokens[start:end])


def doubtful(tokens: Sequence[str]) -> bool:
    """Return whether the caller corrects a value or names an alternative. A "no" or "sorry" at the start is ignored."""
    rest = list(tokens)
    while rest and rest[0] in ("no", "nope", "sorry", "actually"):
        rest.pop(0)
    return any(word in DOUBT for word in rest)


def cardinal(tokens: Sequence[str], at: int = 0) -> tuple[int, int] | None:
    """Read a whole number at index `at`. Return it and the index after it, or None if there is none."""
    total, current, here = 0, -1, at
    scale_before = 10**12
    while here < len(tokens):
        word = tokens[here]
        more = tokens[here + 1] if here + 1 < len(tokens) else ""
        if word == "and" and here > at and tokens[here - 1] in {"hundred", *SCALES} and _is_small(more):
            here += 1
            continue
        if word in ("a", "an") and current < 0 and more in {"hundred", *SCALES}:
            current = 1
        elif word == "hundred" and 0 < current < 100:
            current *= 100
        elif word in SCALES and current > 0 and SCALES[word] < scale_before:
            scale_before = SCALES[word]
            total, current = total + current * scale_before, 0
        elif (value := _small(word)) is not None and _joins(current, value, here > at):
            current = max(current, 0) + value
        else:
            break
        here += 1
    return None if current < 0 else (total + current, here)


def _small(word: str) -> int | None:
    if word.isdecimal():
        return int(word)
    if re.fullmatch(r"\d+(?:,\d{3})+", word):
        return int(word.replace(",", ""))
    return ONES.get(word, TENS.get(word))


def _is_small(word: str) -> bool:
    return word in ONES or word in TENS or word.isdecimal()


def _joins(current: int, value: int, after: bool) -> bool:
    """Return whether `value` continues the number `current`: 40 and 2, 100 and 45, but not 4 and 15.

    `current` is -1 if no number has begun. `after` is true if the word directly before `value` belongs to the number.
    """
    if current < 0:
        return True
    if not after or value == 0:
        return False
    if current == 0 or (current >= 100 and current % 100 == 0):
        return value < 100
    return 20 <= current % 100 <= 90 and current % 10 == 0 and value < 10


def decimal(tokens: Sequence[str], at: int = 0) -> tuple[Decimal, int] | None:
    """Read a number with or without decimals: "three point one four". Return it and the index after it, or None."""
    word = tokens[at] if at < len(tokens) else ""
    if re.fullmatch(r"[\d,]*\d\.\d+", word):
        value, here = Decimal(word.replace(",", "")), at + 1
    else:
        whole = cardinal(tokens, at) or ((0, at) if word == "point" else None)
        if whole is None:
            return None
        value, here = Decimal(whole[0]), whole[1]
        if here + 1 < len(tokens) and tokens[here] == "point" and (read := digits(tokens, here + 1)):
            value, here = Decimal(f"{whole[0]}.{read[0]}"), read[1]
    if here < len(tokens) and tokens[here] in SCALES and value % 1:
        value, here = value * SCALES[tokens[here]], here + 1
    return value, here


NOUGHTS = {"oh": "0", "o": "0", "nought": "0", "naught": "0", "nil": "0"}
REPEATS = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}


def digits(tokens: Sequence[str], at: int = 0) -> tuple[str, int] | None:
    """Read digits such as "four one five", "double five" or "forty two". Return them and the index after, or None."""
    text, here = "", at
    while here < len(tokens):
        read = _digit(tokens, here)
        if read is None:
            break
        text, here = text + read[0], read[1]
    return (text, here) if text else None


def _digit(tokens: Sequence[str], at: int) -> tuple[str, int] | None:
    word = tokens[at]
    if word in REPEATS:
        once = _digit(tokens, at + 1) if at + 1 < len(tokens) else None
        return (once[0] * REPEATS[word], once[1]) if once and len(once[0]) == 1 else None
    if word in NOUGHTS:
        return NOUGHTS[word], at + 1
    if word.isdecimal():
        return word, at + 1
    more = tokens[at + 1] if at + 1 < len(tokens) else ""
    if word in TENS:
        unit = ONES.get(more, 0)
        return (str(TENS[word] + unit), at + 2) if 0 < unit < 10 else (str(TENS[word]), at + 1)
    if word in ONES:
        return (f"{ONES[word]}00", at + 2) if more == "hundred" else (str(ONES[word]), at + 1)
    return None


def ambiguous_hundreds(tokens: Sequence[str]) -> bool:
    """Return whether a number follows "hundred" among digits: "two hundred five" may be 205 or 2005."""
    after = [more for word, more in pairwise(tokens) if word == "hundred"]
    return any(more == "and" or _digit([more], 0) is not None for more in after)


def numbers_written(tokens: Sequence[str]) -> list[str]:
    """Write the numbers among the words in digits: "the twenty first of may" becomes "the 21 of may"."""
    written: list[str] = []
    at = 0
    while at < len(tokens):
        if (found := _ordinal(tokens, at)) or (found := cardinal(tokens, at)):
            written.append(str(found[0]))
            at = found[1]
        else:
            written.append(tokens[at])
            at += 1
    return written


def _ordinal(tokens: Sequence[str], at: int) -> tuple[int, int] | None:
    word = tokens[at]
    if word in ORDINALS:
        return ORDINALS[word], at + 1
    more = tokens[at + 1] if at + 1 < len(tokens) else ""
    if word in TENS and 0 < ORDINALS.get(more, 0) < 10:
        return TENS[word] + ORDINALS[more], at + 2
    if word.isdecimal() and more in ("st", "nd", "rd", "th"):
        return int(word), at + 2
    return None
