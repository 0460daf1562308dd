"""Render a report as one self-contained HTML page: no script, no external resources."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..output.colors import colors
from ..output.pages import sealed
from ..output.visible import visible_lines
from . import plots
from .figures import counted_percentiles, milliseconds
from .report import Report
from .tables import all_tables
from .text import LEGEND, forgotten, title

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


@cache
def templates() -> Environment:
    """Return the templates of all pages. They escape every value and make invisible characters visible."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_safe,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    # Every page uses the colours.
    found.globals["colors"] = colors()
    return found


def _safe(value: object) -> object:
    """Return a text with its invisible characters made visible. Return our own markup and other values unchanged."""
    return value if hasattr(value, "__html__") or not isinstance(value, str) else visible_lines(value)


def render(template: str, **values: Any) -> str:
    """Render a template as a self-contained page with its content security policy."""
    return sealed(templates().get_template(template).render(**values))


def as_html(report: Report) -> str:
    """Render the report as a page."""
    return render(
        "report.html",
        title=title(report),
        total=report.total,
        tiles=list(_tiles(report)),
        plots=list(_plots(report)),
        tables=list(all_tables(report)),
        legend=LEGEND,
        opportunities=report.opportunities,
        forgotten=list(forgotten(report)),
    )


def _tiles(report: Report) -> Iterator[tuple[str, str]]:
    total = report.total
    times = counted_percentiles(total.times("ttfs"))
    yield "turns", f"{total.turns:,}"
    yield "conversations", f"{len(total.conversations):,}"
    yield "p50 to first speech", milliseconds(times["p50"])
    yield "p95 to first speech", milliseconds(times["p95"])
    yield "turns failed", f"{total.error_rate:.1%}"
    yield "turns interrupted", f"{total.interruption_rate:.1%}"
    yield "cost", str(total.cost)
    if total.success_rate is not None:
        yield "conversations with an outcome", f"{total.success_rate:.0%}"
    else:
        yield "tool calls", f"{total.tool_calls:,}"


def _plots(report: Report) -> Iterator[tuple[str, str]]:
    days = [*report.days]
    tallies = [*report.days.values()]
    short = [day[5:] for day in days]
    if len(days) > 1:
        over_days = [counted_percentiles(tally.times("ttfs")) for tally in tallies]
        series = [plots.Line(name, [found[name] for found in over_days]) for name in ("p50", "p95", "p99")]
        yield "Time to first speech by day", plots.lines(short, series, unit=" ms")
        yield "Turns by day", plots.bars(short, [float(tally.turns) for tally in tallies], unit="")
        if report.total.cost.amount:
            yield "Known cost by day", plots.bars(short, [tally.cost.amount for tally in tallies], unit="$")
    if times := report.total.times("ttfs"):
        yield "Turns by time to first speech", plots.histogram(times, unit=" ms")
    if errors := report.total.errors:
        yield "Errors by category", plots.bars([*errors], [float(n) for n in errors.values()], unit="")
