"""Percentiles, computed in one way for all reports, pages and alerts, and for `bench`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

PERCENTILES = (50, 90, 95, 99)


def percentile(values: Collection[float], percent: float) -> float | None:
    """Return a percentile of the values, interpolated between neighbours; None without values."""
    return _at(sorted(values), percent)


def _at(ordered: Sequence[float], percent: float) -> float | None:
    if not ordered:
        return None
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def percentiles(values: Collection[float], *, digits: int = 1) -> dict[str, float | None]:
    """Return p50, p90, p95 and p99, rounded to `digits` decimal places; each None without values."""
    ordered = sorted(values)
    found = {f"p{percent}": _at(ordered, percent) for percent in PERCENTILES}
    return {name: None if value is None else round(value, digits) for name, value in found.items()}
