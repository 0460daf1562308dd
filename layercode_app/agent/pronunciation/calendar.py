"""Say dates and times of day as words."""

from __future__ import annotations

import re

from ...spoken.numbers import cardinal, ordinal, year
from ...spoken.times import MONTHS, clock, day_and_month
from .grammar import Form, char, maybe, named, one_of, text, times
from .kinds import BOUNDARY, Kind, Place
from .shapes import ABBREVIATED, CAPITAL, DIGIT, GAP, SHORT, SPACE, SUFFIX, TO, YEAR, after, head_of, month_of

HALF = one_of(["a.m.", "p.m.", "A.M.", "P.M.", "a.m", "p.m", "am", "pm", "AM", "PM"])
_NEXT = SPACE + CAPITAL
SENTENCE = Form(f"(?:(?P<rest>{_NEXT.full})|{BOUNDARY})", _NEXT.prefix)
"""The form of the text after an abbreviation: the next sentence (group `rest`), or a place where no letter or digit follows."""


def ends_sentence(match: re.Match[str], place: Place) -> bool:
    """Return whether the full stop of an abbreviation also ends a sentence."""
    return match["rest"] is not None or place.after in ("", "\n")


def _time(hour: str, minute: str | None, half: str | None) -> str | None:
    if int(hour) > 24 or int(minute or "0") > 59:
        return None
    spoken = f"{half[0].lower()} m" if half else ""
    return clock(int(hour), int(minute or "0"), spoken)


