"""Put back jobs that this worker cannot run, so that another worker gets them.

Several services may share a journal, and in a rolling deployment old workers do not have the new agents yet.
"""

from __future__ import annotations

import random

from loguru import logger

from ..journal import steady_clock
from ..journal.stores.base import Job

SHORTEST, LONGEST = 1.0, 60.0
"""Limits of the seconds until a job that was put back is due again."""
SHARE = 1 / 30
"""The pause before a job is due again, as a share of the time since this worker first put the job back."""
CHORE_SECONDS = 5.0
"""Minimum seconds until a recurring job of another service is due again. The pause grows after `PATIENCE` times."""
PATIENCE = 30
"""How often a chore is put back in a row before its pause grows. If few of the workers belong to the chore's service,
the other workers often lease the chore several times in a row."""
GIVE_UP_SECONDS = 86_400.0
"""After this time, the job runs although its agent is missing. It then fails, and is given up after its retries."""


class PutBack:
    """Remembers the jobs that this worker has put back because it lacks something that they need, such as an agent."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        """When each job was first put back, by its id, oldest first."""
        self._warned: set[str] = set()

    def until(self, job: Job, missing: str) -> float | None:
        """Return the time at which the job is due again; None if it was first put back `GIVE_UP_SECONDS` or more ago.

        `missing` names what the job needs and this worker lacks, such as an agent or a task. A warning is logged once
        for each `missing`.
        """
        now = steady_clock.now()
        self._clean(now)
        waited = now - self._since.setdefault(job.id, now)
        if waited >= GIVE_UP_SECONDS:
            return None
        if missing not in self._warned:
            self._warned.add(missing)
            logger.warning(
                "Job {} needs {}, which this worker does not have; the job is left to another worker", job.id, missing
            )
        pause = min(max(waited * SHARE, SHORTEST), LONGEST)
        # A random pause, so that this worker is not always the first to lease the job again.
        return now + pause * random.uniform(1.0, 2.0)  # noqa: S311 - no secret

    def chore(self, job: Job) -> float:
        """Return the time at which a chore of another service is due again. A chore is a recurring job.

        This worker cannot run the chore, because the chore belongs to another service that uses the same journal. So
        this worker puts the chore back. `job.attempts` counts how often workers have put the chore back since the
        other service last ran it. A chore is never given up. Otherwise the journal would remember the chore's id as the
        id of a done job, and the other service could not enqueue the chore again.
        """
        job.attempts += 1
        pause = min(CHORE_SECONDS * max(job.attempts / PATIENCE, 1.0), LONGEST)
        return steady_clock.now() + pause * random.uniform(1.0, 2.0)  # noqa: S311 - no secret

    def _clean(self, now: float) -> None:
        """Forget each job that was first put back `2 * GIVE_UP_SECONDS` ago or earlier.

        By now, another worker has done the job, or the job has no retries left.
        """
        while self._since and now - next(iter(self._since.values())) >= 2 * GIVE_UP_SECONDS:
            del self._since[next(iter(self._since))]
