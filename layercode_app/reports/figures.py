"""Compute the figures of one turn and statistics over many turns, for all reports and alerts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache

from ..journal.record import CHECKED, Json, Kind, Status, TurnRecord
from ..percentiles import percentiles
from ..wellformed import number_of

CUT = (Status.INTERRUPTED, Status.SUPERSEDED)
LATENCIES = ("ttfs", "ttft", "total")
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
DAY_SECONDS = 86_400


def is_turn(record: TurnRecord) -> bool:
    """Return whether the record is a turn that has ended. Only greetings and messages are turns."""
    return record.finished and record.kind in (Kind.GREETING, Kind.MESSAGE)


def is_counted(record: TurnRecord) -> bool:
    """Return whether reports and alerts count the record.

    They count turns that have ended. An event with data from the page counts if its record has an outcome, a score or
    usage. The hostile calls that `check` makes are not counted.
    """
    if record.conversation_id.startswith(CHECKED):
        return False
    if record.kind is not Kind.DATA:
        return is_turn(record)
    return record.finished and bool(record.outcomes or record.scores or record.usage)


def interrupted(record: TurnRecord) -> bool:
    """Return whether the turn was cut. The times of a cut turn show when it was cut, not how fast the agent was."""
    return record.status in CUT


def refused(record: TurnRecord) -> bool:
    """Return whether the turn was refused: a budget was used up, so the agent was not called."""
    return record.error_category == "budget" and record.error is None


def day_of(record: TurnRecord) -> str:
    """Return the day on which a turn began, in UTC."""
    return _day(int(record.started_at // DAY_SECONDS))


@lru_cache(maxsize=1000)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY_SECONDS, UTC).strftime("%Y-%m-%d")


def recorded_number(value: Json) -> float:
    """Return a number that an agent recorded. Older versions saved a Decimal as text, and NaN as null.

    Null, and a text that is no number, count as 0.
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return 0
    return number_of(value) or 0


def counted(count: int, noun: str) -> str:
    """Format a count with its noun: `1 turn`, `2,000 turns`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def counted_percentiles(values: Collection[float]) -> dict[str, float | None]:
    """Return the number of values, and their p50, p90, p95 and p99."""
    return {"n": len(values), **percentiles(values)}


def milliseconds(value: float | None) -> str:
    """Format milliseconds for people: `950 ms`; 10,000 ms or more are shown in seconds."""
    if value is None:
        return "-"
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def duration(value: float) -> str:
    """Format a duration in milliseconds for a sentence: `480 ms`, `1.2 s`."""
    return f"{value:,.0f} ms" if value < 999.5 else f"{value / 1000:,.1f} s"


def compact(value: float) -> str:
    """Format a large number with three digits: 950, 12.3k, 1.09M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"
