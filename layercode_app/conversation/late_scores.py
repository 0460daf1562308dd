"""Add scores to a turn after it has begun, even while it is running or its save is pending."""

from __future__ import annotations

from ..jobs.late_saves import LateSaves
from ..journal.record import Json, TurnRecord
from ..journal.stores.base import Signal, Store
from .live import LiveTurn


async def add_scores(
    store: Store, late: LateSaves, running: LiveTurn | None, key: tuple[str, str], scores: dict[str, Json]
) -> bool:
    """Add scores to the turn with this key; return False if there is no such turn. Raises StoreError.

    `running` is the conversation's running turn in this worker, if any. The end of a running turn overwrites its record
    in the journal, so the scores are also added to the record that its worker holds.
    """

    def change(record: TurnRecord) -> None:
        record.scores.update(scores)

    if running is not None and running.record.key == key:
        change(running.record)
    turn = await late.update(key, change)
    if turn is None:
        return False
    if not turn.finished and await store.held_elsewhere(turn):
        await store.signal(turn.owner, Signal("scores", *key, scores=scores))
    return True
