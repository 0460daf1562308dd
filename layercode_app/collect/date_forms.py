"""Ways to say a date, each with a function that reads it: "the twelfth of next month", "a week on Friday"."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Literal

from ..spoken.extra import need
from ..spoken.times import MONTHS, WEEKDAYS

Direction = Literal["future", "past", "any"]
NUMBERS = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
NUMBERS |= {name[:3].lower(): number for number, name in enumerate(MONTHS, 1)} | {"sept": 9}
DAYS = {name.lower(): number for number, name in enumerate(WEEKDAYS)}
DAYS |= {short: DAYS[day] for short, day in
         {"mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thur": "thursday",
          "thurs": "thursday", "fri": "friday", "sat": "saturday", "sun": "sunday"}.items()}  # fmt: skip

_MONTH = rf"(?P<month>{'|'.join(sorted(NUMBERS, key=len, reverse=True))})"
_DAY = rf"(?P<weekday>{'|'.join(sorted(DAYS, key=len, reverse=True))})"
_UNIT = r"(?P<unit>day|week|fortnight|month|year)s?"
_YEAR = r"(?:(?: of)? (?P<year>\d{4}|(?:19|20) \d\d))?"
_WHEN = rf"(?P<from>today|now|tomorrow|{_DAY})"
TIME = r"(?: (?:in the )?(?:morning|afternoon|evening|night|at .*))?"


def made(year: int, month: int, day: int) -> date | None:
    """Return the date, or None if there is no such day."""
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _shifted(day: date, count: int, unit: str) -> date:
    if unit in ("month", "year"):
        delta = need("dateutil.relativedelta", "python-dateutil", "collect", "Date").relativedelta
        shifted: date = day + delta(**{f"{unit}s": count})
        return shifted
    return day + timedelta(days=count * {"day": 1, "week": 7, "fortnight": 14}[unit])


def _relative(match: re.Match[str], today: date, direction: Direction) -> date | None:
    offsets = {"today": 0, "tonight": 0, "this": 0, "now": 0, "tomorrow": 1, "yesterday": -1}
    name = match["name"].split()[0]
    return today + timedelta(days=offsets[name])


def _two_days(match: re.Match[str], today: date, direction: Direction) -> date | None:
    return today + timedelta(days=2 if match["name"] == "after tomorrow" else -2)


def _in(match: re.Match[str], today: date, direction: Direction) -> date | None:
    count = {"a": 1, "an": 1, "one": 1, "a couple of": 2}.get(match["count"]) or int(match["count"])
    start = _weekday(DAYS[match["weekday"]], today, 0) if match["weekday"] else today
    start += timedelta(days=match["from"] == "tomorrow")
    return _shifted(start, count, match["unit"])


def _ago(match: re.Match[str], today: date, direction: Direction) -> date | None:
    count = {"a": 1, "an": 1, "one": 1, "a couple of": 2}.get(match["count"]) or int(match["count"])
    return _shifted(today, -count, match["unit"])


def _weekday(number: int, today: date, weeks: int) -> date:
    """Return the date `weeks` weeks after the next day with this weekday. The next such day may be today."""
    return today + timedelta(days=(number - today.weekday()) % 7 + 7 * weeks)


def _named_day(match: re.Match[str], today: date, direction: Direction) -> date | None:
    number, which = DAYS[match["weekday"]], (match["which"] or "").strip()
    monday = today - timedelta(days=today.weekday())
    if which == "next":
        return monday + timedelta(days=7 + number)
    if which == "last" or (direction == "past" and which != "this"):
        return today - timedelta(days=(today.weekday() - number - 1) % 7 + 1)
    return _weekday(number, today, 1 if match["later"] else 0)


def _of_month(match: re.Match[str], today: date, direction: Direction) -> date | None:
    """Read a day of this, the next or the previous month, including "the last day" and "the end"."""
    start = _shifted(today.replace(day=1), {"this": 0, "the": 0, "next": 1, "last": -1}[match["which"]], "month")
    if match["day"] in ("last", "last day", "end"):
        return _shifted(start, 1, "month") - timedelta(days=1)
    found = made(start.year, start.month, int(match["day"].removesuffix(" day")))
    if match["which"] == "the" and found and found < today:
        return _bare_day(int(match["day"]), today, direction)
    return found


def _dated(match: re.Match[str], today: date, direction: Direction) -> date | None:
    month, day = NUMBERS[match["month"]], int(match["day"])
    if match["year"]:
        return made(int(match["year"]), month, day)
    years = range(today.year - 8, today.year + 9)
    days = [found for year in years if (found := made(year, month, day))]
    if direction == "past":
        return max((found for found in days if found <= today), default=None)
    return min((found for found in days if found >= today), default=None)


def _only_day(match: re.Match[str], today: date, direction: Direction) -> date | None:
    return _bare_day(int(match["day"]), today, direction)


def _bare_day(day: int, today: date, direction: Direction) -> date | None:
    """Return the nearest date with this day of the month: until today if `direction` is "past", else from today on."""
    first = today.replace(day=1)
    step = -1 if direction == "past" else 1
    for months in range(0, 12 * step, step):
        start = _shifted(first, months, "month")
        found = made(start.year, start.month, day)
        if found and (found <= today if direction == "past" else found >= today):
            return found
    return None


Read = Callable[[re.Match[str], date, Direction], "date | None"]
_COUNT = r"(?P<count>\d+|an?|one|a couple of)"
_DAY_OF = r"(?P<day>\d{1,2}|last day|last|end|1 day)"
FORMS: list[tuple[str, Read]] = [
    (r"(?P<name>today|tonight|tomorrow|yesterday|this (?:morning|afternoon|evening))", _relative),
    (r"day (?P<name>after tomorrow|before yesterday)", _two_days),
    (rf"in {_COUNT} {_UNIT}(?P<from>)(?P<weekday>)", _in),
    (rf"{_COUNT} {_UNIT} (?:from|on|after) {_WHEN}", _in),
    (rf"{_COUNT} {_UNIT} ago", _ago),
    (rf"(?P<which>this coming |this |coming |next |last )?{_DAY}(?P<later> week)?", _named_day),
    (rf"{_DAY}(?: of)? (?P<which>next) week(?P<later>)", _named_day),
    (
        rf"(?:{_DAY} )?(?:the )?{_DAY_OF} of (?:the )?(?P<which>this|next|last|the)?(?<=the|his|ext|ast) ?month",
        _of_month,
    ),
    (rf"(?P<which>this|next|last) month(?: on)? the {_DAY_OF}", _of_month),
    (rf"(?:{_DAY} )?(?:the )?(?P<day>\d{{1,2}}) (?:of )?{_MONTH}{_YEAR}", _dated),
    (rf"(?:{_DAY} )?{_MONTH} (?:the )?(?P<day>\d{{1,2}}){_YEAR}", _dated),
    (rf"(?:{_DAY} )?(?:the )?(?P<day>\d{{1,2}})", _only_day),
]
