"""Turns whose journal was away when they ended: kept in memory, and written as soon as it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from loguru import logger

from ..exceptions import StoreError
from .record import Json, TurnRecord, clone
from .stores.base import Job, Signal, Store

PAUSES = (0.5, 1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 10.0, 15.0, 30.0, 60.0)
"""Seconds between the tries; after the last one the turn is given up, and the log says so."""
CLOSE_SECONDS = 1.0
"""How long the last try may take when the server goes down."""


@dataclass(eq=False, slots=True)
class _Kept:
    record: TurnRecord
    state: dict[str, Json]
    jobs: Sequence[Job]
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: asyncio.Task[Any] | None = None


class LateSaves:
    """Tries again to save turns. They are lost when the process dies first; what they had begun with is not."""

    def __init__(self, store: Store, owe: Callable[[Job], Awaitable[object]]) -> None:
        self._store = store
        self._owe = owe
        self._tasks: set[asyncio.Task[Any]] = set()
        self.waiting: dict[tuple[str, str], _Kept] = {}
        """What is not saved yet, by conversation and turn, the oldest first."""

    def keep(self, record: TurnRecord, state: dict[str, Json], jobs: Sequence[Job]) -> None:
        """Save this turn, what it changed in the state and the work it owes, once that can be done."""
        kept = self.waiting[record.key] = _Kept(clone(record), state, jobs)
        kept.task = self._start(self._try(kept))

    async def hurry(self, conversation_id: str, turn_id: str = "") -> TurnRecord | None:
        """Try now to save what waits of a conversation; returns the record of the turn asked for if it was waiting."""
        waiting = [kept for kept in self.waiting.values() if kept.record.conversation_id == conversation_id]
        for kept in waiting:
            if not await self._save(kept):
                break
        return next((kept.record for kept in waiting if kept.record.turn_id == turn_id), None)

    def obey(self, signal: Signal) -> None:
        """Another worker waits for the end of a turn: try now to write it."""
        kept = self.waiting.get((signal.conversation_id, signal.turn_id))
        if kept is not None and signal.kind != "unfollow":
            self._start(self._save(kept, awaited=signal.kind == "stop"))

    async def close(self) -> None:
        """Try once more, and give up what still cannot be saved."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*[self._save(kept) for kept in self.waiting.values()])
        for kept in list(self.waiting.values()):
            self._give_up(kept, "the server goes down, and the journal is still away")

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name="late-save")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _try(self, kept: _Kept) -> None:
        for pause in PAUSES:
            await asyncio.sleep(pause)
            if await self._save(kept):
                return
        self._give_up(kept, "the journal is still away")

    async def _save(self, kept: _Kept, *, awaited: bool = False) -> bool:
        """Whether it is saved now, by whomever; `awaited` by a newer turn, which does not run yet."""
        async with kept.saving:
            if self.waiting.get(kept.record.key) is not kept:
                return True
            try:
                await self._write(kept, awaited=awaited)
            except StoreError:
                return False
            del self.waiting[kept.record.key]
        if kept.task is not None and kept.task is not asyncio.current_task():
            kept.task.cancel()
        return True

    async def _write(self, kept: _Kept, *, awaited: bool) -> None:
        for job in kept.jobs:
            await self._owe(job)
        record, changed = kept.record, kept.state
        dropped = bool(changed) and not awaited and not await self._is_newest(record)
        await self._store.save(record, state=None if dropped else changed)
        logger.info("Turn {} is saved after all.", record.turn_id)
        if dropped:
            names = ", ".join(changed)
            logger.warning(
                "What turn {} changed in the state is dropped, a newer turn began: {}", record.turn_id, names
            )

    async def _is_newest(self, record: TurnRecord) -> bool:
        """Whether no later turn may have changed the state meanwhile."""
        newest = await self._store.history(record.conversation_id, tokens=0)
        return not newest or newest[-1].position <= record.position

    def _give_up(self, kept: _Kept, why: str) -> None:
        del self.waiting[kept.record.key]
        logger.error("Turn {} was given up: {}.", kept.record.turn_id, why)
