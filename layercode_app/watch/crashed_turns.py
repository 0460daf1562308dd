"""End and report the turns of workers that died, because the dead workers cannot do it.

Otherwise such a turn would only end if its conversation went on. Its tasks and its hand-offs would wait until then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from loguru import logger

from ..journal import steady_clock
from ..journal.record import TurnRecord
from ..journal.stores.base import Store
from ..journal.stuck_turns import end_stuck, is_stuck
from ..settings import Settings
from .window import BREATH, BREATH_SECONDS, LATE_SECONDS

CRASHED_TURNS = "crashed_turns"
SEARCH_SECONDS = 60.0
"""Seconds between two searches."""
GRACE_SECONDS = 120.0
"""Minimum age of a turn that is ended. A younger turn may be delivered again, and then another worker answers it."""
FIRST_SECONDS = 86_400.0
"""How far back the first search of a worker reads."""


class CrashedTurns:
    """Ends the turns whose workers died, and calls `crashed` with the record of each."""

    def __init__(self, settings: Settings, store: Store, crashed: Callable[[TurnRecord], None]) -> None:
        self._settings = settings
        self._store = store
        self._crashed = crashed
        self._searched_at: float | None = None
        """When the last complete search began; None before the first."""

    async def search(self) -> float:
        """Search the newest turns, and return when to search again (epoch seconds). Raises StoreError."""
        now = time.time()
        stuck = [record async for record in self._unfinished(now) if await is_stuck(self._store, record)]
        for record in stuck:
            await self._end(record)
        self._searched_at = now
        return steady_clock.now() + SEARCH_SECONDS

    async def _end(self, record: TurnRecord) -> None:
        if await end_stuck(self._store, record, posts_handoffs=bool(self._settings.handoff_url)):
            try:
                self._crashed(record)
            except Exception as error:  # noqa: BLE001 - the other turns must be ended too
                logger.opt(exception=error).error("The crashed turn {} could not be reported", record.turn_id)

    async def _unfinished(self, now: float) -> AsyncIterator[TurnRecord]:
        """Yield the turns that are recorded as running and old enough to be ended."""
        read, oldest = 0, self._oldest(now)
        async for record in self._store.turns(newest_first=True, bodies=False):
            read += 1
            if read % BREATH == 0:
                # Calls have priority.
                await asyncio.sleep(BREATH_SECONDS)
            if record.started_at < oldest:
                return
            if not record.finished and record.started_at < now - GRACE_SECONDS:
                yield record

    def _oldest(self, now: float) -> float:
        """Return the earliest start of the turns to read (epoch seconds)."""
        if self._searched_at is None:
            return now - FIRST_SECONDS
        # A turn that was running at the last search may have lost its worker since.
        return min(self._searched_at, now) - GRACE_SECONDS - self._settings.turn_timeout - LATE_SECONDS
