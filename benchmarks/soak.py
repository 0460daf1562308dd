"""A soak: 20,000 turns over thousands of conversations and a few long ones; the server's memory must be flat at the end.

    timeout 1800 python -m benchmarks.soak [TURNS]

Two thirds are echo turns, in conversations of five; the rest are the bakery's, with PydanticAI's machinery, tools, state
and history, in short calls and in four long ones. Some turns are spoken over; every call begins and ends as the platform
has it. The memory is shown by quarter, after a warm-up of a tenth; the journal's rows and the log's errors are counted.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop

from layercode_app.testing.bench.connection import Heard, Line
from layercode_app.testing.check.probe import Talk

from .load import SECRET
from .running import PARTS, Running, running

TURNS = 20_000
SHORT, LONG_CALLS, CALLERS = 5, 4, 24
LONG_SHARE, BAKERY_SHARE, SPOKEN_OVER = 0.1, 0.33, 0.05
GROWN_MB = 5.0
SAYS = ("Two croissants please", "What is on the menu?", "And a coffee", "Remove one croissant", "A table at seven")


class Soak:
    """The turns that are left, shared by the callers."""

    def __init__(self, server: Running, turns: int) -> None:
        self._server, self._turns, self._left = server, turns, turns
        self.heard: Counter[str] = Counter()
        self._chance = random.Random(20)

    async def run(self) -> None:
        """All callers at once, and the long calls beside them."""
        self._server.look()
        long_turns = int(self._turns * LONG_SHARE / LONG_CALLS)
        async with asyncio.TaskGroup() as group:
            for _ in range(LONG_CALLS):
                group.create_task(self._call("bakery", long_turns))
            for _ in range(CALLERS):
                group.create_task(self._caller())

    async def _caller(self) -> None:
        while self._left > 0:
            await self._call("bakery" if self._chance.random() < BAKERY_SHARE else "echo", SHORT)

    async def _call(self, agent: str, turns: int) -> None:
        talk = Talk()
        address = self._server.at(f"/api/agents/{agent}")
        line = Line(address, timeout=120)

        async def send(kind: str, *, cut: bool = False, **fields: str) -> Heard:
            return await line.turn(address.request(talk.event(kind, **fields), SECRET), cut=cut)

        self._note(await send("session.start"))
        for number in range(turns):
            self._note(await send("message", cut=self._chance.random() < SPOKEN_OVER, text=SAYS[number % len(SAYS)]))
        ended = await send("session.end")
        self.heard["session.end" if ended.status == 200 else f"session.end {ended.error}"] += 1
        line.close()

    def _note(self, heard: Heard) -> None:
        self.heard["cut" if heard.cut else heard.error or "whole"] += 1
        self._left -= 1
        if self._left % max(self._turns // PARTS, 1) == 0:
            self._server.look()


def main() -> int:
    """Soak, and say whether all is well."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else TURNS
    with tempfile.TemporaryDirectory() as folder:
        with running(folder) as server:
            soak = Soak(server, turns)
            begun = time.perf_counter()
            uvloop.run(soak.run())
            seconds = time.perf_counter() - begun
            cpu = sum(server.process.cpu_times()[:2])
            server.look()
            well = server.report(grown=GROWN_MB)
        rows = sqlite3.connect(next(Path(folder).rglob("journal.sqlite3"))).execute(
            "SELECT status, count(*), count(DISTINCT conversation_id) FROM turns GROUP BY status"
        )
        print(f"heard: {dict(soak.heard)}   in {seconds:.0f} s, {cpu:.0f} s CPU of the server")
        print(f"journal, status, turns and conversations: {rows.fetchall()}")
    wrong = {name for name in soak.heard if name not in ("whole", "cut", "session.end")}
    return int(bool(wrong) or not well)


if __name__ == "__main__":
    sys.exit(main())
