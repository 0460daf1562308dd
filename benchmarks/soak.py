"""Run mixed traffic for 15 minutes. At the end, the server must use hardly more resources than after the first minutes.

    timeout 1200 python -m benchmarks.soak [SECONDS] [PAGE.html]

Callers hold conversations of five turns with the echo agent, the bakery and the concierge (PydanticAI, tools, state and
history). In addition, four calls to the bakery last until the end. Some turns are interrupted, some sent twice. Calls
send data, feedback, metadata with new names and events of unknown types, and begin and end as on the platform. A
scraper reads /metrics.

A page plots memory, files, threads, tasks, caches, label sets, locks, journal and logs. Each of them has a limit.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from layercode_app.conversation.history import PARSED_BYTES
from layercode_app.journal.stores.sqlite_recent import ROOM_BYTES
from layercode_app.observability.attributes import MOST_KNOWN
from layercode_app.observability.privacy.caller_secrets import KEPT
from layercode_app.output.pages import sealed
from layercode_app.reports import plots
from layercode_app.reports.report_page import templates
from layercode_app.testing.bench.connection import Heard, Line
from layercode_app.testing.check.probe import Talk

from .load import SECRET
from .running import Running, running

SECONDS = 900
SHORT, LONG_CALLS, CALLERS = 5, 4, 24
AGENTS = ("echo", "echo", "echo", "bakery", "concierge")
SPOKEN_OVER, TWICE, DATA = 0.05, 0.03, 0.1
PAUSE = 0.02
"""Seconds between the turns of a call. The soak tests endurance, not a high load."""
SAYS = ("Two croissants please", "What is on the menu?", "And a coffee", "Remove one croissant", "A table at seven")
GROWN_MB, GROWN_FEW = 8.0, 10
LOG_MB, LOG_KEPT = 2, "1 minute"
JOURNAL_KB, LOG_AHEAD_MB = 12.0, 80.0
"""Limits: kilobytes of a turn in the journal, and megabytes of the whole write-ahead log."""
SMALLEST = 200
"""The size of the smallest messages of a turn, in bytes."""
FULL = {
    "ParsedMessages.size": PARSED_BYTES,
    "ParsedMessages._kept": PARSED_BYTES / SMALLEST,
    "Recent._size": ROOM_BYTES,
    "SessionHandler._unknown": 1000,
    "caller_secrets._newest": KEPT,
    "attributes._known": MOST_KNOWN,
}
"""Caches that a short soak does not fill, and their maximum size."""


@dataclass
class Soak:
    """The callers. Each caller makes one call after another until `seconds` have passed."""

    server: Running
    seconds: float
    heard: Counter[str] = field(default_factory=Counter)
    turns: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(20))

    async def run(self) -> None:
        """Run all callers, the long calls and the reader of /metrics at the same time."""
        self._end = time.monotonic() + self.seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(LONG_CALLS):
                group.create_task(self._call("bakery", sys.maxsize))
            for _ in range(CALLERS):
                group.create_task(self._caller())
            group.create_task(self._scrape())

    @property
    def _over(self) -> bool:
        return time.monotonic() > self._end

    async def _caller(self) -> None:
        while not self._over:
            await self._call(self._chance.choice(AGENTS), SHORT)

    async def _scrape(self) -> None:
        url = f"http://127.0.0.1:{self.server.port}/metrics"
        while not self._over:
            await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())
            await asyncio.sleep(5)

    async def _call(self, agent: str, turns: int) -> None:
        talk = Talk()
        address = self.server.at(f"/api/agents/{agent}")
        line = Line(address, timeout=120)

        async def send(kind: str, *, cut: bool = False, twice: bool = False, **fields: Any) -> None:
            request = address.request(talk.event(kind, **fields), SECRET)
            for _ in range(1 + twice):
                self._note(kind, await line.turn(request, cut=cut))

        await send("session.start")
        number = 0
        while number < turns and not self._over:
            await self._turn(send, talk, SAYS[number % len(SAYS)])
            number += 1
            await asyncio.sleep(PAUSE)
        await send("session.update", recording_status="completed", recording_url="https://example.com/r.wav")
        await send("session.end")
        line.close()

    async def _turn(self, send: Any, talk: Talk, text: str) -> None:
        chance = self._chance
        new = {f"name-{chance.randrange(10**9)}": chance.random(), f"token-{chance.randrange(10**9)}": "s" * 20}
        cut, twice = chance.random() < SPOKEN_OVER, chance.random() < TWICE
        await send("message", cut=cut, twice=twice and not cut, text=text, metadata=new)
        self.turns += 1
        if chance.random() < DATA:
            await send("data", data={"feedback": {"turn_id": talk.turn_id, "score": 1}})
            await send(f"event-{chance.randrange(10**9)}", turn_id=...)

    def _note(self, kind: str, heard: Heard) -> None:
        fine = heard.cut or not heard.error or (kind not in ("message", "session.start") and heard.status == 200)
        self.heard["fine" if fine else f"{kind}: {heard.error or heard.status}"] += 1


# --- results


@dataclass(frozen=True)
class Course:
    """The values of one measured quantity during the run, and the limit (`bound`) for its value at the end."""

    name: str
    values: Sequence[float]
    bound: float

    @property
    def last(self) -> float:
        """The median of the values in the last quarter of the run."""
        return median(self.values[-max(len(self.values) // 4, 1) :])

    @property
    def settled(self) -> float:
        """The median of the values in the second quarter of the run. During the first quarter, caches fill."""
        return median(self.values[len(self.values) // 4 : max(len(self.values) // 2, 1)])

    @property
    def well(self) -> bool:
        """True if the quantity is within its limit."""
        return self.last <= self.bound


def courses(samples: Sequence[dict[str, Any]], sizes: Sequence[dict[str, float]], turns: int) -> Iterator[Course]:
    """Yield every quantity that must not grow with time."""
    parsed = Course("", [float(sample["held"].get("ParsedMessages.size", 0)) for sample in samples], 0)
    # Parsed messages fill their cache during about 10,000 turns. They use three times the memory of their JSON.
    filled = 3 * max(parsed.last - parsed.settled, 0) / 1e6
    for name, more in (("memory_mb", GROWN_MB + filled), ("files", GROWN_FEW), ("threads", GROWN_FEW), ("tasks", 50)):
        values = [float(sample[name]) for sample in samples]
        yield Course(name, values, Course(name, values, 0).settled + more)
    for name in sorted({name for sample in samples for name in sample["held"]}):
        values = [float(sample["held"].get(name, 0)) for sample in samples]
        if max(values) > CALLERS:
            # By the second quarter, bounded caches are full. The margin is for containers of running calls, whose
            # sizes vary.
            full = next((most for ending, most in FULL.items() if name.endswith(ending)), 0)
            yield Course(name, values, max(full, 1.2 * Course(name, values, 0).settled + 50))
    logs = [one["log"] / 1e6 for one in sizes]
    yield Course("log_mb", logs, 1.2 * Course("log_mb", logs, 0).settled + 2 * LOG_MB)
    yield Course("journal_ahead_mb", [one["ahead"] / 1e6 for one in sizes], LOG_AHEAD_MB)
    yield Course("journal_kb_per_turn", [sizes[-1]["journal"] / 1e3 / max(turns, 1)], JOURNAL_KB)


def look(folder: Path) -> dict[str, float]:
    """Return the sizes of the journal, its write-ahead log and the log files, in bytes."""
    return {
        "journal": _size(folder.rglob("journal.sqlite3")),
        "ahead": _size(folder.rglob("journal.sqlite3-wal")),
        "log": _size((folder / "logs").rglob("*.log*")),
    }


def _size(paths: Iterator[Path]) -> float:
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except OSError:
            continue  # deleted by the rotation meanwhile
    return float(total)


PAGE = """{% extends "base.html" %}
{% block title %}Soak{% endblock %}
{% block content %}<h1>Soak</h1><p class="sub">{{ title }}</p><div class="grid2">
{% for course, plot in plots %}<div class="card"><h2>{{ course.name }}</h2>
<p class="{{ "soft" if course.well else "bad" }}">last quarter {{ "%.1f"|format(course.last) }}, bound {{ "%.1f"|format(course.bound) }}</p>
{{ plot|safe }}</div>
{% endfor %}</div>{% endblock %}"""


def page(title: str, found: Sequence[Course], seconds: float) -> str:
    """Return the page with the plots."""
    drawn = []
    for course in found:
        labels = [f"{seconds * n / len(course.values):.0f} s" for n in range(len(course.values))]
        drawn.append((course, plots.lines(labels, [plots.Line(course.name, list(course.values))], unit="")))
    return sealed(templates().from_string(PAGE).render(title=title, plots=drawn))


async def _soak(soak: Soak, folder: Path, every: float) -> list[dict[str, float]]:
    sizes: list[dict[str, float]] = []

    async def measure() -> None:
        while True:
            await asyncio.sleep(every)
            sizes.append(look(folder))

    measuring = asyncio.create_task(measure())
    await soak.run()
    measuring.cancel()
    return [*sizes, look(folder)]


def main() -> int:
    """Run the soak and write the page. Return 1 if a limit is exceeded or a call failed, else 0."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    out = Path(sys.argv[2] if len(sys.argv) > 2 else "soak.html")
    every = max(seconds / 120, 0.5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = ("benchmarks.sampled", str(folder / "samples.jsonl"), str(every))
        logs: dict[str, Any] = {"LOG_DIR": "logs", "LOG_ROTATION": f"{LOG_MB} MB", "LOG_RETENTION": LOG_KEPT}
        with running(name, program=program, **logs) as server:
            soak = Soak(server, seconds)
            sizes = uvloop.run(_soak(soak, folder, every))
            errors = server.errors()
        samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
        rows = sqlite3.connect(next(folder.rglob("journal.sqlite3"))).execute(
            "SELECT status, count(*), count(DISTINCT conversation_id) FROM turns GROUP BY status"
        )
        print(f"journal, status, turns and conversations: {rows.fetchall()}")
    found = list(courses(samples, sizes, soak.turns))
    title = f"{soak.turns:,} turns in {seconds:.0f} s, {len(errors)} errors in the log"
    out.write_text(page(title, found, seconds), encoding="utf-8")
    print(f"{title}; heard: {dict(soak.heard.most_common(12))}; plots in {out}")
    for course in found:
        print(
            f"{'ok  ' if course.well else 'GREW'} {course.name:44} last {course.last:10.1f}   bound {course.bound:10.1f}"
        )
    for line in errors[:5]:
        print(f"  {line[:300]}")
    return int(bool(errors) or soak.heard.keys() != {"fine"} or not all(course.well for course in found))


if __name__ == "__main__":
    sys.exit(main())
