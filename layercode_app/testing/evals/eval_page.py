"""Write an evaluation as one HTML page: every conversation with its waterfalls, failed runs first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from ...reports.conversations import unheard_part
from ...reports.figures import counted, duration, milliseconds
from ...reports.report_page import render
from .matrix_report import matrix_rows, matrix_table
from .played import Played
from .reliability_report import reliability_table

LEAST_SHARE = 0.5
"""Minimum width of a bar in percent, so that a short step can be seen."""
_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
"""Matches quoted speech in a reason. Turn numbers within it are ignored, because they are only words of the call."""
_TURNS = re.compile(r"\bturns? (\d+(?: and \d+)*)")


def html(played: Sequence[Played]) -> str:
    """Return the runs as one self-contained HTML page, failed runs first."""
    runs = [_run(one) for one in sorted(played, key=lambda one: one.passed)]
    labels = list(dict.fromkeys(label for run in runs for label in run["played"].labels))
    tables = [reliability_table(played), *([matrix_table(rows)] if (rows := matrix_rows(played)) else [])]
    title, tiles = _title(played), list(_tiles(played))
    return render("eval.html", title=title, tiles=tiles, tables=tables if played else [], labels=labels, runs=runs)


def _title(played: Sequence[Played]) -> str:
    scenarios = counted(len({one.scenario for one in played}), "scenario")
    models = ", ".join(dict.fromkeys(one.model for one in played if one.model))
    return f"{scenarios}, {counted(len(played), 'run')}" + (f", {models}" if models else "")


def _tiles(played: Sequence[Played]) -> Iterator[tuple[str, str]]:
    passed, times = sum(one.passed for one in played), [time for one in played for time in one.ttfs_ms]
    yield "runs passed", f"{passed} of {len(played)}"
    yield "p50 to first speech", milliseconds(median(times)) if times else "-"


def _run(one: Played) -> dict[str, Any]:
    """Return what the page shows of a run: the reasons why it failed, the verdicts of judges, and its turns.

    Each reason has the number of the first turn that it is about. Each turn has the reasons that are about it. The
    verdict "no" on the whole call is left out, because it is one of the reasons.
    """
    reasons = [(reason, turns_of(reason, one)) for reason in one.reasons]
    return {
        "played": one,
        "reasons": [(reason, turns[0] if turns else None) for reason, turns in reasons],
        "verdicts": [verdict for verdict in one.verdicts if "turn" not in verdict and verdict["answer"] != "no"],
        "turns": [
            {
                **turn,
                "number": number,
                "reasons": [reason for reason, turns in reasons if number in turns],
                "verdicts": [verdict for verdict in one.verdicts if verdict.get("turn") == number],
                "behaviours": [each for each in one.behaviours if each["turn"] == number and each["behaviours"]],
                "words": _words(turn),
                "chart": _chart(turn["waterfall"]),
            }
            for number, turn in enumerate(one.conversation, 1)
        ],
    }


def turns_of(reason: str, one: Played) -> list[int]:
    """Return the numbers of the turns that a reason is about; empty if it is about the whole call."""
    asked = [said["turn"] for said in one.verdicts if "turn" in said and reason == one.says_no(said)]
    if asked:
        return asked[:1]
    found = [int(number) for group in _TURNS.findall(_QUOTED.sub("", reason)) for number in group.split(" and ")]
    if reason.startswith("turn "):
        found = found[:1]
    broken = (one.errors or one.failures)[-1:] if one.broke_at else []
    if not found and reason in broken:
        found = [one.broke_at]
    return [number for number in dict.fromkeys(found) if 1 <= number <= len(one.conversation)]


def _words(turn: dict[str, Any]) -> tuple[str, str]:
    """Return the words that the caller heard, and those that were spoken but not heard."""
    spoken, heard = turn["spoken"], turn["heard"]
    return (spoken, "") if heard is None else (heard, unheard_part(spoken, heard))


def _chart(waterfall: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a turn's waterfall chart in the form that the page draws: positions in percent, and times as texts.

    Return None if there is nothing to draw.
    """
    if not waterfall or not waterfall["total_ms"]:
        return None
    total = waterfall["total_ms"]
    marks = waterfall["marks"]
    return {
        "times": ", ".join(f"{mark['name']} {duration(mark['at_ms'])}" for mark in marks),
        "total": duration(total),
        "verdict": waterfall["verdict"],
        "marks": [_percent(mark["at_ms"], total) for mark in marks],
        "rows": [_row(row, total) for row in waterfall["rows"]],
    }


def _row(row: dict[str, Any], total: float) -> dict[str, Any]:
    took, bars = duration(row["took_ms"]), row["bars"]
    return {
        "name": row["name"],
        "title": f"{row['label']}, {duration(bars[0][0])} to {duration(bars[-1][1])}",
        "color": "failed" if row["status"] == "failed" else row["color"],
        "took": f"at {took}" if row["at"] else took,
        "bars": [_bar(bar, total) for bar in bars if bar[1] > bar[0] or len(bars) == 1],
    }


def _bar(bar: tuple[float, float, bool], total: float) -> tuple[str, str, bool]:
    start, end, pale = bar
    width = max(LEAST_SHARE, 100 * (end - start) / total)
    return f"{min(100 * start / total, 100 - LEAST_SHARE):.4g}", f"{min(width, 100):.4g}", pale


def _percent(at: float, total: float) -> str:
    return f"{min(100.0, 100 * at / total):.4g}"
