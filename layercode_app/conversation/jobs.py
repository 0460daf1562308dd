"""Work that outlives its turn: owed jobs, which survive a restart and are retried, and background coroutines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from loguru import logger

from ..exceptions import StoreError
from ..observability import context, spans
from .stores.base import Job, Store

RETRY_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Pauses between the tries of a job; after the last one it is given up, and the log says so."""
LEASE_SECONDS = 60.0
POLL_SECONDS = 1.0


class Jobs:
    """Runs the owed jobs of a store, one at a time, and the background coroutines of this worker."""

    def __init__(self, store: Store, run: Callable[[Job], Awaitable[float | None]]) -> None:
        self._store = store
        self._run = run
        self._due = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Begin with what is owed, also by workers that died."""
        self._worker = asyncio.create_task(self._work(), name="owed-jobs")

    async def owe(self, job: Job) -> bool:
        """Keep a job until it is done; false when it was owed before."""
        job.trace = job.trace or spans.carrier()
        new = await self._store.owe(job)
        if new:
            self._due.set()
        return new

    def background(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine beside the turns; its error is logged, and `drain` waits for it."""
        task = asyncio.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._settle_background)

    def _settle_background(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.opt(exception=error).error("Background work failed: {}", type(error).__name__)

    async def drain(self, seconds: float) -> None:
        """Wait for what runs, at most so long; owed jobs that are not done stay owed."""
        if self._background:
            await asyncio.wait(self._background, timeout=seconds)
        for task in self._background:
            task.cancel()
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker

    async def _work(self) -> None:
        while True:
            self._due.clear()
            try:
                if (job := await self._lease()) is not None:
                    await self._attempt(job)
                    continue
            except StoreError as error:
                logger.warning("Owed jobs wait for the journal: {}", error)
            # Not `wait_for`: before Python 3.12 it may swallow the cancellation that ends this loop.
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._due.wait()

    async def _lease(self) -> Job | None:
        leasing = asyncio.ensure_future(self._store.lease(now=time.time(), seconds=LEASE_SECONDS))
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:
            # The server goes down: what was leased in this moment is given back.
            with suppress(StoreError):
                if (job := await leasing) is not None:
                    await self._store.settle(job, retry_at=job.due_at)
            raise

    async def _attempt(self, job: Job) -> None:
        job.attempts += 1
        with context.within(context.Ids(job.agent, job.conversation_id)):
            try:
                with spans.continued(job.name, job.trace):
                    again = await self._run(job)
            except asyncio.CancelledError:
                # The server goes down: another one may have the job at once.
                with suppress(StoreError):
                    await self._store.settle(job, retry_at=time.time())
                raise
            except Exception as error:  # noqa: BLE001 - a hook may raise anything; it is tried again
                await self._retry(job, error)
            else:
                await self._settle(job, again)

    async def _settle(self, job: Job, again: float | None) -> None:
        """A job is done, or one that comes again and again is due at `again` (epoch seconds)."""
        if again is None:
            await self._store.settle(job)
            return
        job.attempts = 0
        await self._store.settle(job, retry_at=again)
        asyncio.get_running_loop().call_later(max(again - time.time(), 0.0), self._due.set)

    async def _retry(self, job: Job, error: Exception) -> None:
        job.error = f"{type(error).__name__}: {error}"
        if job.attempts > len(RETRY_SECONDS):
            logger.opt(exception=error).error("Job {} was given up after {} tries", job.id, job.attempts)
            await self._store.settle(job)
            return
        pause = RETRY_SECONDS[job.attempts - 1]
        logger.opt(exception=error).warning("Job {} failed, try {}; the next is in {} s", job.id, job.attempts, pause)
        await self._store.settle(job, retry_at=time.time() + pause)
        asyncio.get_running_loop().call_later(pause, self._due.set)
