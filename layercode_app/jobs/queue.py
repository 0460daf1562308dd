"""Work that outlives its turn: jobs, which survive a restart and are retried, and background coroutines."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from loguru import logger

from ..exceptions import StoreError
from ..journal import steady_clock
from ..journal.stores.base import Job, Store
from ..observability import spans
from .attempt import Lease, Run, attempt

Elsewhere = Callable[[Job], float | None]
"""Decides whether this worker can run a job.

Returns None if it can. Otherwise returns the time at which the job is due again for other workers.
"""

RETRY_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds before each retry of a job; if the last retry fails, the job is given up and an error is logged."""
LEASE_SECONDS = 60.0
"""Duration of a job's lease. A running job renews it; a dead worker's job can be leased again after this time."""
POLL_SECONDS = 1.0
POLL_SPREAD = 0.75, 1.25
"""The interval between two polls is multiplied by a random factor in this range, so that no worker is always first."""
AT_ONCE = 8
"""The maximum number of jobs that a worker runs at once."""
MORE_AT_ONCE = 4
"""The number of additional slots for jobs that must not queue behind others, see `Jobs`."""
CANCEL_SECONDS = 2.0
"""Maximum seconds to wait at shutdown for cancelled work to end."""


class Jobs:
    """Runs the jobs of a store and the background coroutines of this worker. The number of concurrent jobs is limited.

    Jobs whose id begins with one of the prefixes in `first` have additional slots, so they do not queue behind others.
    A job for which `elsewhere` returns a time is not run here. It is due at that time for other workers.
    """

    def __init__(
        self, store: Store, run: Run, *, first: Sequence[str] = (), elsewhere: Elsewhere = lambda job: None
    ) -> None:
        self._store = store
        self._run = run
        self._first = first
        self._elsewhere = elsewhere
        self._due = asyncio.Event()
        """Set when a job may be due. `start` makes a new event, because an asyncio event belongs to one event loop."""
        self._failing = False
        """Whether the last attempt to lease a job failed."""
        self._worker: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._leases: dict[str, Lease] = {}
        """The leases of the running jobs."""
        self._background: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Start running the jobs in the store, including those that dead workers left behind."""
        self._due = asyncio.Event()
        self._running = {key: task for key, task in self._running.items() if not task.done()}
        self._leases = {key: held for key, held in self._leases.items() if key in self._running}
        self._worker = asyncio.create_task(self._work(), name="jobs")

    async def enqueue(self, job: Job) -> bool:
        """Enqueue a job; return False if a job with its id was enqueued before. Raises StoreError."""
        job.trace = job.trace or spans.carrier()
        new = await self._store.enqueue(job)
        if new:
            self._due.set()
        return new

    def background(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the background; its error is logged, and `drain` waits for it."""
        task = asyncio.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._settle_background)

    def _settle_background(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.opt(exception=error).error("Background work failed: {}", type(error).__name__)

    async def drain(self, seconds: float) -> None:
        """Start no more jobs, wait up to `seconds` for running work, then cancel it.

        Jobs that are not done stay in the store, and other workers can run them at once.
        """
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        # A closed event loop may have ended tasks without calling their callbacks.
        running = {task for task in (*self._background, *self._running.values()) if not task.done()}
        if running:
            _, running = await asyncio.wait(running, timeout=seconds)
            for task in running:
                task.cancel()
        if running:
            await asyncio.wait(running, timeout=CANCEL_SECONDS)
        # Release the leases now. A job that is still cleaning up may finish only after the store was closed.
        await asyncio.gather(*[held.release() for held in self._leases.values()])

    async def _work(self) -> None:
        while True:
            self._due.clear()
            try:
                if (job := await self._lease()) is not None:
                    self._begin(job)
                    continue
            except Exception as error:  # noqa: BLE001 - without this loop, no job would ever run again
                self._log_failure(error)
            # Do not use `wait_for`: before Python 3.12 it may swallow the cancellation that ends this loop.
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS * random.uniform(*POLL_SPREAD)):  # noqa: S311 - no secret
                    await self._due.wait()

    def _log_failure(self, error: Exception) -> None:
        """Log a failure to lease a job. Of successive failures, log only the first, because the loop retries often."""
        if self._failing:
            return
        self._failing = True
        if isinstance(error, StoreError):
            logger.warning("Jobs wait for the journal: {}", error)
        else:
            logger.opt(exception=error).error("No job could be leased; retrying: {}", type(error).__name__)

    def _begin(self, job: Job) -> None:
        if job.id in self._running:
            return  # The lease expired while the journal was unavailable, and this worker leased the job again.
        held = self._leases[job.id] = Lease(self._store, job, LEASE_SECONDS)
        self._running[job.id] = asyncio.create_task(self._attempt(held), name=f"job {job.name}")

    async def _attempt(self, held: Lease) -> None:
        job, again = held.job, None
        try:
            if (at := self._elsewhere(job)) is not None:
                with suppress(StoreError):  # Then the lease expires.
                    await self._store.settle(job, retry_at=at)
                return
            again = await attempt(held, self._run, RETRY_SECONDS)
        finally:
            del self._running[job.id], self._leases[job.id]
            self._due.set()
        if again is not None:
            asyncio.get_running_loop().call_later(max(again - steady_clock.now(), 0.0), self._due.set)

    async def _lease(self) -> Job | None:
        """Lease the next due job for which a slot is free; None if there is none."""
        busy = len(self._running)
        if busy < AT_ONCE:
            return await self._leased(only=())
        return await self._leased(only=self._first) if self._first and busy < AT_ONCE + MORE_AT_ONCE else None

    async def _leased(self, *, only: Sequence[str]) -> Job | None:
        leasing = asyncio.ensure_future(self._store.lease(now=steady_clock.now(), seconds=LEASE_SECONDS, only=only))
        try:
            job = await asyncio.shield(leasing)
        except asyncio.CancelledError:
            # The server is shutting down, so give back a job that has just been leased. Suppress errors here: an error
            # would replace the cancellation, and without the cancellation `_work` would never end.
            with suppress(Exception):
                if (job := await leasing) is not None:
                    await self._store.settle(job, retry_at=job.due_at)
            raise
        self._failing = False
        return job
