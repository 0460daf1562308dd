"""Run one attempt of a job: renew its lease while it runs, and record how it ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from loguru import logger

from ..exceptions import StoreError
from ..journal import steady_clock
from ..journal.stores.base import Job, Store
from ..observability import context, spans
from ..observability.errors import ends_process, ends_task
from ..observability.privacy import caller_secrets

Run = Callable[[Job], Awaitable[float | None]]
"""Runs a job; returns the time at which it is due again (epoch seconds), or None if it is done."""

RENEWALS = 3
"""The number of renewals per lease duration."""
SETTLE_SECONDS = 1.0
"""Seconds between attempts to record the end of a job while the journal is unavailable."""
UNFINISHED = "unfinished"
"""The error that is stored in a job while an attempt runs. If the next lease finds it, that attempt never ended."""


class UnfinishedError(Exception):
    """An attempt did not end, because its worker died or the lease expired."""


async def attempt(held: Lease, run: Run, pauses: Sequence[float]) -> float | None:
    """Run a job that was leased.

    Return the time at which it is due again, or None if it is done or was given up. `pauses` are the seconds before
    each retry; if the last retry fails, the job is given up and an error is logged. Each attempt of an agent's job is
    counted in the journal before it runs, so a job whose attempts kill their workers is given up, too.
    """
    store, job = held.store, held.job
    if job.error == UNFINISHED:
        again = _after_unfinished(job, pauses)
        await _settle(held, again)
        return again
    keeping = asyncio.create_task(held.keep())
    try:
        try:
            await _remember_secrets(store, job)
            await _count(store, job)
            again = await _try(job, run, pauses)
        except asyncio.CancelledError:
            await held.release()  # The server is shutting down.
            raise
        await _settle(held, again)
        return again
    finally:
        keeping.cancel()


class Lease:
    """A lease on a job, renewed while the job runs. After it expires, another worker can lease the job."""

    def __init__(self, store: Store, job: Job, seconds: float) -> None:
        self.store = store
        self.job = job
        self._seconds = seconds
        self._attempts = job.attempts
        """The number of attempts before this one."""
        self._until = steady_clock.now() + seconds

    @property
    def lost(self) -> bool:
        """Whether the lease has expired, because this worker was stalled or its journal was unavailable."""
        return steady_clock.now() >= self._until

    async def keep(self) -> None:
        """Renew the lease until it is lost or this task is cancelled."""
        while True:
            await asyncio.sleep(self._seconds / RENEWALS)
            if self.lost:
                return
            until = steady_clock.now() + self._seconds
            try:
                await self.store.renew(self.job, until=until)
                self._until = until
            except StoreError as error:
                logger.warning("The lease of job {} could not be renewed: {}", self.job.id, error)

    async def release(self) -> None:
        """Let another worker run the job at once, unless the lease is lost. This attempt is not counted."""
        if self.lost:
            return
        self._until = float("-inf")
        with suppress(StoreError):
            await self.store.settle(replace(self.job, attempts=self._attempts), retry_at=steady_clock.now())


async def _remember_secrets(store: Store, job: Job) -> None:
    """Remember the secrets of the call and of the job's arguments, so that logs mask them.

    The call may have been on another worker, or before a restart.
    """
    caller_secrets.remember(job.payload)
    if job.conversation_id:
        with suppress(StoreError):
            caller_secrets.remember((await store.conversation(job.conversation_id)).metadata)


async def _count(store: Store, job: Job) -> None:
    """Count the attempt that begins now. If the job belongs to an agent, also save the count in the journal.

    The saved job has the error `UNFINISHED`. If the agent's code kills this worker, the worker that leases the job next
    finds this error, and knows that the attempt did not end.
    """
    job.attempts += 1
    if job.agent:
        with suppress(StoreError):
            await store.save_attempt(replace(job, error=UNFINISHED))


async def _try(job: Job, run: Run, pauses: Sequence[float]) -> float | None:
    with context.within(context.Ids(job.agent, job.conversation_id)):
        try:
            # A job without an agent is periodic: tracing each run would make a trace every few seconds when idle.
            with spans.continued(job.name, job.trace) if job.agent or job.trace else spans.upkeep():
                again = await run(job)
        except BaseException as error:  # a hook may raise anything; the job is retried
            if ends_task(error) or ends_process(error):
                raise
            return _after(job, error, pauses)
    if again is not None:
        job.attempts = 0
    return again


def _after(job: Job, error: BaseException, pauses: Sequence[float]) -> float | None:
    """Return the time at which a failed job is due again; None if it is given up."""
    job.error = f"{type(error).__name__}: {error}"
    if job.attempts > len(pauses):
        logger.opt(exception=error).error("Job {} failed for good after {} attempts", job.id, job.attempts)
        return None
    pause = pauses[job.attempts - 1]
    logger.opt(exception=error).warning("Job {} failed in attempt {}; retry in {} s", job.id, job.attempts, pause)
    return steady_clock.now() + pause


def _after_unfinished(job: Job, pauses: Sequence[float]) -> float | None:
    """Return when to retry a job whose last attempt never ended; None if the job is given up.

    The pause is random. The worker may have died while it ran several jobs. If all of them were retried at the same
    time, the job that killed the worker would interrupt the others in every attempt, until all of them are given up.
    """
    error = UnfinishedError("the worker died, or its lease expired")
    return _after(job, error, [round(pause * random.uniform(1.0, 2.0), 1) for pause in pauses])  # noqa: S311 - no secret


async def _settle(held: Lease, again: float | None) -> None:
    """Record how a job ended. While the journal is unavailable, keep trying, so that a finished job does not run twice.

    `again` is the time at which the job is to run again, or None. This time is recorded only while the lease is valid.
    """
    job, away = held.job, False
    while again is None or not held.lost:
        try:
            await held.store.settle(job, retry_at=again)
        except StoreError as error:
            if not away:
                logger.warning("The end of job {} could not be recorded yet; retrying: {}", job.id, error)
            away = True
            await asyncio.sleep(SETTLE_SECONDS)
        else:
            return
    # The lease expired: another worker may own the job, and a write now would release it while that worker runs it.
    logger.warning("The lease of job {} expired before its retry was recorded; another worker will run the job", job.id)
