"""Build the tables of a report as rows of text, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..observability.privacy import masking
from ..percentiles import PERCENTILES
from .agreement import Agreement
from .figures import LATENCIES, compact, counted_percentiles, milliseconds
from .report import Report
from .stage_tally import StageTally
from .tally import SLICES, Tally
from .tool_tally import ToolTally


@dataclass(frozen=True)
class Rows:
    """A table: title, column heads and rows; the first column names the row."""

    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def __post_init__(self) -> None:
        # A name may come from a model or a caller, and reports are sent to other people.
        rows = [(masking.clean(name), *cells) for name, *cells in self.rows]
        object.__setattr__(self, "rows", rows)


def all_tables(report: Report) -> Iterator[Rows]:
    """Yield every table that has content."""
    if not report.total.turns:
        return
    yield _latencies(report.total)
    if report.groups:
        yield _groups(f"By {report.by}", report.groups.values())
    if len(report.models) > 1 and report.by != "model":
        yield _groups("By model", report.models.values())
    if report.tools and (report.by == "tool" or report.total.tool_calls):
        yield _tools(report.tools, costs=report.by == "tool")
    if report.stages:
        yield _stages(report.stages)
    if report.total.outcomes:
        yield _outcomes(report.total)
    if report.total.scores:
        yield _scores(report.total)
    if report.agreement.pairs:
        yield _agreement(report.agreement)


def _latencies(total: Tally) -> Rows:
    rows: list[tuple[str, ...]] = []
    for metric in LATENCIES:
        for part in SLICES:
            if values := total.times(metric, part):
                found = counted_percentiles(values)
                times = [milliseconds(found[f"p{percent}"]) for percent in PERCENTILES]
                rows.append((f"{metric}, {part}", f"{len(values):,}", *times))
    return Rows("Latency", ("", "turns", "p50", "p90", "p95", "p99"), rows)


def _groups(title: str, tallies: Iterable[Tally]) -> Rows:
    heads = ("", "turns", "failed", "cut", "ttfs p50/p95", "tokens in/out", "cost", "feedback")
    return Rows(title, heads, [_group(tally) for tally in tallies])


def _group(tally: Tally) -> tuple[str, ...]:
    times = counted_percentiles(tally.times("ttfs"))
    return (
        tally.key,
        _turns(tally),
        f"{tally.error_rate:.1%}",
        f"{tally.interrupted:,}",
        _pair(times),
        f"{compact(tally.tokens['input_tokens'])} / {compact(tally.tokens['output_tokens'])}",
        str(tally.cost),
        _feedback(tally),
    )


def _turns(tally: Tally) -> str:
    helped = f"{tally.helped:,} as helper" if tally.helped else ""
    return f"{tally.turns:,}, {helped}" if tally.turns and helped else helped or f"{tally.turns:,}"


def _pair(times: dict[str, float | None]) -> str:
    return f"{times['p50']:,.0f} / {milliseconds(times['p95'])}" if times["p50"] is not None else "-"


def _feedback(tally: Tally) -> str:
    given = tally.scores.get("feedback")
    if given is None or given.mean is None:
        return "-"
    return f"{given.mean:.2f} ({len(given.numbers)})"


def _tools(tools: list[ToolTally], *, costs: bool) -> Rows:
    rows: list[tuple[str, ...]] = []
    for tool in tools:
        if not costs and not tool.times:
            continue
        times = counted_percentiles(tool.milliseconds)
        row: tuple[str, ...] = (tool.key, f"{tool.times:,}", f"{tool.failed:,}", f"{tool.cancelled:,}")
        row += (milliseconds(times["p50"]), milliseconds(times["p95"]))
        rows.append(row + ((f"{tool.requests:,}", f"{tool.tokens:,}", str(tool.cost)) if costs else ()))
    extra = ("requests", "tokens", "cost") if costs else ()
    return Rows("Tools", ("", "calls", "failed", "cut", "p50", "p95", *extra), rows)


def _stages(stages: list[StageTally]) -> Rows:
    rows: list[tuple[str, ...]] = []
    for stage in stages:
        times = counted_percentiles(stage.milliseconds)
        tokens = f"{compact(stage.input_tokens)} / {compact(stage.output_tokens)}" if stage.requests else "-"
        cost = str(stage.cost) if stage.requests else "-"
        counts = (f"{stage.times:,}", f"{stage.failed:,}", f"{stage.cancelled:,}")
        took = (milliseconds(times["p50"]), milliseconds(times["p95"]))
        rows.append((stage.key, *counts, *took, f"{stage.requests:,}", tokens, cost))
    heads = ("", "runs", "failed", "cut", "p50", "p95", "requests", "tokens in/out", "cost")
    return Rows("Stages", heads, rows)


def _outcomes(total: Tally) -> Rows:
    rows = [
        (name, f"{outcome.count:,}", f"{outcome.value:,.2f}", str(total.cost_per(outcome)))
        for name, outcome in sorted(total.outcomes.items())
    ]
    title = f"Outcomes, recorded in {total.success_rate or 0:.0%} of the conversations"
    return Rows(title, ("", "times", "worth", "cost each"), rows)


def _agreement(found: Agreement) -> Rows:
    rows = [
        (
            row["judge"],
            f"{row['agreement']:.0%}",
            "-" if row["kappa"] is None else f"{row['kappa']:.2f}",
            f"{row['reviews']:,}",
        )
        for row in found.as_json()
    ]
    return Rows("Agreement of judges with people who reviewed the same calls", ("", "agree", "kappa", "calls"), rows)


def _scores(total: Tally) -> Rows:
    rows = []
    for name, score in sorted(total.scores.items()):
        mean = "-" if score.mean is None else f"{score.mean:.2f}"
        given = ", ".join(f"{value} x{count}" for value, count in sorted(score.values.items())[:8])
        rows.append((name, mean, f"{score.values.total():,}", given))
    return Rows("Scores", ("", "mean", "given", "values"), rows)
