"""Plots of a `bench` result, with one line per webhook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from ...percentiles import percentile
from ...reports import plots
from .measured import Measured, Sample, Series

SHARES = (10, 25, 50, 75, 90, 95, 99, 100)
PARTS = 24
LONG_SECONDS = 2.0
"""If the rounds of each webhook took less time than this in total, the plots over time are left out."""
Points = list[tuple[float, float]]


class Plot(NamedTuple):
    """A plot as SVG, its title, and a text that explains its axes."""

    title: str
    meaning: str
    svg: str


def plots_of(series: Sequence[Series]) -> Iterator[Plot]:
    """Yield the plots of one or more webhooks. All of them were measured with the same kind of arrivals."""
    yield _shares("Time to first speech", series, lambda sample: sample.ttfs)
    yield _shares("Whole turn", series, lambda sample: sample.total)
    if len(series) == 1:
        times = [sample.ttfs for sample in _samples(series[0]) if sample.ttfs is not None]
        yield Plot("Distribution of the time to first speech", "turns", plots.histogram(times, unit=" ms"))
    else:
        rates = [one.figure("turns_per_second") or 0.0 for one in series]
        yield Plot("Throughput", "turns per second", plots.bars([one.target for one in series], rates, unit=""))
    yield _by_turn(series)
    if max(sum(measured.seconds for measured in one.rounds) for one in series) < LONG_SECONDS:
        return
    yield _over_time("Time to first speech over the run", "p95, seconds of the run", series, _first_speech, " ms")
    if any(measured.server for one in series for measured in one.rounds):
        yield _over_time("Memory of the server over the run", "seconds of the run", series, _memory, " MB")


def _samples(one: Series) -> list[Sample]:
    return [sample for measured in one.rounds for sample in measured.samples]


def _shares(title: str, series: Sequence[Series], time: Callable[[Sample], float | None]) -> Plot:
    lines = []
    for one in series:
        values = [value for sample in _samples(one) if (value := time(sample)) is not None]
        lines.append(plots.Line(one.target, [percentile(values, share) for share in SHARES]))
    labels = [f"{share} %" if share < 100 else "slowest" for share in SHARES]
    return Plot(title, "share of turns that took at most this time", plots.lines(labels, lines, unit=" ms"))


def _by_turn(series: Sequence[Series]) -> Plot:
    count = max((sample.turn + 1 for one in series for sample in _samples(one)), default=1)
    lines = []
    for one in series:
        of_turn: list[list[float]] = [[] for _ in range(count)]
        for sample in _samples(one):
            if sample.ttfs is not None:
                of_turn[sample.turn].append(sample.ttfs)
        lines.append(plots.Line(one.target, [percentile(values, 50) for values in of_turn]))
    labels = [str(number + 1) for number in range(count)]
    return Plot("Time to first speech by turn", "p50, turn of the call", plots.lines(labels, lines, unit=" ms"))


def _over_time(
    title: str, meaning: str, series: Sequence[Series], points_of: Callable[[Measured], Points], unit: str
) -> Plot:
    """Plot a line over time for each webhook: the 95th percentile of the values that `points_of` returns.

    The rounds of a webhook are joined, and their time is divided into slices of equal length.
    """
    runs = [list(_one_after_another(one, points_of)) for one in series]
    end = max((at for points in runs for at, _ in points), default=0.0) or 1.0
    lines = []
    for one, points in zip(series, runs, strict=True):
        parts: list[list[float]] = [[] for _ in range(PARTS)]
        for at, value in points:
            parts[min(int(at / end * PARTS), PARTS - 1)].append(value)
        lines.append(plots.Line(one.target, [percentile(part, 95) for part in parts]))
    labels = [f"{end * number / PARTS:.{1 if end < 30 else 0}f} s" for number in range(PARTS)]
    return Plot(title, meaning, plots.lines(labels, lines, unit=unit))


def _one_after_another(one: Series, points_of: Callable[[Measured], Points]) -> Iterator[tuple[float, float]]:
    begins = accumulate((measured.seconds for measured in one.rounds), initial=0.0)
    for begun, measured in zip(begins, one.rounds, strict=False):
        yield from ((begun + at, value) for at, value in points_of(measured))


def _first_speech(measured: Measured) -> Points:
    return [(sample.at, sample.ttfs) for sample in measured.samples if sample.ttfs is not None]


def _memory(measured: Measured) -> Points:
    return measured.server.memory if measured.server else []