def say_time(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a time of day such as 7:30 pm, or a range of times such as 9-5 pm."""
    first = _time(match["h"], match["m"], match["half"])
    if match["h2"] is None:
        words = first
    else:
        second = _time(match["h2"], match["m2"], match["half2"])
        given = match["m"] or match["m2"] or match["half"] or match["half2"]
        if not given or first is None or second is None:
            return None
        if not match["m"] and not match["half"]:
            first = cardinal(int(match["h"]))
        words = f"{first} to {second}"
    half = match["half2"] or match["half"] or ""
    if match["m"] is None and not match["half"] and match["h2"] is None:
        return None
    return None if words is None else words + ("." if half.endswith(".") and ends_sentence(match, place) else "")


def say_seconds(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a time with seconds, such as 12:30:05."""
    hour, minute, second = (int(part) for part in match["t"].split(":"))
    if hour > 24 or minute > 59 or second > 59:
        return None
    return f"{clock(hour, minute)} and {cardinal(second)} second{'' if second == 1 else 's'}"


def _day(day: int, month: int, place: Place, when: str | None = None) -> str | None:
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    words = day_and_month(day, month, day_first=place.day_first)
    return words if when is None else f"{words}, {year(_full_year(when))}"


def _full_year(written: str) -> int:
    """Return the year in full. Two digits mean a year from 1970 to 2069."""
    if len(written) == 4:
        return int(written)
    return int(written) + (1900 if int(written) >= 70 else 2000)


def say_iso(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a date such as 2026-05-03."""
    return _day(int(match["d"]), int(match["m"]), place, match["y"])


def say_timestamp(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a date with a time, such as 2026-05-03T14:30:00Z. Seconds are not said."""
    day, at = say_iso(match, place), _time(match["h"], match["minute"], None)
    return f"{day} at {at}{_zone(match['zone'])}" if day and at else None


def _zone(written: str) -> str:
    """Return the words for a time zone such as Z or +02:00; "" for none."""
    if len(written) < 2:
        return " U T C" if written else ""
    hours, minutes = written[1:3], written[-2:]
    words = cardinal(int(hours)) + (f" {cardinal(int(minutes))}" if int(minutes) else "")
    return f" U T C {'plus' if written[0] == '+' else 'minus'} {words}"


def say_full_hour(match: re.Match[str], place: Place) -> str | None:
    """Return the words for the time in "8:00 o'clock"."""
    return cardinal(int(match["h"]))


def say_slashed(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a date such as 5/3/2026. The language decides whether the day or the month comes first."""
    first, second = int(match["a"]), int(match["b"])
    day, month = (first, second) if place.day_first or first > 12 else (second, first)
    return _day(day, month, place, match["y"])


def say_dotted(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a date such as 3.5.2026, in which the day comes first."""
    return _day(int(match["d"]), int(match["m"]), place, match["y"])


def say_day_month(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a date such as 3 May 2026, 3rd of May or 3-5 May."""
    month = month_of(match["month"])
    tail = f", {year(int(match['y']))}" if match["y"] else ""
    if match["of"]:
        words = f"{ordinal(int(match['d']))} of {MONTHS[month - 1]}"
        return (words if place.last == "the" else f"the {words}") + tail
    if match["to"]:
        return f"{_day(int(match['d']), month, place)} to {ordinal(int(match['to']))}{tail}"
    words = _day(int(match["d"]), month, place) or ""
    if place.last == "the":
        words = f"{ordinal(int(match['d']))} of {MONTHS[month - 1]}"
    return f"{words}{tail}" if words else None


def say_month_day(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a date such as Jan. 3, 2026.

    If the first letters of the month were already spoken, such as the "A" of Aug., return only what follows them.
    """
    month = month_of(place.word + match["month"])
    words = f"{MONTHS[month - 1]} {_after_month(match)}"
    return words[len(place.word) :] if 1 <= int(match["d"]) <= 31 else None


def say_after_month(match: re.Match[str], place: Place) -> str | None:
    """Return the words for the end of a date, such as "3, 2026", if the name of the month was already spoken.

    Return None if the previous word is not the capitalised name of a month, or if the day is not between 1 and 31.
    """
    known = place.last.capitalize() in MONTHS and place.before[-1][0].isupper()
    return _after_month(match) if known and 1 <= int(match["d"]) <= 31 else None


def _after_month(match: re.Match[str]) -> str:
    words = ordinal(int(match["d"]))
    words += f" to {ordinal(int(match['to']))}" if match["to"] else ""
    return words + (f", {year(int(match['y']))}" if match["y"] else "")


_DAY = named("d", SHORT) + maybe(SUFFIX)
_TO_DAY = maybe(TO + named("to", SHORT) + maybe(SUFFIX))
_YEAR = maybe(maybe(text(",")) + SPACE + named("y", YEAR))
_MONTH = named("month", one_of([*MONTHS, *ABBREVIATED])) + maybe(text("."))
_CLOCK = named("h", SHORT) + maybe(text(":") + named("m", times(DIGIT, 2, 2))) + maybe(GAP + named("half", HALF))
_CLOCK2 = named("h2", SHORT) + maybe(text(":") + named("m2", times(DIGIT, 2, 2))) + maybe(GAP + named("half2", HALF))


def _short_months(head: str) -> Form:
    """Return a form that matches the rest of a date such as "Aug. 3", whose first letters were already spoken.

    `head` contains the letters that were spoken. If `head` is "A", the form matches "ug. 3".
    """
    chosen = [name[len(head) :] for name in ABBREVIATED if head_of(name) == head]
    return named("month", one_of(chosen)) + maybe(text(".")) + SPACE + _DAY + _TO_DAY + _YEAR


_TWO = times(DIGIT, 2, 2)
_ISO = named("y", YEAR) + text("-") + named("m", _TWO) + text("-") + named("d", _TWO)
_SECONDS = maybe(text(":") + _TWO + maybe(text(".") + times(DIGIT, 1, 9)))
_ZONE = named("zone", maybe(text("Z") | (char("+\\-") + _TWO + text(":") + _TWO)))

CALENDAR_KINDS = [
    Kind(named("h", SHORT) + text(":00") + named("rest", one_of([" o'clock", " o\u2019clock"])), say_full_hour),
    Kind(_CLOCK + maybe(TO + _CLOCK2) + SENTENCE, say_time, open=True),
    Kind(named("t", SHORT + text(":") + times(DIGIT, 2, 2) + text(":") + times(DIGIT, 2, 2)), say_seconds),
    Kind(_ISO, say_iso),
    Kind(_ISO + text("T") + named("h", _TWO) + text(":") + named("minute", _TWO) + _SECONDS + _ZONE, say_timestamp),
    Kind(
        named("a", SHORT) + text("/") + named("b", SHORT) + text("/") + named("y", YEAR | times(DIGIT, 2, 2)), say_slashed
    ),
    Kind(named("d", SHORT) + text(".") + named("m", SHORT) + text(".") + named("y", YEAR), say_dotted),
    Kind(_DAY + _TO_DAY + SPACE + maybe(named("of", text("of ")) ) + _MONTH + _YEAR, say_day_month),
    Kind(_DAY + _TO_DAY + _YEAR, say_after_month),
    Kind(_short_months(""), say_month_day),
    Kind(_short_months("A"), say_month_day, when=after("A")),
    Kind(_short_months("No"), say_month_day, when=after("No")),
]  # fmt: skip
"""The kinds of tokens that are a date or a time."""
