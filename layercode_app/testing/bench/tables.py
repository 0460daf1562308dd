"""The figures of a result as rows of text, for the console and the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ...percentiles import PERCENTILES
from .measured import ratios
from .result import Result

Rows: TypeAlias = Sequence[tuple[str, Sequence[str]]]
UNKNOWN = "-"
UNMEASURED = "not measured"
RATIOS = {
    "turns per second": "turns_per_second",
    "first speech p50": "ttfs_ms.p50",
    "first speech p99": "ttfs_ms.p99",
    "whole turn p50": "total_ms.p50",
    "whole turn p99": "total_ms.p99",
    "server CPU per turn": "cpu_ms_per_turn",
    "server memory, peak": "rss_mb_peak",
}


def figures(result: Result) -> Rows:
    """Return a row for each figure, with a column for each series of calls that was measured."""
    found = [one.to_json() for one in result.series]
    rows = [
        ("turns", [f"{one['turns']:,}" for one in found]),
        ("turns per second", [_number(one["turns_per_second"]) for one in found]),
        ("frames", [f"{one['frames']:,}" for one in found]),
        ("interrupted", [f"{one['interrupted']:,}" for one in found]),
        ("errors", [_errors(one["errors"]) for one in found]),
    ]
    for label, name in (("first speech", "ttfs_ms"), ("whole turn", "total_ms")):
        rows += [(f"{label} p{p}", [milliseconds(one[name][f"p{p}"]) for one in found]) for p in PERCENTILES]
    if any(one["hedges"] and one["hedges"]["sent"] for one in found):
        rows.append(("requests sent twice", [_hedges(one["hedges"]) for one in found]))
    servers = [one["server"] for one in found]
    return [
        *rows,
        ("server CPU", [_cpu(one) for one in servers]),
        ("server CPU per turn", [milliseconds(one["cpu_ms_per_turn"]) if one else UNMEASURED for one in servers]),
        ("server memory before", [_megabytes(one, "before") for one in servers]),
        ("server memory, peak", [_megabytes(one, "peak") for one in servers]),
    ]


def ratio_rows(result: Result) -> tuple[list[str], Rows]:
    """Return the column headings and the rows of a table with the ratios of each webhook to the first webhook.

    The first webhook has no column.
    """
    found = ratios(result.series)
    both = result.arrivals == "both"
    heads = [f"{one['target']}, {one['arrivals']}" if both else one["target"] for one in found]
    return heads, [(label, [times(one[name]) for one in found]) for label, name in RATIOS.items()]


def milliseconds(value: float | None) -> str:
    """Return a time in readable form."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def times(value: float | None) -> str:
    """Return a ratio in readable form."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f} x" if value >= 100 else f"{value:.1f} x" if value >= 10 else f"{value:.2f} x"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.1f}"


def _errors(errors: dict[str, int]) -> str:
    return ", ".join(f"{count} x {reason}" for reason, count in errors.items()) or "none"


def _hedges(hedges: dict[str, int] | None) -> str:
    return f"{hedges['sent']:,}; second copy answered first: {hedges['won']:,}" if hedges else UNMEASURED


def _cpu(server: dict[str, Any] | None) -> str:
    return f"{server['cpu_seconds']:.1f} s" if server else UNMEASURED


def _megabytes(server: dict[str, Any] | None, when: str) -> str:
    return f"{server[f'rss_mb_{when}']:.0f} MB" if server else UNMEASURED
