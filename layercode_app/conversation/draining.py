"""The end of a worker: no more turns are begun, those that run finish, or end with a goodbye."""

from __future__ import annotations

import asyncio
import time

from loguru import logger

from .live import LiveTurn

SENTENCE_SECONDS = 3.0
"""How long a turn that must end is given to come to the end of its sentence."""

IDLE_POLL_SECONDS = 0.05


class Draining:
    """The turns that run in a worker, and how they are brought to an end."""

    def __init__(self, saves: set[asyncio.Task[None]]) -> None:
        self._running: dict[str, LiveTurn] = {}
        self._saves = saves
        self.closed = False
        """No new turn is begun any more: the caller is asked for patience instead."""

    async def drain(self, seconds: float = 0.0, goodbye: str = "") -> None:
        """Begin no more turns, let those that run go on for so long, then end them with a goodbye; wait for saves."""
        self.closed = True
        if not await self._idle(seconds):
            logger.warning("Still running after {:g} s, and ended: {} turn(s)", seconds, len(self._running))
            for live in list(self._running.values()):
                live.say_goodbye(goodbye)
            if not await self._idle(SENTENCE_SECONDS):
                await self.cut(goodbye, seconds=SENTENCE_SECONDS)
        while self._saves:
            await asyncio.wait(self._saves)

    async def cut(self, goodbye: str, *, seconds: float) -> None:
        """End every running turn now, with a goodbye; wait for that at most so long."""
        for live in list(self._running.values()):
            live.say_goodbye(goodbye, at_once=True)
        await self._idle(seconds)

    async def _idle(self, seconds: float) -> bool:
        """Whether every running turn has ended within so many seconds."""
        deadline = time.perf_counter() + seconds
        while self._running and time.perf_counter() < deadline:
            await asyncio.sleep(IDLE_POLL_SECONDS)
        return not self._running
