"""Percentiles, computed in one way for all reports, pages, alerts and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

PERCENTILES = (50, 90, 95, 99)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile of the values, interpolated between neighbours; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def percentiles(values: Sequence[float], *, digits: int = 1) -> dict[str, float | None]:
    """Return p50, p90, p95 and p99, rounded to `digits` decimal places; each None without values."""
    found = {f"p{percent}": percentile(values, percent) for percent in PERCENTILES}
    return {name: None if value is None else round(value, digits) for name, value in found.items()}
