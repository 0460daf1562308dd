"""The result of `bench` as one self-contained HTML page, without scripts or external resources."""

from __future__ import annotations

from collections.abc import Iterator

from ...reports.figures import counted
from ...reports.report_page import render
from .curves import Plot, plots_of
from .load import ARRIVALS
from .measured import ratios
from .result import Result
from .tables import RATIOS, figures, milliseconds, ratio_rows, times

HEADS = {"spread": "Arrivals spread", "together": "Arrivals together"}
TILES = ("turns per second", "first speech p50", "first speech p99", "server CPU per turn")


def as_html(result: Result) -> str:
    """Return the result as an HTML page."""
    heads, ratio_table = ratio_rows(result)
    return render(
        "bench.html",
        title=_title(result),
        against=_against(result),
        tiles=list(_tiles(result)),
        sections=list(_sections(result)),
        heads=[result.label(one) for one in result.series],
        rows=figures(result),
        ratio_heads=heads,
        ratio_rows=ratio_table,
        first=result.series[0].target,
        errors=sum(result.errors.values()),
        notes=result.notes(),
    )


def _title(result: Result) -> str:
    load = result.load
    parts = [f"{counted(load.callers, 'caller')} with {counted(load.turns, 'turn')} each"]
    if load.ramp:
        parts.append(f"arriving over {load.ramp:g} s")
    if load.think:
        parts.append(f"{load.think:g} s between turns")
    if load.interrupt:
        parts.append(f"{load.interrupt:.0%} of the turns interrupted")
    parts.append(f"{result.rounds} rounds" if result.rounds > 1 else "one round")
    return ", ".join(parts)


def _against(result: Result) -> str:
    """Return the heading above the ratios, such as "b as a multiple of a"; empty if only one webhook was measured."""
    if not result.compared:
        return ""
    found = ratios(result.series)[0]
    of = f", arrivals {found['arrivals']}" if result.arrivals == "both" else ""
    return f"{found['target']} as a multiple of {found['to']}{of}"


def _tiles(result: Result) -> Iterator[tuple[str, str]]:
    if result.compared:
        found = ratios(result.series)[0]
        yield from ((label, times(found[RATIOS[label]])) for label in TILES)
        return
    one = result.series[0]
    of = f", {one.arrivals}" if result.arrivals == "both" else ""
    yield f"p50 to first speech{of}", milliseconds(one.figure("ttfs_ms.p50"))
    yield f"p99 to first speech{of}", milliseconds(one.figure("ttfs_ms.p99"))
    yield f"turns per second{of}", f"{one.figure('turns_per_second') or 0:,.1f}"
    yield f"server CPU per turn{of}", milliseconds(one.figure("cpu_ms_per_turn"))


def _sections(result: Result) -> Iterator[tuple[str, list[Plot]]]:
    """Yield a heading and the plots for each kind of arrivals. The heading is empty if only one kind was measured."""
    for kind in ARRIVALS[result.arrivals]:
        series = [one for one in result.series if one.arrivals == kind]
        yield HEADS[kind] if result.arrivals == "both" else "", list(plots_of(series))
