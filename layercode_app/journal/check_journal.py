"""Check a journal for records that cannot be read, turns whose worker died, and overdue jobs."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import steady_clock
from .read import is_stuck
from .record import TurnRecord
from .stores.base import Job, Store
from .stuck_turns import end_stuck

LATE_SECONDS = 900.0
"""A job that is overdue by more than this is reported: either no worker runs jobs, or the job's retries fail."""


@dataclass(slots=True)
class Findings:
    """The problems found in a journal."""

    turns: int = 0
    unreadable: str = ""
    """The error of a turn that cannot be read; the turns after it were not checked. Empty if all are readable."""
    stuck: list[TurnRecord] = field(default_factory=list)
    """The running turns whose worker is dead."""
    late: list[Job] = field(default_factory=list)
    fixed: int = 0

    @property
    def healthy(self) -> bool:
        """Whether every turn is readable, no job is overdue, and every stuck turn was ended."""
        return not self.unreadable and not self.late and self.fixed == len(self.stuck)


async def check_journal(store: Store, *, fix: bool = False, posts_handoffs: bool = False) -> Findings:
    """Check every turn and job of a journal. Raises StoreError if the store is down.

    With `fix`, each turn whose worker died is marked as failed, and its tasks are enqueued. `posts_handoffs` tells
    whether hand-offs to a person are posted to LAYERCODE_HANDOFF_URL.
    """
    found = Findings()
    try:
        async for record in store.turns():
            found.turns += 1
            if await is_stuck(store, record):
                found.stuck.append(record)
    except (ValueError, KeyError, TypeError) as error:
        found.unreadable = f"{type(error).__name__}: {error}"
    found.late = [job for job in await store.pending_jobs() if job.due_at < steady_clock.now() - LATE_SECONDS]
    for record in found.stuck if fix else []:
        # If the result is False, another worker has taken over the turn and will end it.
        if await end_stuck(store, record, posts_handoffs=posts_handoffs):
            found.fixed += 1
    return found
