"""Days with a name, such as Easter and New Year's Eve."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from ..spoken.extra import need


def _easter(year: int) -> date:
    found: date = need("dateutil.easter", "python-dateutil", "collect", "Date").easter(year)
    return found


def _thanksgiving(year: int) -> date:
    first = date(year, 11, 1)
    return first + timedelta(days=(3 - first.weekday()) % 7 + 21)


HOLIDAYS: dict[str, Callable[[int], date]] = {
    "christmas eve": lambda year: date(year, 12, 24),
    "christmas": lambda year: date(year, 12, 25),
    "christmas day": lambda year: date(year, 12, 25),
    "boxing day": lambda year: date(year, 12, 26),
    "new year's eve": lambda year: date(year, 12, 31),
    "new year's day": lambda year: date(year, 1, 1),
    "new year's": lambda year: date(year, 1, 1),
    "valentine's day": lambda year: date(year, 2, 14),
    "independence day": lambda year: date(year, 7, 4),
    "halloween": lambda year: date(year, 10, 31),
    "thanksgiving": _thanksgiving,
    "good friday": lambda year: _easter(year) - timedelta(days=2),
    "easter": _easter,
    "easter sunday": _easter,
    "easter monday": lambda year: _easter(year) + timedelta(days=1),
}


def holiday(name: str, today: date, *, past: bool = False) -> date | None:
    """Return the next day with this name. With `past`, return the previous day with this name.

    If `today` has this name, return `today`. Return None for an unknown name.
    """
    make = HOLIDAYS.get(name)
    if make is None:
        return None
    days = [make(year) for year in range(today.year - 1, today.year + 2)]
    return max(day for day in days if day <= today) if past else min(day for day in days if day >= today)
