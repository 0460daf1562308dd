"""End and report the turns of workers that died, because the dead workers cannot do it.

Otherwise such a turn would only end if its conversation went on. Its tasks and its hand-offs would wait until then.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from loguru import logger

from ..journal import steady_clock
from ..journal.read import is_stuck
from ..journal.record import TurnRecord
from ..journal.stores.base import Job, Store
from ..journal.stuck_turns import end_stuck

CRASHED_TURNS = "crashed_turns"
SEARCH_SECONDS = 60.0
"""Seconds between two searches."""
GRACE_SECONDS = 120.0
"""Minimum age of a turn that is ended. A younger turn may be delivered again, and then another worker answers it."""
FIRST_SECONDS = 3 * 86_400.0
"""How far back the first search of a worker looks, because the whole service may have been down."""
LOOK_BACK_SECONDS = 3600.0
"""How far back a later search looks before the last search, because a worker may die late in a long turn."""


class CrashedTurns:
    """Ends the turns whose workers died, and calls `crashed` with the record of each."""

    def __init__(self, store: Store, crashed: Callable[[TurnRecord], None]) -> None:
        self._store = store
        self._crashed = crashed
        self._searched_at: float | None = None
        """When this worker's last complete search began; None before its first search."""

    async def enqueue(self, enqueue: Callable[[Job], Awaitable[bool]]) -> None:
        """Enqueue the recurring job of the search, unless it is pending. Raises StoreError.

        Workers of an earlier release do not know this job. If only such workers run for a day, they give it up. After
        that, the journal refuses the job's id for a week, so the job is enqueued with another id.
        """
        job = Job(CRASHED_TURNS, CRASHED_TURNS, "", {}, due_at=steady_clock.now() + SEARCH_SECONDS)
        if await enqueue(job) or await self._store.is_pending(job):
            return
        if not any(pending.name == CRASHED_TURNS for pending in await self._store.pending_jobs()):
            await enqueue(replace(job, id=f"{CRASHED_TURNS}-{time.strftime('%Y-%m-%d', time.gmtime())}"))

    async def search(self) -> float:
        """End the stuck turns, and return when to search again (epoch seconds). Raises StoreError."""
        now = time.time()
        async for record in self._store.unfinished(since=self._oldest(now)):
            if record.started_at < now - GRACE_SECONDS and await is_stuck(self._store, record):
                # The whole record may be unreadable; `journal check` reports it.
                with suppress(ValueError, KeyError, TypeError):
                    await end_stuck(self._store, record, crashed=self._report)
        self._searched_at = now
        return steady_clock.now() + SEARCH_SECONDS

    def _report(self, record: TurnRecord) -> None:
        try:
            self._crashed(record)
        except Exception as error:  # noqa: BLE001 - the other turns must be ended too
            logger.opt(exception=error).error("The crashed turn {} could not be reported", record.turn_id)

    def _oldest(self, now: float) -> float:
        """Return the earliest start of the turns to look at (epoch seconds)."""
        if self._searched_at is None:
            return now - FIRST_SECONDS
        return min(self._searched_at, now) - LOOK_BACK_SECONDS
