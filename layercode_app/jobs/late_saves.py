"""Retry saving turns that could not be saved when they ended. They are kept in memory until the journal is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from loguru import logger

from ..exceptions import StoreError
from ..journal.forget import enqueue_late
from ..journal.merge_state import Fitted, as_they_are, is_newest, save_merged
from ..journal.record import Json, TurnRecord, clone
from ..journal.stores.base import Job, Signal, Store

PAUSES = (0.5, 1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 10.0, 15.0, 30.0, 60.0)
"""Seconds before each retry; if the last retry fails, the turn is given up and an error is logged."""
CLOSE_SECONDS = 1.0
"""Timeout for the last retry at shutdown, in seconds."""


@dataclass(eq=False, slots=True)
class _Kept:
    record: TurnRecord
    state: dict[str, Json]
    jobs: Sequence[Job]
    based_on: Mapping[str, Json] | None
    fitted: Fitted
    before: Callable[[], Awaitable[object]] | None = None
    """A function that saves other data of the turn; None if there is no such data, or if it has been saved."""
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: asyncio.Task[Any] | None = None


class LateSaves:
    """Retries in the background to save turns that could not be saved when they ended.

    A turn is given up after a fixed number of retries.
    If the process dies before a turn is saved, the changes of that turn are lost.
    """

    def __init__(self, store: Store, enqueue: Callable[[Job], Awaitable[object]]) -> None:
        self._store = store
        self._enqueue = enqueue
        self._tasks: set[asyncio.Task[Any]] = set()
        self.waiting: dict[tuple[str, str], _Kept] = {}
        """The turns that are not saved yet, by conversation and turn id, oldest first."""

    def open(self) -> None:
        """Retry the pending saves on this event loop. Saves are pending if an earlier loop ended without `close()`."""
        self._tasks.clear()
        for kept in self.waiting.values():
            kept.saving = asyncio.Lock()
            kept.task = self._start(self._try(kept))

    def keep(
        self,
        record: TurnRecord,
        state: dict[str, Json],
        jobs: Sequence[Job],
        before: Callable[[], Awaitable[object]] | None = None,
        *,
        based_on: Mapping[str, Json] | None = None,
        fitted: Fitted = as_they_are,
    ) -> None:
        """Keep a turn, its jobs and its changes to the state, and try in the background to save all of them.

        `before` saves other data that the turn left, such as output that was not spoken. It is called before the turn
        is saved, and again if it raises StoreError. `based_on` are the values that the changed fields had before; see
        `save_merged` for `fitted`.
        """
        kept = self.waiting[record.key] = _Kept(clone(record), state, jobs, based_on, fitted, before)
        kept.task = self._start(self._try(kept))

    def waits(self, conversation_id: str) -> bool:
        """Return whether a save of this conversation is pending."""
        return any(kept.record.conversation_id == conversation_id for kept in self.waiting.values())

    async def hurry(self, conversation_id: str, turn_id: str = "", *, awaited: bool = False) -> TurnRecord | None:
        """Flush the pending saves of a conversation, up to the first that fails.

        If the save of turn `turn_id` was pending, return the record of this turn, even if the save failed again.
        `awaited` means that a newer turn has begun, but waits for these saves before it runs.
        """
        waiting = [kept for kept in self.waiting.values() if kept.record.conversation_id == conversation_id]
        for kept in waiting:
            if not await self._save(kept, awaited=awaited):
                break
        return next((kept.record for kept in waiting if kept.record.turn_id == turn_id), None)

    async def update(self, key: tuple[str, str], change: Callable[[TurnRecord], None]) -> TurnRecord | None:
        """Change the record of a turn: in memory if the turn's save is pending, otherwise in the journal.

        Return the changed record, or None when there is no such turn. Raises StoreError.
        """
        async with self._held(key) as kept:
            if kept is not None:
                change(kept.record)
                return kept.record
        return await self._store.update(*key, change)

    async def save_state(
        self, key: tuple[str, str], state: dict[str, Json], based_on: Mapping[str, Json] | None = None
    ) -> bool:
        """Save changes to the state that were made after the turn `key` ended.

        If the turn's save is still pending, the changes are added to that save. Otherwise they are written to the
        journal. Return False if there is no such turn. Raises StoreError and StateChangedError; see `Store.save`.
        """
        async with self._held(key) as kept:
            if kept is not None:
                kept.state |= state
                if kept.based_on is not None:
                    kept.based_on = {**(based_on or {}), **kept.based_on}
                return True
        conversation_id, turn_id = key
        return await self._store.save_state(conversation_id, state, turn_id=turn_id, based_on=based_on)

    def pending(self, key: tuple[str, str]) -> TurnRecord | None:
        """Return the record of a turn that has ended and whose save is pending, else None."""
        kept = self.waiting.get(key)
        return None if kept is None else kept.record

    @asynccontextmanager
    async def _held(self, key: tuple[str, str]) -> AsyncIterator[_Kept | None]:
        """Yield the pending save of a turn, or None if there is none.

        Inside the `async with`, no other task writes this save to the journal.
        """
        kept = self.waiting.get(key)
        if kept is None:
            yield None
            return
        async with kept.saving:
            yield kept if self.waiting.get(key) is kept else None

    def obey(self, signal: Signal) -> None:
        """Try now to save the turn that the signal is about, because another worker waits for the end of that turn."""
        kept = self.waiting.get((signal.conversation_id, signal.turn_id))
        if kept is not None and signal.kind != "unfollow":
            self._start(self._save(kept, awaited=signal.kind == "stop"))

    async def close(self) -> None:
        """Retry all pending saves once, and give up those that still fail."""
        running = [task for task in self._tasks if not task.done()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*[self._save(kept) for kept in self.waiting.values()])
        for kept in list(self.waiting.values()):
            self._give_up(kept, "the server is shutting down, and the journal is still down")

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
        self._give_up(kept, "the journal is still down")

    async def _save(self, kept: _Kept, *, awaited: bool = False) -> bool:
        """Save a pending turn; return whether it is saved. Another task may have saved it in the meantime.

        `awaited` means that a newer turn waits for this save before it runs.
        """
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
            await enqueue_late(self._store, self._enqueue, job, since=kept.record.started_at)
        if kept.before is not None:
            await kept.before()
            kept.before = None
        record, changed = kept.record, kept.state
        dropped = bool(changed) and not awaited and not await is_newest(self._store, record)
        state = {} if dropped else changed
        write = partial(self._store.save, record)
        await save_merged(self._store, record, state, kept.based_on, write, fitted=kept.fitted)
        logger.info("Turn {} was saved after a delay.", record.turn_id)
        if dropped:
            names = ", ".join(changed)
            logger.warning(
                "State changes of turn {} are dropped, because a newer turn has begun: {}", record.turn_id, names
            )

    def _give_up(self, kept: _Kept, why: str) -> None:
        del self.waiting[kept.record.key]
        logger.error("Turn {} is lost, because it could not be saved: {}.", kept.record.turn_id, why)
