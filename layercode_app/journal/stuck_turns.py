"""End the turns that are recorded as running although their workers have died."""

from __future__ import annotations

from .crashed_turn import crash
from .record import Kind, TurnRecord
from .stores.base import Store
from .task_jobs import add_handoffs, enqueue_tasks


async def is_stuck(store: Store, record: TurnRecord) -> bool:
    """Return whether a turn is running and its worker is dead.

    A session event is never stuck. If it is recorded as running, its hooks have not succeeded yet, and they run again
    when the event is delivered again.
    """
    return not record.finished and record.kind is not Kind.SESSION and not await store.alive(record.owner)


async def end_stuck(store: Store, record: TurnRecord, *, posts_handoffs: bool) -> bool:
    """Mark a stuck turn as failed and enqueue its tasks. Return False if another worker has taken the turn over.

    `posts_handoffs` tells whether hand-offs to a person are posted to LAYERCODE_HANDOFF_URL.
    """
    if not await store.claim(record):
        return False
    crash(record)
    if posts_handoffs:
        add_handoffs(record)
    await enqueue_tasks(record, store.enqueue)
    return await store.save(record)
