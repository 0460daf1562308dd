"""One try of an owed job: its lease is renewed while it runs, and how it ended is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from loguru import logger

from ..exceptions import StoreError
from ..observability import context, spans
from . import steady
from .stores.base import Job, Store

Run = Callable[[Job], Awaitable[float | None]]
"""Does a job; returns when it is due again (epoch seconds), or None when it is done."""

RENEWALS = 3
"""How often a lease is renewed before it would end."""
SETTLE_SECONDS = 1.0
"""How long to wait before the end of a job is written again, when the journal is away."""


async def attempt(store: Store, job: Job, run: Run, *, lease: float, pauses: Sequence[float]) -> float | None:
    """Try a job that was leased for so many seconds; returns when it is due again, or None when it is done with.

    `pauses` are the seconds between its tries; after the last one it is given up, and the log says so.
    """
    held = _Lease(store, job, lease)
    keeping = asyncio.create_task(held.keep())
    try:
        try:
            again = await _try(job, run, pauses)
        except asyncio.CancelledError:
            # The server goes down: another one may have the job at once.
            if not held.lost:
                with suppress(StoreError):
                    await store.settle(job, retry_at=steady.now())
            raise
        await _settle(held, again)
        return again
    finally:
        keeping.cancel()


class _Lease:
    """What keeps other workers from a job: renewed in time, or lost to whoever asks next."""

    def __init__(self, store: Store, job: Job, seconds: float) -> None:
        self.store = store
        self.job = job
        self._seconds = seconds
        self._until = steady.now() + seconds

    @property
    def lost(self) -> bool:
        """Whether another worker may have the job by now: this one stood still, or its journal was away."""
        return steady.now() >= self._until

    async def keep(self) -> None:
        """Keep other workers from a job that takes longer than its lease."""
        while True:
            await asyncio.sleep(self._seconds / RENEWALS)
            if self.lost:
                return
            until = steady.now() + self._seconds
            try:
                await self.store.renew(self.job, until=until)
                self._until = until
            except StoreError as error:
                logger.warning("The lease of job {} could not be renewed: {}", self.job.id, error)


async def _try(job: Job, run: Run, pauses: Sequence[float]) -> float | None:
    job.attempts += 1
    with context.within(context.Ids(job.agent, job.conversation_id)):
        try:
            # A job of no agent is periodic: a trace for each would be one every few seconds on an idle server.
            with spans.continued(job.name, job.trace) if job.agent or job.trace else spans.upkeep():
                again = await run(job)
        except Exception as error:  # noqa: BLE001 - a hook may raise anything; it is tried again
            return _after(job, error, pauses)
    if again is not None:
        job.attempts = 0
    return again


def _after(job: Job, error: Exception, pauses: Sequence[float]) -> float | None:
    """When a job that failed is due again; None when it is given up."""
    job.error = f"{type(error).__name__}: {error}"
    if job.attempts > len(pauses):
        logger.opt(exception=error).error("Job {} was given up after {} tries", job.id, job.attempts)
        return None
    pause = pauses[job.attempts - 1]
    logger.opt(exception=error).warning("Job {} failed, try {}; the next is in {} s", job.id, job.attempts, pause)
    return steady.now() + pause


async def _settle(held: _Lease, again: float | None) -> None:
    """Write how a job ended, as soon as the journal takes it: what was done must not be done again."""
    job = held.job
    while again is None or not held.lost:
        try:
            await held.store.settle(job, retry_at=again)
        except StoreError as error:
            logger.warning("The end of job {} waits for the journal: {}", job.id, error)
            await asyncio.sleep(SETTLE_SECONDS)
        else:
            return
    # To write now would take it from whoever has it, and they would be two.
    logger.warning("The lease of job {} ran out; its next try is whoever's that took it over", job.id)
