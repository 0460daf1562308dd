"""Measure echo turns: this server with journal and JSON log, against a bare ASGI app with the same HMAC and frames.

    python -m benchmarks.echo

Every request is a new signed turn. Both sides use uvloop and httptools. The journal's rows are counted at the end, and
any failed turn fails the run. Aims: at least 0.4 of the bare app's throughput, and at most 4 times its p99.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
from typing import NamedTuple

import uvloop

from .load import Measured, drive
from .servers import serving

PAIRS, SLICES, CALLERS, TURNS = 7, 6, 32, 40


def main() -> int:
    """Measure our server and the bare app alternately, and print the ratios.

    Return 1 if a turn failed or is missing in the journal, else 0.
    """
    os.sched_setaffinity(0, {1})
    pairs = [measure() for _ in range(PAIRS)]
    return report(pairs)


class Pair(NamedTuple):
    """The measurements of two servers that were started together; `rows` is the number of rows in our journal."""

    bare: list[Measured]
    ours: list[Measured]
    rows: int


def measure() -> Pair:
    """Drive two new servers alternately, because the speed of a shared machine changes from second to second.

    New servers are started for each measurement, because one of two identical processes may be some percent slower for
    its whole life.
    """
    pair = Pair([], [], 0)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        with serving("bare", one, cpu=0) as (bare, _), serving("ours", two, cpu=0) as (ours, _):
            for port in (bare, ours):
                uvloop.run(drive(port, "/api/agent", callers=8, turns=20))
            for _ in range(SLICES):
                for port, results in ((bare, pair.bare), (ours, pair.ours)):
                    results.append(uvloop.run(drive(port, "/api/agent", callers=CALLERS, turns=TURNS)))
        rows = sqlite3.connect(f"{two}/journal.sqlite3").execute("SELECT count(*) FROM turns").fetchone()[0]
    return pair._replace(rows=rows)


def report(pairs: list[Pair]) -> int:
    """Print the medians over all pairs, for each server and for the ratio of the two.

    Return 1 if a turn failed or is missing in the journal, else 0.
    """
    for name in ("bare", "ours"):
        sides = [getattr(pair, name) for pair in pairs]
        print(
            f"{name:>5}: {statistics.median(map(rate, sides)):8.0f} turns/s   "
            f"p50 {statistics.median(percentile(s, 50) for s in sides):6.2f} ms   "
            f"p99 {statistics.median(percentile(s, 99) for s in sides):6.2f} ms"
        )
    rates = sorted(rate(pair.ours) / rate(pair.bare) for pair in pairs)
    tail = statistics.median(percentile(pair.ours, 99) / percentile(pair.bare, 99) for pair in pairs)
    failures = sum(result.failures for pair in pairs for result in (*pair.bare, *pair.ours))
    rows, expected = sum(pair.rows for pair in pairs), PAIRS * (8 * 20 + SLICES * CALLERS * TURNS)
    print(
        f"throughput: {statistics.median(rates):.2f} of bare (aim 0.40; {rates[0]:.2f} to {rates[-1]:.2f})   "
        f"p99: {tail:.1f} times bare (aim 4.0)"
    )
    print(f"failures: {failures}   journal rows: {rows} of {expected}")
    return int(failures > 0 or rows != expected)


def rate(results: list[Measured]) -> float:
    """Return the number of all turns divided by the sum of all seconds."""
    return sum(len(one.total) for one in results) / sum(one.seconds for one in results)


def percentile(results: list[Measured], percent: float) -> float:
    """Compute a percentile of the turns' milliseconds for each item of `results`, and return the median of these."""
    return statistics.median(one.percentile(percent) for one in results)


if __name__ == "__main__":
    sys.exit(main())
