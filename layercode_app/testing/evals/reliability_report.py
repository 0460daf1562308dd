"""Show how reliable agents and models are: a table, and sentences that compare them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...journal.cost import dollars
from ...output.tables import plain_table
from ...output.terminal import print_line, print_table
from ...reports.figures import milliseconds
from .played import Played
from .reliability import comparisons, reliability

HEADS = ("agent", "passed", "95 %", "pass^k", "turns", "cost", "first word p50, p95", "interruptions survived")


def show_reliability(played: Sequence[Played]) -> None:
    """Print the figures of each pair of agent and model, and compare the pass rates with that of the first pair."""
    rows = reliability(played)
    print_line()
    print_table(plain_table(HEADS, [_cells(row) for row in rows]))
    for row in comparisons(played):
        print_line(compared(row))


def reliability_table(played: Sequence[Played]) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, the column headings and the rows of the table, for a page."""
    return "Reliability", [*HEADS], [_cells(row) for row in reliability(played)]


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["interval"]
    hats, times, cuts = row["pass^k"], row["first_word_ms"], row["interruptions"]
    return [
        _name(row),
        f"{row['passed']}/{row['runs']}",
        f"{low:.0%} to {high:.0%}",
        ", ".join(f"{k}: {value:.2f}" for k, value in _few(hats)) or "-",
        f"{row['turns']:g}",
        "unknown" if row["cost"] is None else dollars(row["cost"]),
        f"{milliseconds(times['p50'])}, {milliseconds(times['p95'])}",
        f"{cuts['survived']} of {cuts['all']}" if cuts["all"] else "-",
    ]


def _few(hats: dict[str, float]) -> list[tuple[str, float]]:
    """Return pass^k for k = 1, 2, 4 and so on, and for the largest k."""
    return [(k, value) for k, value in hats.items() if int(k).bit_count() == 1 or int(k) == len(hats)]


def compared(row: dict[str, Any]) -> str:
    """Return a sentence for one result of `comparisons`.

    It says whether a pair of agent and model passes more or less often than the first pair, and whether this may be
    chance.
    """
    points = row["difference"] * 100
    much = (
        f"passes {abs(points):.0f} points {'more' if points > 0 else 'less'} often than"
        if points
        else "passes as often as"
    )
    verdict = "more than chance" if row["more_than_chance"] else "which may be chance"
    return f"{_name(row)} {much} {_name(row['than'])}" + (f", {verdict}" if points else "")


def _name(row: dict[str, Any]) -> str:
    return f"{row['agent']} {row['model']}".strip()
