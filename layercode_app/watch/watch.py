"""Count usage, enforce budgets, send alerts, delete old turns, and end crashed turns."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from loguru import logger

from ..journal import steady_clock
from ..journal.forget import FORGOTTEN
from ..journal.record import TurnRecord
from ..journal.stores.base import Job, Store
from ..judging.daily_limit import JUDGED
from ..reports.usage_totals import interruption_of, totals_of
from ..settings import Settings
from .alerts import ALERT_MESSAGE, ALERTS, Alerts
from .budgets import WARNED, Budgets
from .crashed_turns import CRASHED_TURNS, CrashedTurns
from .pending import WRITE_SECONDS, PendingTotals
from .refusals import Refusals

RETENTION = "retention"
RETENTION_SECONDS = 3600.0
CHORES = ("alert", RETENTION, CRASHED_TURNS)
"""Prefixes of the ids of the jobs that this module enqueues."""
LATER_SECONDS = 60.0
DAY_SECONDS = 86_400.0


class Watch:
    """Counts usage, enforces budgets, sends alerts, deletes old turns, and ends crashed turns.

    Raises ConfigurationError for invalid settings.

    Alerts, retention (the deletion of old turns) and the search for crashed turns are recurring jobs, and each job runs
    in the worker that leases it. An alert job covers all workers of its service, and the other jobs cover the whole
    journal. `crashed` is called with the record of each turn that was ended because its worker had died.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        enqueue: Callable[[Job], Awaitable[bool]],
        *,
        crashed: Callable[[TurnRecord], None] = lambda record: None,
    ) -> None:
        self._store = store
        self._retention_days = settings.retention_days
        self._enqueue = enqueue
        # All workers and hosts share a day's budget, so each writes its usage at once.
        self._pending = PendingTotals(store, seconds=0 if settings.budget_day else WRITE_SECONDS)
        self.refusals = Refusals(store, self._pending)
        self.budgets = Budgets(settings, store, self._pending)
        self.crashed_turns = CrashedTurns(store, crashed)
        self.alerts = Alerts(settings, store, self._pending, self.refusals, enqueue)

    async def stop(self) -> None:
        """Stop sampling this host's metrics, and write the pending counts to the journal."""
        await self.alerts.stop()
        await self._pending.stop()

    async def enqueue_chores(self) -> None:
        """Start sampling this host's metrics if an alert rule uses them, and enqueue the recurring jobs.

        Jobs that are enqueued already are not enqueued again. Raises StoreError.
        """
        self.alerts.start()
        now = steady_clock.now()
        if self.alerts.rules:
            await self._enqueue(Job(self.alerts.job_id, ALERTS, "", {}, due_at=now))
        await self._enqueue(Job(RETENTION, RETENTION, "", {}, due_at=now + RETENTION_SECONDS / 60))
        await self.crashed_turns.enqueue(self._enqueue)

    def does(self, job: Job) -> bool:
        """Return whether `run` handles this job."""
        return job.name in (ALERTS, ALERT_MESSAGE, RETENTION, CRASHED_TURNS)

    def is_of_another_service(self, job: Job) -> bool:
        """Return whether only another service, which shares the journal, can run this job."""
        return job.name in (ALERTS, ALERT_MESSAGE) and not self.alerts.owns(job)

    async def run(self, job: Job) -> float | None:
        """Run a job. Return the time at which it is due again (epoch seconds), or None if it is done.

        Raises ChannelError or DeveloperError if an alert's message cannot be sent.
        """
        if job.name == ALERT_MESSAGE:
            await self.alerts.deliver(job)
            return None
        try:
            return await self._run_chore(job)
        except Exception as error:  # noqa: BLE001 - a recurring job is always retried
            logger.opt(exception=error).error("The {} job failed and will be retried", job.name)
            return steady_clock.now() + LATER_SECONDS

    async def _run_chore(self, job: Job) -> float | None:
        if job.name == ALERTS:
            return await self.alerts.look(job)
        if job.name == CRASHED_TURNS:
            return await self.crashed_turns.search()
        return await self._prune()

    async def _prune(self) -> float:
        now = time.time()
        if self._retention_days > 0:
            gone = await self._store.prune(now - self._retention_days * DAY_SECONDS)
            if gone:
                logger.info("{} turns older than {:g} days were deleted", gone, self._retention_days)
        await self.refusals.prune()
        await self.alerts.prune()
        for prefix, days in ((WARNED, 0), (JUDGED, 0), (FORGOTTEN, 1)):
            oldest = time.strftime("%Y-%m-%d", time.gmtime(now - days * DAY_SECONDS))
            await self._store.drop_totals(prefix, before=f"{prefix}{oldest}")
        return steady_clock.now() + RETENTION_SECONDS

    def count(self, record: TurnRecord) -> None:
        """Count the usage of a turn that has ended."""
        for key, amounts in totals_of(record).items():
            self._pending.add(key, amounts)

    def count_interruption(self, record: TurnRecord) -> None:
        """Count the interruption of a turn that was counted as complete when it ended."""
        for key, amounts in interruption_of(record).items():
            self._pending.add(key, amounts)
