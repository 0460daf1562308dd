"""Echo turns: this server, journal and JSON log on, against a bare ASGI app with the same HMAC and two frames.

    python -m benchmarks.echo

Every request is a new signed turn; uvloop and httptools on both sides; the journal's rows are counted afterwards, and
any failure fails the run. Aims: throughput at 0.4 of the bare app's or better, p99 within 4 times of its.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile

import uvloop

from .load import Measured, drive
from .servers import serving

ROUNDS, CALLERS, TURNS = 5, 32, 100


def main() -> int:
    """Run both sides in turns and print the ratios."""
    os.sched_setaffinity(0, {1})
    results: dict[str, list[Measured]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        with serving("bare", one, cpu=0) as (bare, _), serving("ours", two, cpu=0) as (ours, _):
            for port in (bare, ours):
                uvloop.run(drive(port, "/api/agent", callers=8, turns=20))
            for _ in range(ROUNDS):
                for name, port in (("bare", bare), ("ours", ours)):
                    results[name].append(uvloop.run(drive(port, "/api/agent", callers=CALLERS, turns=TURNS)))
        rows = sqlite3.connect(f"{two}/journal.sqlite3").execute("SELECT count(*) FROM turns").fetchone()[0]
    return report(results, rows)


def report(results: dict[str, list[Measured]], rows: int) -> int:
    """Print medians over the rounds, and the ratios round by round."""
    for name, rounds in results.items():
        rate = statistics.median(r.per_second for r in rounds)
        tail = statistics.median(r.percentile(99) for r in rounds)
        print(
            f"{name:>5}: {rate:8.0f} turns/s   p50 {statistics.median(r.percentile(50) for r in rounds):6.2f} ms   p99 {tail:6.2f} ms"
        )
    pairs = list(zip(results["ours"], results["bare"], strict=True))
    rate = statistics.median(a.per_second / b.per_second for a, b in pairs)
    tail = statistics.median(a.percentile(99) / b.percentile(99) for a, b in pairs)
    failures = sum(r.failures for rounds in results.values() for r in rounds)
    expected = 8 * 20 + ROUNDS * CALLERS * TURNS
    print(f"throughput: {rate:.2f} of bare (aim 0.40)   p99: {tail:.1f} times bare (aim 4.0)")
    print(f"failures: {failures}   journal rows: {rows} of {expected}")
    return int(failures > 0 or rows != expected)


if __name__ == "__main__":
    sys.exit(main())
