"""Measure the time to first speech: this server against a bare ASGI app with the same agent and `run_stream_events`.

    python -m benchmarks.ttfs

Every request is a signed turn of a new conversation, because the bare app has no history. The model streams ten words,
ten milliseconds apart. Callers arrive spread over the time of one turn, then all at once. The last row compares this
server with and without a guard that takes half as long as the reply.

Aims with 1 and 10 callers: a p50 of at most 1.3 times the bare app's p50, and a p99 of at most 1.2 times the bare app's
p99. Aims with 50 callers: a p50 and a p99 of at most 1.05 times the bare app's figures.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile

import uvloop

from .load import Measured, drive
from .servers import TOKEN_SECONDS, TOKENS, serving

ROUNDS = 3
CALLERS = (1, 10, 50)
TURNS = {1: 15, 10: 8, 50: 6}
AIMS = {1: ("1.3", "1.2"), 10: ("1.3", "1.2"), 50: ("1.05", "1.05")}


def main() -> int:
    """Measure our server and the bare app alternately, and print the ratios. Return 1 if a turn failed, else 0."""
    os.sched_setaffinity(0, {1})
    failures = 0
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as two,
        serving("bare_agent", one, cpu=0) as (bare, _),
        tempfile.TemporaryDirectory() as three,
        serving("ours_with_agent", two, cpu=0) as (ours, _),
        serving("ours_with_guard", three, cpu=0) as (guarded, _),
    ):
        for port in (bare, ours, guarded):
            uvloop.run(drive(port, "/api/agent", callers=10, turns=3))
        for callers in CALLERS:
            for arrivals, spread in (("spread", TOKENS * TOKEN_SECONDS), ("at once", 0.0)):
                failures += compare(bare, ours, callers, arrivals, spread, aims=AIMS[callers])
        failures += compare(ours, guarded, 10, "guard", TOKENS * TOKEN_SECONDS, other="without", aims=("-", "-"))
    return int(failures > 0)


def compare(
    bare: int,
    ours: int,
    callers: int,
    arrivals: str,
    spread: float,
    *,
    other: str = "bare",
    aims: tuple[str, str],
) -> int:
    """Compare the servers on the ports `bare` and `ours` over several rounds, and print the ratios.

    `other` is the printed name of the server on port `bare`, and `aims` are the printed aims for p50 and p99. Return
    the number of failed turns.
    """
    pairs: list[tuple[Measured, Measured]] = []
    for _ in range(ROUNDS):
        own, base = (
            uvloop.run(
                drive(port, "/api/agent", callers=callers, turns=TURNS[callers], spread=spread, remembering=False)
            )
            for port in (ours, bare)
        )
        pairs.append((own, base))

    def figures(which: float) -> tuple[float, float, float]:
        first = [a.percentile(which, first=True) for a, _ in pairs]
        second = [b.percentile(which, first=True) for _, b in pairs]
        ratio = statistics.median(a / b for a, b in zip(first, second, strict=True))
        return statistics.median(first), statistics.median(second), ratio

    (p50, bare50, ratio50), (p99, bare99, ratio99) = figures(50), figures(99)
    print(
        f"{callers:>3} callers, {arrivals:7}: p50 {p50:7.2f} ms, {other} {bare50:7.2f}, ratio {ratio50:.2f} (aim {aims[0]})"
        f"   p99 {p99:7.2f} ms, {other} {bare99:7.2f}, ratio {ratio99:.2f} (aim {aims[1]})"
    )
    return sum(a.failures + b.failures for a, b in pairs)


if __name__ == "__main__":
    sys.exit(main())
