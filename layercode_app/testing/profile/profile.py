"""Profile the turns of an agent: their CPU time, their memory allocations, and the times of the steps of each turn.

CPU time is measured with pyinstrument, and allocations with tracemalloc. The times of the steps, such as the time to
the first speech, are taken from the journal. CPU time and allocations are measured in separate turns, because tracing
allocations slows everything down.
"""

from __future__ import annotations

import tracemalloc
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...agent.voice_agent import VoiceAgent
from ...journal.record import Json, Status, TurnRecord
from ...reports.figures import counted, counted_percentiles, milliseconds
from ...settings import Settings
from .profile_page import page_of
from .turns import Caller, rehearsing

if TYPE_CHECKING:
    from pyinstrument.frame import Frame

TOP = 15
INTERVAL_SECONDS = 0.0005
STAGES = ("verified", "history", "ttft", "ttfs", "total")


@dataclass
class Function:
    """The time spent in one function itself, in milliseconds over all turns. Callees and awaits do not count."""

    name: str
    where: str
    own_ms: float


@dataclass
class Allocation:
    """A source line that holds more memory after the turns than before; `size` is in bytes."""

    where: str
    size: int
    count: int


@dataclass
class Profile:
    """The measurements of an agent's turns."""

    agent: str
    turns: int
    failed: int
    cpu_ms: float
    functions: list[Function]
    allocations: list[Allocation]
    peaks: list[int]
    """The peak memory of each turn, in bytes above the memory held before. Most of it is freed when the turn ends."""
    stages: dict[str, dict[str, float | None]]
    page: str
    """The flame graph, as a page that needs no server."""

    def as_json(self) -> Json:
        """Return the profile as JSON, without the page."""
        return {
            "agent": self.agent,
            "turns": self.turns,
            "failed": self.failed,
            "cpu_ms_per_turn": round(self.cpu_ms / self.turns, 3),
            "top_functions": [vars(function) for function in self.functions],
            "top_allocations": [vars(allocation) for allocation in self.allocations],
            "memory_peak_bytes": {**counted_percentiles(self.peaks), "max": max(self.peaks)},
            "stages_ms": self.stages,
        }

    def as_text(self) -> Iterator[str]:
        """Yield the profile as lines of text."""
        yield f"{self.agent}: {self.turns} turns, {self.cpu_ms / self.turns:.2f} ms of CPU each"
        if self.failed:
            yield f"{self.failed} of these turns failed; `chat` shows why."
        yield ""
        yield "Stages (ms since the request; for tools and custom spans, their duration in ms)"
        for name, times in self.stages.items():
            yield f"  {name:<24} p50 {milliseconds(times['p50']):>10}  p95 {milliseconds(times['p95']):>10}"
        yield ""
        yield "Top functions (own time over all turns, without waiting)"
        for function in self.functions:
            yield f"  {function.own_ms:>9.1f} ms  {function.name}  {function.where}"
        median = counted_percentiles(self.peaks)["p50"] or 0
        most = _mib(max(self.peaks))
        yield ""
        yield f"Peak memory of a turn, above the memory held before it: median {_mib(median)}, maximum {most}"
        yield ""
        yield "Top allocations (still held after the turns)"
        for allocation in self.allocations:
            yield f"  {allocation.size / 1024:>9.1f} KiB in {allocation.count:>6}  {allocation.where}"


async def profile(
    agent: VoiceAgent[Any, Any], *, turns: int, settings: Settings, texts: Sequence[str], model: str | None = None
) -> Profile:
    """Profile an agent: run `turns` turns to measure CPU time, then as many again to measure allocations."""
    import time

    from pyinstrument import Profiler

    async with rehearsing(agent, settings=settings, model=model, texts=texts) as caller:
        profiler = Profiler(interval=INTERVAL_SECONDS, async_mode="enabled")
        before = time.process_time()
        profiler.start(target_description=f"{agent.name}, {counted(turns, 'turn')}")
        try:
            records = await caller.say(turns)
        finally:
            profiler.stop()
        cpu = (time.process_time() - before) * 1000
    # Start a new conversation, so that the turns do not carry the history of the first run.
    async with rehearsing(agent, settings=settings, model=model, texts=texts) as caller:
        tracemalloc.start(8)
        try:
            first = tracemalloc.take_snapshot()
            peaks = [await _peak(caller) for _ in range(turns)]
            grown = tracemalloc.take_snapshot().compare_to(first, "lineno")
        finally:
            tracemalloc.stop()
    failed = sum(record.status is Status.FAILED for record in records)
    session = profiler.last_session
    root = session.root_frame() if session else None
    return Profile(
        agent.name,
        turns,
        failed,
        cpu,
        _functions(root),
        _allocations(grown),
        peaks,
        _stages(records),
        page_of(profiler),
    )


async def _peak(caller: Caller) -> int:
    """Run a turn, and return the bytes by which its peak memory exceeds the memory in use before it."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    await caller.say(1)
    return max(0, tracemalloc.get_traced_memory()[1] - before)


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"


def _functions(root: Frame | None) -> list[Function]:
    own: dict[tuple[str, str], float] = defaultdict(float)
    waiting = [root] if root is not None else []
    while waiting:
        frame = waiting.pop()
        waiting += frame.children
        if not frame.is_synthetic and frame.function:
            place = f"{_short(frame.file_path)}:{frame.line_no}"
            own[frame.function, place] += frame.total_self_time - frame.await_time()
    found = [Function(name, where, round(seconds * 1000, 2)) for (name, where), seconds in own.items()]
    return sorted(found, key=lambda function: function.own_ms, reverse=True)[:TOP]


def _allocations(grown: list[tracemalloc.StatisticDiff]) -> list[Allocation]:
    ours = (diff for diff in grown if "tracemalloc" not in diff.traceback[0].filename)
    kept = [
        Allocation(f"{_short(diff.traceback[0].filename)}:{diff.traceback[0].lineno}", diff.size_diff, diff.count_diff)
        for diff in ours
        if diff.size_diff > 0
    ]
    return sorted(kept, key=lambda allocation: allocation.size, reverse=True)[:TOP]


def _stages(records: Sequence[TurnRecord]) -> dict[str, dict[str, float | None]]:
    times: dict[str, list[float]] = defaultdict(list)
    for record in records:
        for name in STAGES:
            if name in record.timings and record.status is not Status.FAILED:
                times[name].append(record.timings[name])
        for call in record.tools:
            if call.ended_ms is not None:
                times[f"tool {call.name}"].append(call.ended_ms - call.started_ms)
        for stage in record.stages:
            if stage.ended_ms is not None:
                times[f"span {stage.name}"].append(stage.ended_ms - stage.started_ms)
    return {name: counted_percentiles(values) for name, values in times.items()}


def _short(path: str | None) -> str:
    """Return a file's path below `site-packages`, or the last three parts of any other path."""
    parts = Path(path or "?").parts
    return "/".join(parts[parts.index("site-packages") + 1 :] if "site-packages" in parts else parts[-3:])
