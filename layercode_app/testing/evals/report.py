"""What evaluations found: a summary per scenario and model, a baseline to compare with, a table, JUnit and HTML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import median, pstdev
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table
from rich.text import Text

from ...exceptions import ConfigurationError
from ..check.report import printable
from .run import Played

STYLE = "body{font:16px sans-serif;max-width:60em;margin:2em auto}pre{background:#f4f4f4;padding:1em}.no{color:#b00}"


def summary(played: Sequence[Played]) -> list[dict[str, Any]]:
    """Per scenario and model: runs, how many passed, the spread of that, and the median of first speech in ms."""
    groups: dict[tuple[str, str], list[Played]] = {}
    for one in played:
        groups.setdefault((one.scenario, one.model), []).append(one)
    return [_row(scenario, model, runs) for (scenario, model), runs in groups.items()]


def _row(scenario: str, model: str, runs: list[Played]) -> dict[str, Any]:
    scores = [float(run.passed) for run in runs]
    times = [time for run in runs for time in run.ttfs_ms]
    return {
        "scenario": scenario,
        "model": model,
        "runs": len(runs),
        "passed": int(sum(scores)),
        "deviation": round(pstdev(scores), 3),
        "ttfs_ms": round(median(times), 1) if times else None,
    }


def regressions(rows: Sequence[dict[str, Any]], baseline: Path) -> list[str]:
    """What passes less often than in a saved baseline. Raises ConfigurationError when that cannot be read."""
    try:
        known = {(row["scenario"], row["model"]): row for row in json.loads(baseline.read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"--baseline {baseline}: not a baseline that --save wrote ({error}).") from error
    found = []
    for row in rows:
        before = known.get((row["scenario"], row["model"]))
        if before and row["passed"] / row["runs"] < before["passed"] / before["runs"]:
            found.append(
                f"{row['scenario']}: {row['passed']} of {row['runs']} passed, before {before['passed']} of {before['runs']}"
            )
    return found


def show(played: Sequence[Played], worse: Sequence[str] = ()) -> None:
    """Print the table, models side by side, and what was heard wherever something failed."""
    console = Console()
    rows = summary(played)
    models = list(dict.fromkeys(row["model"] for row in rows))
    table = Table("scenario", *(escape_markup(model) or "result" for model in models), box=None, pad_edge=False)
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        cells = [row for model in models for row in rows if (row["scenario"], row["model"]) == (scenario, model)]
        table.add_row(Text(scenario), *map(_cell, cells))
    console.print(table)
    for one in played:
        if not one.passed:
            console.print(Text(f"\n{one.scenario} {one.model} run {one.number}".rstrip(), "bold red"))
            for reason in one.reasons:
                console.print(Text(f"  {reason}"))
            console.print(Text(one.transcript, "dim"))
    for line in worse:
        console.print(Text(f"worse than the baseline: {line}", "bold red"))


def _cell(row: dict[str, Any]) -> Text:
    time = "" if row["ttfs_ms"] is None else f", {row['ttfs_ms']:.0f} ms"
    return Text(f"{row['passed']}/{row['runs']}{time}", "green" if row["passed"] == row["runs"] else "red")


def junit(played: Sequence[Played]) -> str:
    """As JUnit XML, one test case per run of a scenario."""
    failed = sum(not one.passed for one in played)
    suite = Element("testsuite", name="layercode eval", tests=str(len(played)), failures=str(failed))
    for one in played:
        case = SubElement(suite, "testcase", classname=one.model or "eval", name=f"{one.scenario} {one.number}")
        if not one.passed:
            failure = SubElement(case, "failure", message=printable("; ".join(one.reasons)))
            failure.text = printable(one.transcript)
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def html(played: Sequence[Played]) -> str:
    """As one HTML page that needs nothing else."""
    parts = [f"<!doctype html><meta charset=utf-8><title>Evaluation</title><style>{STYLE}</style><h1>Evaluation</h1>"]
    for one in played:
        title = escape(f"{one.scenario} {one.model} run {one.number}: {'passed' if one.passed else 'failed'}")
        parts.append(f"<h2{'' if one.passed else ' class=no'}>{title}</h2>")
        parts += [f"<p class=no>{escape(reason)}</p>" for reason in one.reasons]
        parts += [f"<p>judge: {escape(v['answer'])}: {escape(v['reason'])}</p>" for v in one.verdicts]
        parts.append(f"<pre>{escape(one.transcript)}</pre>")
    return "\n".join(parts)
