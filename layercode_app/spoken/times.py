"""Say times of day and dates."""

from __future__ import annotations

from datetime import date, time

from .numbers import cardinal, ordinal, year

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def clock(hour: int, minute: int, half: str = "") -> str:
    """Say a time as it is written: 4:05 is "four oh five", 16:00 is "sixteen hundred", 4:00 is "four o'clock".

    `half` is said after the time: "a m", "p m" or words such as "in the afternoon".
    """
    if minute:
        words = f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif half:
        words = cardinal(hour)
    elif hour > 12:
        words = f"{cardinal(hour)} hundred"
    else:
        words = f"{cardinal(hour)} o'clock"
    return f"{words} {half}" if half else words


def part_of_day(hour: int) -> str:
    """Return the part of the day of an hour: "in the afternoon" for 16."""
    if hour < 12:
        return "in the morning" if hour >= 4 else "at night"
    if hour < 18:
        return "in the afternoon"
    return "in the evening" if hour < 22 else "at night"


def time_of_day(value: time) -> str:
    """Say a time with its part of the day: 16:15 is "four fifteen in the afternoon"."""
    if value.minute == 0 and value.hour in (0, 12):
        return "noon" if value.hour else "midnight"
    hour = (value.hour - 1) % 12 + 1
    words = clock(hour, value.minute)
    return f"{words} {part_of_day(value.hour)}"


def day_and_month(day: int, month: int, *, day_first: bool = False) -> str:
    """Say a day of the year: "May third", or with `day_first` "the third of May"."""
    if day_first:
        return f"the {ordinal(day)} of {MONTHS[month - 1]}"
    return f"{MONTHS[month - 1]} {ordinal(day)}"


def calendar_day(value: date, *, with_year: bool = False) -> str:
    """Say a date with its weekday: "Thursday, the twelfth of November". `with_year` adds the year."""
    words = f"{WEEKDAYS[value.weekday()]}, {day_and_month(value.day, value.month, day_first=True)}"
    return f"{words}, {year(value.year)}" if with_year else words
