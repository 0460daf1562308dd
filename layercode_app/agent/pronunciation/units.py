"""Say units of measure as words."""

from __future__ import annotations

import re

from ...spoken.numbers import cardinal, number
from .grammar import maybe, named, one_of, text, times
from .kinds import Kind, Place
from .shapes import DIGIT, GAP, PLAIN

UNITS = {
    "km": ("kilometer", "kilometers"), "m": ("meter", "meters"), "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"), "mi": ("mile", "miles"), "ft": ("foot", "feet"), "yd": ("yard", "yards"),
    "kg": ("kilogram", "kilograms"), "g": ("gram", "grams"), "mg": ("milligram", "milligrams"),
    "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"), "l": ("liter", "liters"),
    "L": ("liter", "liters"), "ml": ("milliliter", "milliliters"), "mL": ("milliliter", "milliliters"),
    "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"), "s": ("second", "seconds"), "sec": ("second", "seconds"),
    "secs": ("second", "seconds"), "ms": ("millisecond", "milliseconds"),
    "°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"), "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"), "KB": ("kilobyte", "kilobytes"), "kB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"), "TB": ("terabyte", "terabytes"),
    "Mbps": ("megabit per second", "megabits per second"), "Gbps": ("gigabit per second", "gigabits per second"),
    "W": ("watt", "watts"), "kW": ("kilowatt", "kilowatts"), "kWh": ("kilowatt hour", "kilowatt hours"),
    "V": ("volt", "volts"), "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"), "GHz": ("gigahertz", "gigahertz"),
    "m²": ("square meter", "square meters"), "m2": ("square meter", "square meters"),
    "km²": ("square kilometer", "square kilometers"), "sqm": ("square meter", "square meters"),
    "sq ft": ("square foot", "square feet"), "m³": ("cubic meter", "cubic meters"),
    "kcal": ("calorie", "calories"), "px": ("pixel", "pixels"), "pts": ("point", "points"),
}  # fmt: skip
"""The singular and the plural of each unit, by its symbol."""

PER = maybe(
    text("/")
    + named(
        "per", one_of(["month", "year", "week", "day", "hour", "night", "person", "minute", "kg", "km", "unit", "user"])
    )
)
"""The form of a rate's end, such as `/month` in $5/month."""


def unit(symbol: str, *, single: bool = False) -> str:
    """Return the word for a unit by its symbol: the plural, or the singular if `single`."""
    return UNITS[symbol][0 if single else 1]


def per(name: str | None) -> str:
    """Return the words for the end of a rate, such as " per month"; "" without a name."""
    return f" per {unit(name, single=True) if name in UNITS else name}" if name else ""


def say_duration(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a duration of several parts, such as 2h 15m."""
    parts = [(match[symbol], symbol) for symbol in ("h", "min", "s") if match.groupdict().get(symbol)]
    return " ".join(f"{cardinal(int(count))} {unit(symbol, single=int(count) == 1)}" for count, symbol in parts)


def say_minutes(match: re.Match[str], place: Place) -> str | None:
    """Return the words for a time such as "30m ago", in which m means minutes. Elsewhere, m means meters."""
    return f"{number(match['n'])} {unit('min', single=match['n'] == '1')}"


_COUNT = times(DIGIT, 1, 3)
_HOURS = named("h", _COUNT) + GAP + one_of(["h", "hr", "hrs"])
_MINUTES = named("min", _COUNT) + GAP + one_of(["m", "min", "mins"])
_SECONDS = named("s", _COUNT) + GAP + one_of(["s", "sec", "secs"])

DURATION_KINDS = [
    Kind(_HOURS + GAP + _MINUTES + maybe(GAP + _SECONDS), say_duration),
    Kind(_MINUTES + GAP + _SECONDS, say_duration),
    Kind(named("n", PLAIN) + GAP + text("m") + named("rest", text(" ago")), say_minutes),
]
"""The kinds of tokens in which the unit "m" means minutes."""
