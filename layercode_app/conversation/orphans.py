"""Release turns that the journal assigns to this worker, but that do not run here.

Such a turn is ended, or another worker may run it.

If the store hangs while a turn begins, the caller hears the apology, but the store may still begin the turn later.
Other workers would then wait for this worker to run it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from loguru import logger

from ..exceptions import StoreError
from ..jobs.late_saves import LateSaves
from ..journal.crashed_turn import give_up
from ..journal.record import TurnRecord
from ..journal.stores.base import Signal, Store
from ..journal.stuck_turns import end_stuck
from . import delivery
from .live import LiveTurn


class Orphans:
    """Handles the signals about turns that do not run in this worker."""

    def __init__(self, store: Store, late: LateSaves) -> None:
        self._store = store
        self._late = late
        self._tasks: set[asyncio.Task[None]] = set()

    def obey(self, signal: Signal, running: Mapping[str, LiveTurn]) -> None:
        """Handle another worker's signal about a turn that the journal assigns to this worker.

        Do nothing if this worker runs the turn, or if the turn has ended. For any other turn, the signal `stop` marks
        the turn as failed. The signal `follow` lets any worker run the turn, because the sender of the signal waits for
        the turn's frames.
        """
        if signal.kind in ("stop", "follow") and not self._runs_here(signal, running):
            self._start(signal, running)

    def give_up(self, key: tuple[str, str], running: Mapping[str, LiveTurn]) -> None:
        """Let another worker run a turn that the journal may have begun for this worker, but that did not run here.

        Call this method after this worker has failed to begin the turn. If another worker sent the signal `follow`
        before that failure, `obey` ignored the signal. Without this call, the other worker would wait in vain for
        this worker to run the turn.
        """
        self._start(Signal("follow", *key), running)

    def _start(self, signal: Signal, running: Mapping[str, LiveTurn]) -> None:
        task = asyncio.get_running_loop().create_task(self._release(signal, running), name="orphan")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _runs_here(self, signal: Signal, running: Mapping[str, LiveTurn]) -> bool:
        """Return whether this worker is beginning, running or saving the turn."""
        live, key = running.get(signal.conversation_id), (signal.conversation_id, signal.turn_id)
        return (live is not None and live.record.key == key) or self._late.pending(key) is not None

    async def _release(self, signal: Signal, running: Mapping[str, LiveTurn]) -> None:
        try:
            turn = await delivery.patiently(lambda: self._store.get(signal.conversation_id, signal.turn_id))
            if turn is None or turn.finished or turn.owner != self._store.owner:
                return
            logger.warning("Turn {} belongs to this worker but does not run, so it is given up.", turn.turn_id)
            await delivery.patiently(lambda: self._end(turn, signal, running))
        except StoreError as error:
            logger.warning(
                "The journal assigns a turn to this worker, but this worker does not run it. "
                "The turn cannot be ended or handed to another worker: {}",
                error,
            )

    async def _end(self, turn: TurnRecord, signal: Signal, running: Mapping[str, LiveTurn]) -> None:
        def runs_again() -> bool:
            return self._runs_here(signal, running)

        def change(record: TurnRecord) -> None:
            # Meanwhile the turn may have been delivered again, to this or to another worker.
            if record.owner == self._store.owner and not runs_again():
                give_up(record)

        if signal.kind == "stop":
            await end_stuck(self._store, turn, runs_again=runs_again)
        else:
            await self._store.update(*turn.key, change)
