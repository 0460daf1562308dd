"""Measure memory per streaming call in three servers.

    python -m benchmarks.memory

The servers are this server with an agent that has no model, a bare ASGI app with a PydanticAI agent, and this server
with the same PydanticAI agent. After a warm-up, a number of callers listen to an endless stream. The growth of the
process is divided by their number, in several rounds. Aims: this server needs at most 20 KB per call without a model.
With the PydanticAI agent, it needs at most 1.15 times the memory of the bare app.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time

import psutil

from .load import request
from .servers import serving

COUNTS = (1, 100, 1000)
ROUNDS = 3


async def hold(port: int, pid: int, callers: int) -> float:
    """Let `callers` calls stream at the same time, then disconnect them.

    Return how much the memory of the process `pid` grew while the calls streamed, in kilobytes per call.
    """
    before = rss(pid)
    run = time.time_ns()
    writers: list[asyncio.StreamWriter] = []
    for number in range(callers):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/api/agent", f"c-{run}-{number}", "hold"))
        await reader.readuntil(b"response.tts")
        writers.append(writer)
    await asyncio.sleep(0.5)
    held = (rss(pid) - before) / callers
    for writer in writers:
        writer.close()
    await asyncio.sleep(1)
    return held


def rss(pid: int) -> float:
    """Return the resident memory of a process in kilobytes."""
    return float(psutil.Process(pid).memory_info().rss) / 1024


async def measure(name: str, factory: str) -> list[float]:
    """Print the kilobytes per call for each number of calls in COUNTS.

    Return the figures for the largest number of calls, one per round.
    """
    with tempfile.TemporaryDirectory() as folder, serving(factory, folder) as (port, pid):
        await hold(port, pid, 200)
        last: list[float] = []
        for callers in COUNTS:
            last = [await hold(port, pid, callers) for _ in range(ROUNDS)]
            shown = "  ".join(f"{kilobytes:8.1f}" for kilobytes in last)
            print(f"{name:22} {callers:5} calls: KB per call {shown}   process {rss(pid) / 1024:.0f} MB", flush=True)
        return last


async def main() -> int:
    """Measure the three servers one after another. Print the memory ratio of the two servers that run the agent."""
    await measure("ours, without a model", "ours_holding")
    bare = await measure("bare, with the agent", "bare_agent_holding")
    own = await measure("ours, with the agent", "ours_with_agent_holding")
    print(f"with PydanticAI, {COUNTS[-1]} calls, first round: {own[0] / max(bare[0], 0.1):.2f} times bare (aim 1.15)")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
