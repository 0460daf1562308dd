"""Measure echo turns of this server and of a bare ASGI app with wrk, a load generator that is faster than both.

    python -m benchmarks.echo_by_wrk

Needs wrk (Debian: apt install wrk). Every request is a new signed turn, made in advance and read from a file by wrk's
script. The servers have one core, wrk has another. Aims: at least 0.35 of the bare app's throughput, and at most 4
times its p99. `benchmarks.echo` also counts the turns in the journal, but its slower load generator limits
the bare app.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from .load import request
from .servers import serving

ROUNDS, SECONDS, CONNECTIONS, CONVERSATIONS = 3, 4, 16, 64
PREPARED = {"bare": 120_000, "ours": 40_000}
"""The number of requests for a round. If wrk sends all of them before SECONDS have passed, its script exits."""
SCRIPT = """
local requests
function init(args) requests = io.open(os.getenv("REQUESTS"), "rb") end
function request()
  local length = requests:read(8)
  if not length then os.exit(3) end
  return requests:read(tonumber(length))
end
"""
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Found(NamedTuple):
    """Turns per second, and percentiles of their duration in milliseconds."""

    per_second: float
    p50: float
    p99: float


def main() -> int:
    """Measure both servers alternately; start them anew for each round. Print medians and ratios.

    Return 1 if an aim was missed, else 0.
    """
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; on Debian: apt install wrk")
    rounds = [(_measure("bare"), _measure("ours")) for _ in range(ROUNDS)]
    for name, of in zip(("bare", "ours"), zip(*rounds, strict=True), strict=True):
        per_second, p50, p99 = (statistics.median(values) for values in zip(*of, strict=True))
        print(f"{name:>5}: {per_second:8.0f} turns/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")
    share = statistics.median(ours.per_second / bare.per_second for bare, ours in rounds)
    tail = statistics.median(ours.p99 / bare.p99 for bare, ours in rounds)
    print(f"throughput: {share:.2f} of bare (aim 0.35)   p99: {tail:.1f} times bare (aim 4.0)")
    return int(share < 0.35 or tail > 4)


def _measure(factory: str) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        requests, script = Path(folder, "requests"), Path(folder, "wrk.lua")
        script.write_text(SCRIPT)
        with requests.open("wb") as file:
            for number in range(PREPARED[factory]):
                prepared = request("/api/agent", f"wrk-{number % CONVERSATIONS}")
                file.write(b"%08d" % len(prepared) + prepared)
        with serving(factory, folder, cpu=0) as (port, _):
            return _driven(port, script, requests)


def _driven(port: int, script: Path, requests: Path) -> Found:
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", str(script)]
    done = subprocess.run(
        ["taskset", "-c", "1", "wrk", *options, f"http://127.0.0.1:{port}/api/agent"],
        env=os.environ | {"REQUESTS": str(requests)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"turns failed:\n{done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert rate is not None
    return Found(float(rate[1]), *(_milliseconds(done.stdout, percent) for percent in (50, 99)))


def _milliseconds(printed: str, percent: int) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", printed)
    assert found is not None
    return float(found[1]) * UNITS[found[2]]


if __name__ == "__main__":
    sys.exit(main())
