"""End the turns that are recorded as running although their workers have died, or do not stop them."""

from __future__ import annotations

from collections.abc import Callable

from .crashed_turn import crash, given_up
from .forget import enqueue_late
from .record import TurnRecord
from .stores.base import Change, Job, Store
from .task_jobs import add_handoffs, task_jobs
from .waiting_calls import keep_calls


async def end_stuck(
    store: Store,
    turn: TurnRecord,
    *,
    posts_handoffs: bool = False,
    crashed: Callable[[TurnRecord], None] = lambda record: None,
    runs_again: Callable[[], bool] = lambda: False,
    mark: Change = crash,
) -> bool:
    """Mark a stuck turn as ended, and enqueue its tasks. Return whether the turn was marked.

    If tool calls waited for the caller's answer in this turn, they wait for the next message.

    The turn is not marked, for example, if another worker ended or claimed it first. `mark` sets the status: `crash`
    marks the turn as failed. If the turn's worker is alive after all, it enqueues the same tasks when it ends the turn.
    This does no harm, because a job is enqueued only once.

    `posts_handoffs` tells whether to enqueue hand-offs of an earlier release too; see `add_handoffs`. `crashed` is
    called with the record, unless the turn's worker has reported the turn itself. If `runs_again` returns true, the turn
    runs in this worker again, so it is not ended.

    Raises StoreError if the journal fails. The turn may have been marked before the failure, or may still be stuck.
    """
    stored = await store.get(*turn.key)
    if stored is None or not _is_same_attempt(stored, turn):
        return False
    if posts_handoffs:
        add_handoffs(stored)
    # Before the turn is marked, because the journal may become unavailable in between.
    jobs = await _enqueue(store, stored)
    past = await store.history(turn.conversation_id, tokens=0, before=stored.position)
    ended = False

    def end(record: TurnRecord) -> None:
        nonlocal ended
        ended = _is_same_attempt(record, turn) and not runs_again()
        if ended:
            mark(record)
            record.tasks = []
            for asked in past[-1:]:
                keep_calls(record, asked)

    record = await store.update(*turn.key, end)
    if record is None:
        for job in jobs:  # The conversation was deleted meanwhile, so its jobs are deleted too.
            await store.settle(job)
        return False
    if ended and not given_up(stored) and turn.owner != store.owner:
        crashed(record)
    return ended


def _is_same_attempt(stored: TurnRecord, turn: TurnRecord) -> bool:
    return not stored.finished and (stored.owner, stored.attempt) == (turn.owner, turn.attempt)


async def _enqueue(store: Store, record: TurnRecord) -> list[Job]:
    jobs = task_jobs(record)
    for job in jobs:
        await enqueue_late(store, store.enqueue, job, since=record.started_at)
    return jobs
