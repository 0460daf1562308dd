"""Turns whose journal was away when they ended: kept in memory, and written as soon as it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from loguru import logger

from ..exceptions import StoreError
from .record import Json, TurnRecord, clone
from .stores.base import Job, Store

PAUSES = (0.5, 1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 10.0, 15.0, 30.0, 60.0)
"""Seconds between the tries; after the last one the turn is given up, and the log says so."""


class LateSaves:
    """Tries again to save turns. They are lost when the process ends first; what they had begun with is not."""

    def __init__(self, store: Store, owe: Callable[[Job], Awaitable[object]]) -> None:
        self._store = store
        self._owe = owe
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, record: TurnRecord, state: dict[str, Json], jobs: Sequence[Job]) -> None:
        """Save this turn, what it changed in the state and the work it owes, once that can be done."""
        task = asyncio.create_task(self._try(clone(record), state, jobs), name="late-save")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what could not be saved."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _try(self, record: TurnRecord, state: dict[str, Json], jobs: Sequence[Job]) -> None:
        for pause in PAUSES:
            await asyncio.sleep(pause)
            try:
                for job in jobs:
                    await self._owe(job)
                await self._store.save(record, state=state if await self._is_newest(record) else None)
            except StoreError:
                continue
            logger.info("Turn {} is saved after all.", record.turn_id)
            return
        logger.error("Turn {} was given up: the journal is still away.", record.turn_id)

    async def _is_newest(self, record: TurnRecord) -> bool:
        """Whether no later turn may have changed the state meanwhile."""
        newest = await self._store.history(record.conversation_id, tokens=0)
        return not newest or newest[-1].position <= record.position
