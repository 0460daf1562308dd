"""Measure memory per open stream: a new process, a warm-up, then many callers who listen to endless streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import uvloop

from ..load import drive, request
from ..memory import rss
from .install import NotRunError
from .process import Running, running
from .results import Result

MEASURE = "memory"
STREAMS = 1000
AT_ONCE = 50
LIMIT_SECONDS = 60.0
SETTLE_SECONDS = 0.5


def measure(results: Sequence[Result], *, rounds: int, model_url: str, core: int | None, files: int) -> None:
    """Measure round by round, each peer in a new process."""
    streams = min(STREAMS, (files - 200) // 2)
    for _ in range(rounds):
        for result in results:
            if MEASURE not in result.failed:
                _round(result, streams, model_url, core)


def _round(result: Result, streams: int, model_url: str, core: int | None) -> None:
    try:
        with running(result.peer, "model", model_url, core) as server:
            uvloop.run(drive(server.port, server.peer.path, callers=AT_ONCE, turns=2, remembering=False))
            before = rss(server.pid)
            begun = time.perf_counter()
            held = asyncio.run(_hold(server, streams))
    except NotRunError as error:
        result.fail(MEASURE, str(error))
        return
    if held is None:
        result.fail(MEASURE, f"not all of {streams} streams spoke in {LIMIT_SECONDS:.0f} s")
        return
    spoken, after = held
    figures = {"kb": (after - before) / streams, "idle_mb": before / 1024, "seconds": spoken - begun}
    result.add(MEASURE, figures | {"streams": streams})


async def _hold(server: Running, streams: int) -> tuple[float, float] | None:
    """Return the time when all streams had spoken, and the resident memory in kilobytes; None if some did not speak."""
    gate = asyncio.Semaphore(AT_ONCE)
    writers: list[asyncio.StreamWriter] = []
    run = time.time_ns()

    async def listen(number: int) -> None:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writers.append(writer)
            writer.write(request(server.peer.path, f"c-{run}-{number}", "hold"))
            await reader.readuntil(b"response.tts")

    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            await asyncio.gather(*(listen(number) for number in range(streams)))
        spoken = time.perf_counter()
        await asyncio.sleep(SETTLE_SECONDS)
        return spoken, rss(server.pid)
    except (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
        return None
    finally:
        for writer in writers:
            writer.transport.abort()
