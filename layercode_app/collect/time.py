"""Times of day: "four fifteen", "half past seven in the evening", "noon"."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any, ClassVar

from ..conversation.turn import Turn
from ..spoken.times import time_of_day
from .local_time import local_time
from .toolset import Collector
from .understood import Result, Unclear, Understood
from .words import ORDINALS, doubtful, numbers_written, split, without

LEAD = {"at", "around", "about", "by", "it's", "its", "is", "make", "it", "let's", "say", "how", "maybe", "would", "be", "no",
        "actually", "sorry", "for", "roughly", "that's", "the", "tomorrow", "today", "i'll", "i'd", "i", "take", "like",
        "prefer", "what"}  # fmt: skip
TRAIL = {"is", "works", "would", "be", "fine", "good", "great", "perfect", "for", "me", "then"}
AGAIN = "I did not get a time. At what time exactly?"
MORNING, EVENING = 7, 19
"""Without "in the morning", "p m" or similar words, a time is taken to be from 7:00 to 18:59."""
_PART = r"(?: (?P<part>a m|p m|am|pm|a\.m|p\.m|(?:in the |this )?(?:morning|afternoon|evening)|at night|tonight))?"
_SHARP = r"(?: (?:sharp|exactly|ish|or so))?"
NAMED = {"noon": time(12), "midday": time(12), "midnight": time(0), "12 noon": time(12), "12 midnight": time(0)}
_QUARTERS = {"quarter": 15, "half": 30, "a quarter": 15}


def understand(heard: str, *, now: datetime, earliest: int = MORNING, latest: int = EVENING) -> Result[time]:
    """Return the time that was heard. `now` is the caller's local time, for answers such as "in an hour".

    "Four" without "p m" or similar words may be 4:00 or 16:00. If only one of the two is between the hours `earliest`
    and `latest`, it is taken. Otherwise the result is a question.
    """
    text = re.sub(r"\b([ap])\.?\s?m\b\.?", r" \1m", re.sub(r"(\d)[:.](\d\d)\b", r"\1 \2", heard.lower()))
    tokens = without(split(text), LEAD, TRAIL)
    if any(word in ORDINALS for word in tokens):
        return Unclear(AGAIN)  # "the first one" is the first of several times, and not one minute past one.
    if doubtful(tokens) or tokens[:1] == ["between"]:
        return Unclear("I heard more than one time. At what time exactly?")
    text = " ".join(numbers_written(tokens))
    if found := _relative(text, now):
        return Understood(found)
    text = re.sub(r" tomorrow| today", "", text)
    if text in NAMED:
        return Understood(NAMED[text])
    for pattern, read in _FORMS:
        if match := re.fullmatch(pattern + _PART + _SHARP, text):
            hour, minute = read(match)
            return _settled(hour, minute, match["part"] or "", earliest, latest)
    return Unclear(AGAIN)


def _relative(text: str, now: datetime) -> time | None:
    if text in ("now", "right now"):
        return now.time().replace(second=0, microsecond=0)
    match = re.fullmatch(
        r"(?:in )?(?P<count>\d+|an?|half an|a quarter of an) (?P<unit>minute|hour)s?(?: from now)?", text
    )
    if match is None or not (text.startswith("in ") or text.endswith("now")):
        return None
    factor = 60 if match["unit"] == "hour" else 1
    counts = {"a": 1.0, "an": 1.0, "half an": 0.5, "a quarter of an": 0.25}
    minutes = (counts.get(match["count"]) or float(match["count"])) * factor
    return (now + timedelta(minutes=minutes)).time().replace(second=0, microsecond=0)


def _exact(match: re.Match[str]) -> tuple[int, int]:
    return int(match["h"]), int(match["m"] or 0)


def _after(match: re.Match[str]) -> tuple[int, int]:
    return int(match["h"]), _minutes(match["by"])


def _before(match: re.Match[str]) -> tuple[int, int]:
    return (int(match["h"]) - 1) % 24 or 12, 60 - _minutes(match["by"])


def _half(match: re.Match[str]) -> tuple[int, int]:
    return int(match["h"]), 30


def _minutes(by: str) -> int:
    return _QUARTERS.get(by) or int(by)


_H = r"(?P<h>\d{1,2})"
_BY = r"(?P<by>a quarter|quarter|half|\d{1,2})(?: minutes)?"
_FORMS = [
    (rf"{_H}(?P<m>)(?: o'clock| o clock)?", _exact),
    (rf"{_H} (?:(?:oh |o |0 )?(?P<m>\d{{1,2}}))", _exact),
    (rf"{_H} hundred(?: hours)?(?P<m>)", _exact),
    (rf"{_BY} (?:past|after) {_H}(?: o'clock)?", _after),
    (rf"{_BY} (?:to|of|before|till|til) {_H}(?: o'clock)?", _before),
    (rf"half {_H}", _half),
    (r"(?P<h>\d{1,2})(?P<m>\d\d)(?: hours)?", _exact),
]


def _settled(hour: int, minute: int, part: str, earliest: int, latest: int) -> Result[time]:
    """Choose between morning and afternoon by `part`, such as "p m".

    If `part` is empty, choose the time that is between the hours `earliest` and `latest`. If that does not decide,
    return a question.
    """
    if hour > 23 or minute > 59:
        return Unclear(AGAIN)
    if hour > 12 or hour == 0:
        return Understood(time(hour, minute))
    early, late = hour % 12, hour % 12 + 12
    if part in ("am", "a m") or part.endswith("morning"):
        return Understood(time(early, minute))
    if part in ("at night", "tonight"):
        return Understood(time(late if early >= 5 else (early if part == "at night" else late), minute))
    if part:
        return Understood(time(late, minute))
    fitting = [half for half in (early, late) if earliest <= half < latest]
    if len(fitting) != 1:
        return Unclear(f"Is that {time_of_day(time(early, minute))}, or {time_of_day(time(late, minute))}?")
    return Understood(time(fitting[0], minute))


def say(value: time) -> str:
    """Return the words with which the agent repeats a time and its part of the day: "four fifteen in the afternoon"."""
    return time_of_day(value)


class Time(Collector[time]):
    """Collects a time of day. `clock` returns the caller's local time, for answers such as "in an hour".

    "Four" alone may be 4:00 or 16:00. If only one of the two is between the hours `earliest` and `latest`, it is taken.
    Otherwise the agent asks.
    """

    label: ClassVar[str] = "time"

    def __init__(
        self,
        field: str,
        *,
        clock: Callable[[], datetime] = local_time,
        earliest: int = MORNING,
        latest: int = EVENING,
        **options: Any,
    ) -> None:
        self._clock, self._earliest, self._latest = clock, earliest, latest
        super().__init__(field, **({"question": "At what time?"} | options))

    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[time]:
        """Return the time that was heard, or a question for the caller."""
        return understand(heard, now=self._clock(), earliest=self._earliest, latest=self._latest)

    def say(self, value: time) -> str:
        """Return the words with which the agent repeats a time with its part of the day."""
        return say(value)

    def from_json(self, kept: Any) -> time:
        """Return the time from its JSON in the journal."""
        return time.fromisoformat(kept)
