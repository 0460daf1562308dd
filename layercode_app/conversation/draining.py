"""Drain a worker at shutdown: refuse new turns and wait for running ones. Turns that take too long end with a goodbye.

This worker may also pass on the answer of a turn that runs on another worker (see `Follower`). It waits for that turn
as for its own. If the turn takes too long, the caller hears the goodbye, too.
"""

from __future__ import annotations

import asyncio
import time

from loguru import logger

from .follower import Follower
from .live import LiveTurn

SENTENCE_SECONDS = 3.0
"""Seconds that a turn gets to finish its sentence when it must end."""

IDLE_POLL_SECONDS = 0.05


class Draining:
    """The running turns of a worker, with methods to end them at shutdown."""

    def __init__(self, saves: set[asyncio.Task[None]]) -> None:
        self._running: dict[str, LiveTurn] = {}
        self._followers: set[Follower] = set()
        self._saves = saves
        self.closed = False
        """Whether new turns are refused: the caller hears the busy text instead."""

    def open(self) -> None:
        """Accept turns, also after an earlier `drain`."""
        self.closed = False
        # A closed event loop may have ended saves without calling their callbacks.
        self._saves -= {save for save in self._saves if save.done()}

    async def drain(self, seconds: float = 0.0, goodbye: str = "") -> None:
        """Refuse new turns, let running ones continue for up to `seconds`, then end them with a goodbye.

        Return when all pending saves are done.
        """
        self.closed = True
        if not await self._idle(seconds):
            streams = self._streams()
            logger.warning("After {:g} s of draining, {} turn(s) still run; they end now.", seconds, len(streams))
            for stream in streams:
                stream.say_goodbye(goodbye)
            if not await self._idle(SENTENCE_SECONDS):
                await self.cut(goodbye, seconds=SENTENCE_SECONDS)
        while self._saves:
            await asyncio.wait(self._saves)

    async def cut(self, goodbye: str, *, seconds: float) -> None:
        """End every running turn now with a goodbye; wait up to `seconds` for them to end."""
        for stream in self._streams():
            stream.say_goodbye(goodbye, at_once=True)
        await self._idle(seconds)

    def _streams(self) -> list[LiveTurn | Follower]:
        """Return the running turns, and the followers of other workers' turns."""
        return [*self._running.values(), *self._followers]

    async def _idle(self, seconds: float) -> bool:
        """Wait up to `seconds` for the turns that run here or are forwarded from other workers. Return whether all ended."""
        deadline = time.perf_counter() + seconds
        while (busy := bool(self._running or self._followers)) and time.perf_counter() < deadline:
            await asyncio.sleep(IDLE_POLL_SECONDS)
        return not busy
