"""One try of an owed job: its lease is renewed while it runs, and how it ended is written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from loguru import logger

from ..exceptions import StoreError
from ..observability import context, spans
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
    keeping = asyncio.create_task(_keep(store, job, lease))
    try:
        try:
            again = await _try(job, run, pauses)
        except asyncio.CancelledError:
            # The server goes down: another one may have the job at once.
            with suppress(StoreError):
                await store.settle(job, retry_at=time.time())
            raise
        await _settle(store, job, again)
        return again
    finally:
        keeping.cancel()


async def _keep(store: Store, job: Job, lease: float) -> None:
    """Keep other workers from a job that takes longer than its lease."""
    while True:
        await asyncio.sleep(lease / RENEWALS)
        try:
            await store.renew(job, until=time.time() + lease)
        except StoreError as error:
            logger.warning("The lease of job {} could not be renewed: {}", job.id, error)


async def _try(job: Job, run: Run, pauses: Sequence[float]) -> float | None:
    job.attempts += 1
    with context.within(context.Ids(job.agent, job.conversation_id)):
        try:
            with spans.continued(job.name, job.trace):
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
    return time.time() + pause


async def _settle(store: Store, job: Job, again: float | None) -> None:
    """Write how a job ended, as soon as the journal takes it: what was done must not be done again."""
    while True:
        try:
            await store.settle(job, retry_at=again)
        except StoreError as error:
            logger.warning("The end of job {} waits for the journal: {}", job.id, error)
            await asyncio.sleep(SETTLE_SECONDS)
        else:
            return
