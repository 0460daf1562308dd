"""Say numbers as words: ordinals, fractions, ranges, percentages, units, money and arithmetic."""

from __future__ import annotations

import re
from decimal import Decimal

from ...spoken.money import CURRENCIES, SIGNS, money, unit_of_money
from ...spoken.numbers import LONG, cardinal, decade, digits, in_threes, number, ordinal, year
from .codes import is_code
from .grammar import char, maybe, named, one_of, text, times
from .kinds import Kind, Place
from .shapes import DASH, DIGIT, GAP, INTEGER, MINUS, PLAIN, SHORT, SIGN, SPACE, SUFFIX, TO
from .shapes import number as number_form
from .units import PER, UNITS, per, unit

YEARS = {
    *(
        "in",
        "since",
        "from",
        "until",
        "till",
        "by",
        "year",
        "of",
        "before",
        "after",
        "during",
        "around",
        "late",
        "early",
    ),
}
SCALES = {
    "k": "thousand", "K": "thousand", "thousand": "thousand", "M": "million", "m": "million", "million": "million",
    "B": "billion", "bn": "billion", "billion": "billion", "T": "trillion", "trillion": "trillion",
}  # fmt: skip


def say_number(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a number.

    The digits of the number and the words before it decide whether it is a code, a year or a quantity.
    """
    written = match["n"]
    if written.isdigit():
        if (len(written) > 2 and is_code(place)) or (written[0] == "0" and len(written) > 1):
            return digits(written)
        if len(written) >= LONG and len(written.rstrip("0")) > 3:  # 1000000 is a quantity
            return in_threes(written)
        if len(written) == 4 and _is_year(int(written), place.last):
            return year(int(written))
    return number(written)


def _is_year(value: int, last: str) -> bool:
    return 1900 <= value < 2100 or (1000 < value < 2100 and last in YEARS)


def say_ordinal(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a number that is written with st, nd, rd or th: 21st becomes "twenty-first"."""
    return ordinal(int(match["n"].replace(",", "")))


def say_range(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a range or ratio: 3-5 becomes "three to five". A number such as 555-0199 is left to `say_phone`."""
    first, last = match["a"], match["b"]
    if re.fullmatch(r"\d{4}", first) and re.fullmatch(r"\d{4}|\d{2}", last) and _is_year(int(first), "in"):
        return f"{year(int(first))} to {year(int(last)) if len(last) == 4 else cardinal(int(last))}"
    return f"{number(first)} to {number(last)}"


def say_dash(match: re.Match[str], place: Place) -> str | None:
    """Return the word for a dash directly after another token: 10%-20% is a range. Elsewhere, it may be a minus sign."""
    if not place.joined:
        return None
    return " to " if any(char.isdigit() for char in place.joined) else match["dash"]


def say_percent(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a percentage, or a range of percentages."""
    return f"{_one_or_two(match)} percent"


def _one_or_two(match: re.Match[str]) -> str:
    return f"{number(match['n'])} to {number(match['to'])}" if match["to"] else number(match["n"])


def say_unit(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a number with its unit, such as 5 km/h."""
    single = not match["to"] and match["n"].lstrip("-\u2212") == "1"
    return f"{_one_or_two(match)} {unit(match['unit'], single=single)}{per(match['per'])}"


def say_money(match: re.Match[str], place: Place) -> str | None:
    """Return the words for an amount of money or a range of amounts, including a scale (5M) and a rate (/month)."""
    given = match["sign"]
    currency = SIGNS.get(given, given)
    first, last = match["n"], match["to"]
    minus = "minus " if match["minus"] else ""
    if scale := match["scale"]:
        words = f"{_one_or_two(match)} {SCALES[scale]} {unit_of_money(currency)}"
    elif last:
        words = f"{_amount(first)} to {money(Decimal(last.replace(',', '')), currency)}"
        words = words if _amount(first) else f"{money(Decimal(first.replace(',', '')), currency)} to {words[4:]}"
    else:
        words = money(Decimal(first.replace(",", "")), currency)
    return minus + words + per(match["per"])


def _amount(written: str) -> str:
    """Return the words for an amount without its currency; "" if the amount has decimals."""
    return "" if "." in written else number(written)


HALVES = {2: ("half", "halves"), 4: ("quarter", "quarters")}


def say_fraction(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a fraction such as 3/4, alone or after a whole number. 24/7 becomes "twenty-four seven"."""
    top, bottom, whole = int(match["top"]), int(match["bottom"]), match["whole"]
    if (top, bottom) == (24, 7):
        return "twenty-four seven"
    if not 0 < top < bottom or bottom > 100:
        return f"{cardinal(top)} over {cardinal(bottom)}" if not whole else None
    one, several = HALVES.get(bottom) or (ordinal(bottom), ordinal(bottom) + "s")
    if not whole:
        return f"{cardinal(top)} {one if top == 1 else several}"
    return f"{cardinal(int(whole))} and {'a' if top == 1 else cardinal(top)} {one if top == 1 else several}"


VULGAR = {"½": (1, 2), "¼": (1, 4), "¾": (3, 4), "⅓": (1, 3), "⅔": (2, 3), "⅛": (1, 8)}


def say_vulgar(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a fraction that is a single character, such as ½, alone or after a whole number."""
    top, bottom = VULGAR[match["sign"]]
    one, several = HALVES.get(bottom) or (ordinal(bottom), ordinal(bottom) + "s")
    words = f"{'a' if top == 1 else cardinal(top)} {one if top == 1 else several}"
    return f"{cardinal(int(match['n']))} and {words}" if match["n"] else words


def say_decade(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a decade, such as 1990s or the 90s.

    Returns None for two digits such as "30s", which mean 30 seconds, unless a word such as "the" stands before them.
    """
    if len(match["n"]) == 2 and not match["cut"] and place.last not in ("the", "early", "late", "mid"):
        return None
    return decade(int(match["n"]))


def say_version(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a version number with several points: 1.2.3 becomes "one point two point three"."""
    return " point ".join(cardinal(int(part)) for part in match["n"].split("."))


def say_times(match: re.Match[str], place: Place) -> str | None:
    """Return the words for dimensions or a factor: 3x4 becomes "three by four", and 5x becomes "five times"."""
    return f"{number(match['a'])} by {number(match['b'])}" if match["b"] else f"{number(match['a'])} times"


OPERATORS = {"+": "plus", "-": "minus", "\u2212": "minus", "*": "times", "\u00d7": "times", "x": "times", "/": "divided by",
             "\u00f7": "divided by"}  # fmt: skip


def say_sum(match: re.Match[str], place: Place) -> str | None:
    """Return the words for an equation such as `2 + 3 =`, up to its equals sign."""
    parts = match["sum"].split()
    return " ".join(OPERATORS.get(part) or number(part) for part in parts) + " equals"


def say_scale(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a number with a letter for its scale: 10k, 5M."""
    return f"{number(match['n'])} {SCALES[match['scale']]}"


_RANGE_END = maybe(TO + named("to", PLAIN))
_SCALE = named("scale", one_of(SCALES))
_MONEY_END = maybe(TO + maybe(SIGN) + named("to", PLAIN))
_CURRENCY_CODES = [code for code in CURRENCIES if code[0] not in "AI"]
_OPERATOR = SPACE + char("+*/x\u00d7\u00f7\u2212\\-") + SPACE

NUMBER_KINDS = [
    Kind(
        named("cut", maybe(char("'\u2019"))) + named("n", maybe(times(DIGIT, 2, 2)) + DIGIT + text("0")) + text("s"),
        say_decade,
    ),
    Kind(number_form("n"), say_number),
    Kind(named("n", INTEGER) + SUFFIX, say_ordinal),
    Kind(named("a", PLAIN) + TO + named("b", PLAIN), say_range),
    Kind(named("a", times(DIGIT, 1, 3)) + text(":") + named("b", DIGIT), say_range),
    Kind(named("dash", DASH) + named("rest", (maybe(text(".")) + DIGIT) | SIGN), say_dash, preferred=True, open=True),
    Kind(number_form("n") + _RANGE_END + GAP + text("%"), say_percent, open=True),
    Kind(number_form("n") + _RANGE_END + GAP + named("unit", one_of(UNITS)) + PER, say_unit),
    Kind(
        named("minus", maybe(MINUS)) + named("sign", SIGN) + GAP + named("n", PLAIN) + _MONEY_END
        + maybe(GAP + _SCALE) + PER, say_money,
    ),
    Kind(
        named("minus", maybe(MINUS)) + named("sign", one_of(_CURRENCY_CODES)) + SPACE + named("n", PLAIN) + _MONEY_END
        + maybe(GAP + _SCALE) + PER, say_money,
    ),
    Kind(
        named("minus", maybe(MINUS)) + named("n", PLAIN) + _MONEY_END + maybe(GAP + _SCALE) + GAP
        + named("sign", one_of([*SIGNS, *CURRENCIES])) + PER, say_money,
    ),
    Kind(maybe(named("whole", SHORT) + SPACE) + named("top", SHORT) + text("/") + named("bottom", SHORT), say_fraction),
    Kind(maybe(named("n", times(DIGIT, 1, 3)) + GAP) + named("sign", one_of(VULGAR)), say_vulgar),
    Kind(named("n", times(DIGIT, 1, 4) + times(text(".") + times(DIGIT, 1, 4), 2, 6)), say_version),
    Kind(named("a", PLAIN) + GAP + char("x\u00d7") + maybe(GAP + named("b", PLAIN)), say_times),
    Kind(named("sum", PLAIN + times(_OPERATOR + PLAIN, 1, 4)) + SPACE + text("="), say_sum, open=True),
    Kind(named("n", PLAIN) + named("scale", one_of(["k", "K", "M", "B", "bn"])), say_scale),
]  # fmt: skip
"""The kinds of tokens that begin with a number or with the sign of a currency."""
