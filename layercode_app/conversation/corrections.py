"""Correct the records of earlier turns to what the caller heard, and add scores, even if a record is not saved yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from loguru import logger

from ..exceptions import StoreError
from ..jobs.late_saves import LateSaves
from ..journal.record import TurnRecord
from ..journal.stores.base import Signal, Store
from ..webhook import InterruptionContext
from .heard import correct
from .late_scores import add_scores
from .live import LiveTurn

Key: TypeAlias = tuple[str, str]
MOST_EARLY = 1000
"""Maximum number of early corrections that a worker remembers; the oldest are dropped first."""


async def correct_turn(
    late: LateSaves, key: Key, context: InterruptionContext, interrupted: Callable[[TurnRecord], None]
) -> bool:
    """Correct the turn's record in a pending save, or else in the journal. Return whether the record was found.

    If the turn was complete, it now counts as interrupted, and `interrupted` is called with its record. This happens
    once per turn, because the status changes in one atomic step.
    """
    newly = False

    def change(record: TurnRecord) -> None:
        nonlocal newly
        newly = correct(record, context)

    record = await late.update(key, change)
    if record is not None and newly:
        interrupted(record)
    return record is not None


class Corrections:
    """Applies the interruptions that platform events report, and the scores that other workers send.

    An interruption may arrive before the record of its turn is saved: the turn's own event may not have arrived yet, or
    the turn's worker may be slow. Such an early correction is kept, and applied when the turn has ended. If a turn was
    reported as complete and now counts as interrupted, `interrupted` is called with the turn's record.
    """

    def __init__(self, store: Store, late: LateSaves, interrupted: Callable[[TurnRecord], None]) -> None:
        self._store = store
        self._late = late
        self._interrupted = interrupted
        self._early: dict[Key, InterruptionContext] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def apply(self, context: InterruptionContext, key: Key) -> bool:
        """Correct the turn `key` to what the caller heard of it before the interruption.

        Return False if the turn has no record yet. The correction is then kept until the turn is saved.
        """
        corrected = await self._correct(context, key)
        if not corrected:
            logger.warning("An interruption names a turn that is not in the journal: {}", key[1])
            self._keep(context, key)
        return corrected

    async def apply_early(self, record: TurnRecord) -> None:
        """Apply the corrections that arrived before this turn was saved. Raises StoreError."""
        while (context := self._early.pop(record.key, None)) is not None:
            await self._correct(context, record.key)

    async def send(self, context: InterruptionContext, turn: TurnRecord) -> None:
        """Send a correction to the worker that still runs the turn. Otherwise that worker's save would undo it."""
        heard = context.model_dump(mode="json", exclude_none=True)
        await self._store.signal(turn.owner, Signal("heard", *turn.key, heard=heard))

    def receive(self, signal: Signal, running: Mapping[str, LiveTurn]) -> None:
        """Apply a correction or scores that another worker sent. A correction of a running turn waits until it ends."""
        key = (signal.conversation_id, signal.turn_id)
        live = running.get(signal.conversation_id)
        if signal.kind == "scores":
            self._start(add_scores(self._store, self._late, live, key, signal.scores or {}), "Scores", key)
            return
        context = InterruptionContext.model_validate(signal.heard or {})
        if live is not None and live.record.key == key:
            self._keep(context, key)
        else:
            self._start(self._correct(context, key), "What was heard", key)

    def _start(self, change: Coroutine[Any, Any, bool], what: str, key: Key) -> None:
        task = asyncio.get_running_loop().create_task(self._logged(change, what, key), name="correction")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _logged(self, change: Coroutine[Any, Any, bool], what: str, key: Key) -> None:
        try:
            await change
        except StoreError as error:
            logger.warning("{} of turn {} could not be saved: {}", what, key[1], error)

    async def _correct(self, context: InterruptionContext, key: Key) -> bool:
        return await correct_turn(self._late, key, context, self._interrupted)

    def _keep(self, context: InterruptionContext, key: Key) -> None:
        self._early[key] = context
        if len(self._early) > MOST_EARLY:
            del self._early[next(iter(self._early))]
