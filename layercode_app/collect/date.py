"""Dates: "the twelfth of next month", "a week on Friday", "May the third"."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..spoken.times import WEEKDAYS, calendar_day, day_and_month
from .date_forms import DAYS, FORMS, TIME, Direction, made
from .holidays import holiday
from .local_time import local_time
from .toolset import Collector
from .understood import Result, Unclear, Understood
from .words import doubtful, numbers_written, split, without

LEAD = {"on", "for", "it's", "its", "is", "was", "make", "it", "maybe", "let's", "say", "that's", "how", "about", "i", "am",
        "born", "would", "be", "my", "birthday", "no", "actually", "sorry", "there", "anything", "something", "do", "you",
        "have", "i'd", "i'll", "like", "prefer", "take", "can", "come",
        "what"}  # fmt: skip
TRAIL = {"is", "works", "would", "be", "fine", "good", "great", "perfect", "for", "me", "then", "free", "instead"}
AGAIN = "I did not get a date. Which day do you mean?"


def understand(heard: str, *, today: date, direction: Direction = "future", day_first: bool = False) -> Result[date]:
    """Return the date that was heard, or a question for the caller.

    `today` is the caller's current date, for answers such as "tomorrow". If `direction` is "future", the date must be
    today or later; if it is "past", today or earlier. `day_first` makes 3/5 the third of May.
    """
    if found := re.search(r"\b\d{4}-\d\d-\d\d\b|\b\d{1,2}/\d{1,2}/(?:\d{4}|\d\d)\b", heard):
        return _written(found[0], today, direction, day_first)
    tokens = numbers_written(without(split(heard), LEAD, TRAIL))
    if doubtful(tokens):
        return Unclear("I heard more than one day. Which one is it?")
    text = _joined(" ".join(tokens))
    for pattern, read in FORMS:
        if match := re.fullmatch(f"(?:the )?{pattern}{TIME}", text):
            found_day = read(match, today, direction)
            return Unclear(AGAIN) if found_day is None else _checked(found_day, today, direction, match)
    named = holiday(re.sub("^the ", "", text), today, past=direction == "past")
    return Understood(named) if named else Unclear(AGAIN)


def _joined(text: str) -> str:
    """Join a year that was said as two numbers: "20 26" becomes "2026"."""
    text = re.sub(r"\b(19|20) (\d\d)\b", r"\1\2", text)
    return re.sub(r"\b(19|20) (?:oh|o) (\d)\b", r"\g<1>0\2", text)


def _written(text: str, today: date, direction: Direction, day_first: bool) -> Result[date]:
    parts = [int(part) for part in re.split("[-/]", text)]
    if "-" in text:
        year, month, day = parts
    else:
        month, day, year = (parts[1], parts[0], parts[2]) if day_first else parts
        year += 2000 if year < 100 else 0
    found = made(year, month, day)
    return Unclear(AGAIN) if found is None else _checked(found, today, direction, None)


def _checked(found: date, today: date, direction: Direction, match: re.Match[str] | None) -> Result[date]:
    """Return the date. If it does not match the weekday that was said, or `direction`, return a question."""
    given = match.groupdict() if match else {}
    weekday = given.get("weekday")
    if weekday and given.get("day") and found.weekday() != DAYS[weekday]:
        spoken = day_and_month(found.day, found.month, day_first=True)
        return Unclear(f"{spoken[0].upper()}{spoken[1:]} is a {WEEKDAYS[found.weekday()]}. Which day do you mean?")
    if direction == "future" and found < today:
        return Unclear(f"{calendar_day(found, with_year=True)}, is in the past. Which day do you mean?")
    if direction == "past" and found > today:
        return Unclear(f"{calendar_day(found, with_year=True)}, is still to come. Which day do you mean?")
    return Understood(found)


def say(value: date, *, with_year: bool = False) -> str:
    """Return the words with which the agent repeats a date with its weekday: "Thursday, the twelfth of November"."""
    return calendar_day(value, with_year=with_year)


class Date(Collector[date]):
    """Collects a date. `clock` returns the caller's local time, for answers such as "tomorrow".

    Use `direction="past"` for dates of birth. `day_first` makes 3/5 the third of May.
    """

    label: ClassVar[str] = "date"
    needs = (("dateutil", "python-dateutil"),)

    def __init__(
        self,
        field: str,
        *,
        clock: Callable[[], datetime] = local_time,
        direction: Direction = "future",
        day_first: bool = False,
        **options: Any,
    ) -> None:
        self._clock, self._direction, self._day_first = clock, direction, day_first
        super().__init__(field, **({"question": "Which day?"} | options))

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[date]:
        """Return the date that was heard, or a question for the caller."""
        return understand(heard, today=self._clock().date(), direction=self._direction, day_first=self._day_first)

    def say(self, value: date) -> str:
        """Return the words with which the agent repeats a date with its weekday.

        The year is included only if it is not the current year.
        """
        return say(value, with_year=value.year != self._clock().year)

    def from_json(self, kept: Any) -> date:
        """Return the date from its JSON in the journal."""
        return date.fromisoformat(kept)
