"""Write the results as Markdown: the figures, facts about each peer, and the results of the checks."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..servers import TOKEN_SECONDS, TOKENS
from . import conformance, echo, memory, startup, ttfs
from .results import Result

Cell = Callable[[Result], str]
AIMS = (
    ("echo throughput, divided by the older tool's", "older", echo.MEASURE, "per_second", "at least", 6.0),
    ("echo throughput, as a multiple of bare ASGI", "bare", echo.MEASURE, "per_second", "at least", 0.4),
    ("echo p99, as a multiple of bare ASGI", "bare", echo.MEASURE, "p99", "at most", 4.0),
    *(
        (f"first speech {which} of 50 callers, {arrivals}, as a multiple of bare ASGI", "bare", ttfs.name(50, arrivals),
         f"ttfs_{which}", "at most", 1.05)
        for arrivals in ttfs.ARRIVALS
        for which in ("p50", "p99")
    ),
    ("memory per open stream, as a multiple of bare ASGI", "bare", memory.MEASURE, "kb", "at most", 1.15),
)  # fmt: skip


def tables(results: Sequence[Result]) -> str:
    """Return three tables: the figures, facts about each peer, and the conformance checks that failed."""
    return "\n\n".join([_figures(results), _peers(results), _findings(results)])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] + ["---:" for _ in heads[1:]]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))


def _figures(results: Sequence[Result]) -> str:
    bare = next((result for result in results if result.peer.key == "bare"), None)
    rows: list[tuple[str, str, Cell]] = [("conformance checks passed", conformance.MEASURE, _checks)]
    rows += [("echo: turns per second (ratio to bare ASGI)", echo.MEASURE, lambda r: _throughput(r, bare))]
    rows += [("echo: p50, p99 in ms", echo.MEASURE, lambda r: _pair(r, echo.MEASURE, "p50", "p99"))]
    rows += [("echo: CPU per turn, in µs", echo.MEASURE, lambda r: _one(r, echo.MEASURE, "cpu_us", ".0f"))]
    for callers in ttfs.TURNS:
        for arrivals in ttfs.ARRIVALS:
            measure = ttfs.name(callers, arrivals)
            title = f"first speech, {callers} caller{'s' if callers > 1 else ''}, {arrivals}: p50, p99 in ms"
            rows.append((title, measure, lambda r, m=measure: _pair(r, m, "ttfs_p50", "ttfs_p99")))  # type: ignore[misc]
    rows += [
        ("memory per open stream, in KB", memory.MEASURE, lambda r: _one(r, memory.MEASURE, "kb", ".0f")),
        ("time until all streams spoke, in s", memory.MEASURE, lambda r: _one(r, memory.MEASURE, "seconds", ".1f")),
        ("memory before the streams open, in MB", memory.MEASURE, lambda r: _one(r, memory.MEASURE, "idle_mb", ".0f")),
        (
            "start-up to first answer with HTTP 200, in s",
            startup.MEASURE,
            lambda r: _one(r, startup.MEASURE, "seconds", ".2f"),
        ),
    ]
    shown = [[title, *(_cell(r, measure, cell) for r in results)] for title, measure, cell in rows]
    return _table(["", *(r.peer.title for r in results)], [row for row in shown if not {*row[1:]} <= {"-", "not run"}])


def _cell(result: Result, measure: str, cell: Cell) -> str:
    if result.not_run:
        return "not run"
    reason = result.failed.get(measure) or result.failed.get(measure.split()[0])
    return f"failed: {reason}" if reason else cell(result)


def _one(result: Result, measure: str, figure: str, form: str) -> str:
    value = result.median(measure, figure)
    return "-" if value is None else format(value, form)


def _pair(result: Result, measure: str, first: str, second: str) -> str:
    values = [result.median(measure, figure) for figure in (first, second)]
    return ", ".join(f"{value:.{0 if value >= 100 else 1}f}" for value in values if value is not None) or "-"


def _throughput(result: Result, bare: Result | None) -> str:
    value = result.median(echo.MEASURE, "per_second")
    ratio = result.ratio(bare, echo.MEASURE, "per_second") if bare else None
    return "-" if value is None else f"{value:,.0f}" + (f" ({ratio:.2f})" if ratio is not None else "")


def _checks(result: Result) -> str:
    return f"{result.checks['passed']} of {result.checks['of']}" if result.checks else "-"


def _peers(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
        peer = result.peer
        rows.append([peer.title, f"not run: {result.not_run}" if result.not_run else versions, peer.loop, peer.model, peer.keeps])  # fmt: skip
    return _table(["peer", "versions", "loop and parser", "calls the model through", "what it keeps"], rows).replace(
        "---:", "---"
    )


def _findings(results: Sequence[Result]) -> str:
    checked = [result for result in results if result.checks and not result.not_run]
    rows = []
    for result in checked:
        skipped = result.checks["skipped"]
        names = ", ".join(f"`{name}`" for name in result.checks["failed"]) or "none"
        rows.append([result.peer.title, names + (f"; skipped: {', '.join(skipped)}" if skipped else "")])
    return _table(["peer", "checks that failed"], rows).replace("---:", "---") if checked else ""


def machine(results: Sequence[Result], *, rounds: int, seconds: float) -> str:
    """Describe in a few sentences where and how the figures were measured."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    load = f"; the system load was {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return (
        f"Medians of {rounds} alternating round{'s' if rounds > 1 else ''}, {seconds / 60:.0f} minutes in all, on {os.cpu_count()} cores ({cpu}), "
        f"{platform.system()}{load}. Each peer had one core to itself; the callers and the model shared another core. "
        f"The model streams {TOKENS} words {TOKEN_SECONDS * 1000:.0f} ms apart over HTTP, the same for every peer. "
        f"Memory is measured with {memory.STREAMS:,} open streams, which are opened {memory.AT_ONCE} at a time after a warm-up."
    )


def aims(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each aim, with the measured ratio."""
    by_key = {result.peer.key: result for result in results}
    for title, other, measure, figure, way, aim in AIMS:
        if "ours" not in by_key or other not in by_key:
            continue
        ratio = by_key["ours"].ratio(by_key[other], measure, figure)
        if ratio is not None:
            met = ratio >= aim if way == "at least" else ratio <= aim
            yield f"{'ok  ' if met else 'MISS'} {title}: {ratio:.2f} (aim: {way} {aim:g})"
