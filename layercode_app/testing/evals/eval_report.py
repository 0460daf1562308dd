"""Reports of evaluations: tables, JUnit XML, and a summary for each combination of agent, scenario and model."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, pstdev
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ...output.tables import Cell, plain_table
from ...output.terminal import print_block, print_line, print_table
from ...output.visible import visible, visible_lines
from .chance import interval, pass_hats
from .matrix_report import matrix_rows, show_matrix
from .played import Played
from .reliability import counts
from .reliability_report import show_reliability

if TYPE_CHECKING:
    from ...output.tables import Table


def summary(played: Sequence[Played]) -> list[dict[str, Any]]:
    """Summarize each combination of agent, scenario and model.

    A summary has the runs, passed runs, pass rate statistics, and median TTFS in ms.
    """
    groups: dict[tuple[str, str, str], list[Played]] = {}
    for one in played:
        groups.setdefault((one.agent, one.scenario, one.model), []).append(one)
    return [_row(*key, runs) for key, runs in groups.items()]


def _row(agent: str, scenario: str, model: str, runs: list[Played]) -> dict[str, Any]:
    scores = [float(run.passed) for run in runs]
    times = [time for run in runs for time in run.ttfs_ms]
    return {
        "agent": agent,
        "scenario": scenario,
        "model": model,
        "runs": len(runs),
        "passed": int(sum(scores)),
        "deviation": round(pstdev(scores), 3),
        "interval": list(interval(int(sum(scores)), len(runs))),
        "pass^k": pass_hats(counts(runs)),
        "ttfs_ms": round(median(times), 1) if times else None,
    }


def show(played: Sequence[Played], worse: Sequence[str] = ()) -> None:
    """Print the tables of results, the transcript of each failed run, and the lines in `worse`.

    Each of these lines describes a result that is worse than the baseline.
    """
    rows = summary(played)
    print_table(_side_by_side(rows))
    if len(played) > len(rows) or any(one.behaviours for one in played):
        show_reliability(played)
    if drilled := matrix_rows(played):
        show_matrix(drilled)
    for one in played:
        if not one.passed:
            _show_failed(one)
    for line in worse:
        print_line((f"worse than the baseline: {line}", "bold red"))


def _side_by_side(rows: Sequence[dict[str, Any]]) -> Table:
    """Return a table with a row for each scenario and a column for each model.

    If several agents play the same scenarios, each agent has separate columns.
    """
    several = len({(row["scenario"], row["model"]) for row in rows}) < len(rows)
    names = [f"{row['agent']} {row['model']}".strip() if several else row["model"] for row in rows]
    found = {(row["scenario"], name): _cell(row) for row, name in zip(rows, names, strict=True)}
    columns = list(dict.fromkeys(names))
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    cells = [[scenario, *(found.get((scenario, name), "-") for name in columns)] for scenario in scenarios]
    return plain_table(["scenario", *(name or "result" for name in columns)], cells)


def _show_failed(one: Played) -> None:
    print_line()
    name = " ".join(filter(None, (one.scenario, one.model, f"run {one.number}")))
    print_line((f"{name}, agent {one.agent}" if one.agent else name, "bold red"))
    for reason in one.reasons:
        print_block("  ", reason)
    print_block("    ", one.transcript, style="dim")


def _cell(row: dict[str, Any]) -> Cell:
    time = "" if row["ttfs_ms"] is None else f", {row['ttfs_ms']:.0f} ms"
    return f"{row['passed']}/{row['runs']}{time}", "green" if row["passed"] == row["runs"] else "red"


def junit(played: Sequence[Played]) -> str:
    """Return the runs as JUnit XML, with one test case per run of a scenario.

    If several agents play the same scenarios, the class name of a test case begins with the agent.
    """
    several = len({(one.scenario, one.model, one.number) for one in played}) < len(played)
    broken = sum(bool(one.errors) for one in played)
    suite = Element(
        "testsuite",
        name="layercode eval",
        tests=str(len(played)),
        failures=str(sum(not one.passed for one in played) - broken),
        errors=str(broken),
        time=f"{sum(one.seconds for one in played):.3f}",
    )
    for one in played:
        name, took = visible(f"{one.scenario} {one.number}"), f"{one.seconds:.3f}"
        group = f"{one.agent} {one.model}".strip() if several else one.model or "eval"
        case = SubElement(suite, "testcase", classname=visible(group), name=name, time=took)
        if not one.passed:
            kind = "error" if one.errors else "failure"
            failure = SubElement(case, kind, message=visible_lines("; ".join(one.reasons)))
            failure.text = visible_lines(one.transcript)
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
