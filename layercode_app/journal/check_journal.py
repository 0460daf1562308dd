"""Check a journal: records that cannot be read, turns whose worker died, and overdue jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .record import TurnRecord
from .stores.base import Job, Store

LATE_SECONDS = 900.0
"""A job that should have run this long ago is reported: no worker runs jobs, or its retries fail."""


@dataclass(slots=True)
class Findings:
    """What is wrong with a journal."""

    turns: int = 0
    unreadable: str = ""
    """The reason why a turn cannot be read; the turns after it were not checked."""
    stuck: list[TurnRecord] = field(default_factory=list)
    """Turns that are running, but whose worker is dead."""
    late: list[Job] = field(default_factory=list)
    fixed: int = 0

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong, or all of it was fixed."""
        return not self.unreadable and not self.late and self.fixed == len(self.stuck)


async def check_journal(store: Store, *, end: Callable[[TurnRecord], None] | None = None) -> Findings:
    """Read every turn and job; with `end`, end the turns whose worker died. Raises StoreError if the store is down.

    `end` marks the record of such a turn as ended.
    """
    found = Findings()
    try:
        async for record in store.turns():
            found.turns += 1
            if not record.finished and not await store.alive(record.owner):
                found.stuck.append(record)
    except (ValueError, KeyError, TypeError) as error:
        found.unreadable = f"{type(error).__name__}: {error}"
    found.late = [job for job in await store.pending_jobs() if job.due_at < time.time() - LATE_SECONDS]
    for record in found.stuck if end else []:
        # Another worker may have taken the turn over meanwhile, and then ends it.
        if end and await store.claim(record):
            end(record)
            await store.save(record)
            found.fixed += 1
    return found
