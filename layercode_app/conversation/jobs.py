"""Work that outlives its turn: owed jobs, which survive a restart and are retried, and background coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from loguru import logger

from ..exceptions import StoreError
from ..observability import spans
from . import steady
from .attempt import Run, attempt
from .stores.base import Job, Store

RETRY_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Pauses between the tries of a job; after the last one it is given up, and the log says so."""
LEASE_SECONDS = 60.0
"""How long the jobs of a worker that died stay its own; those that run have their lease renewed."""
POLL_SECONDS = 1.0
AT_ONCE = 8
"""How many jobs a worker runs at once."""
MORE_AT_ONCE = 4
"""How many more it runs of those that must not queue behind the others."""
CANCEL_SECONDS = 2.0
"""How long what is cut off at shutdown is given to end."""


class Jobs:
    """Runs the owed jobs of a store, a bounded number at once, and the background coroutines of this worker.

    Jobs whose id begins with one of `first` never queue behind the others.
    """

    def __init__(self, store: Store, run: Run, *, first: Sequence[str] = ()) -> None:
        self._store = store
        self._run = run
        self._first = first
        self._due = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
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
        """Take no more, and wait for what runs, at most so long; owed jobs that are not done stay owed."""
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        running = {*self._background, *self._running.values()}
        if running:
            _, running = await asyncio.wait(running, timeout=seconds)
            for task in running:
                task.cancel()
        if running:
            await asyncio.wait(running, timeout=CANCEL_SECONDS)

    async def _work(self) -> None:
        while True:
            self._due.clear()
            try:
                if (job := await self._lease()) is not None:
                    self._begin(job)
                    continue
            except StoreError as error:
                logger.warning("Owed jobs wait for the journal: {}", error)
            # Not `wait_for`: before Python 3.12 it may swallow the cancellation that ends this loop.
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._due.wait()

    def _begin(self, job: Job) -> None:
        if job.id in self._running:
            return  # its lease had run out, because the journal was away, and is ours again
        self._running[job.id] = asyncio.create_task(self._attempt(job), name=f"job {job.name}")

    async def _attempt(self, job: Job) -> None:
        try:
            again = await attempt(self._store, job, self._run, lease=LEASE_SECONDS, pauses=RETRY_SECONDS)
        finally:
            del self._running[job.id]
            self._due.set()
        if again is not None:
            asyncio.get_running_loop().call_later(max(again - steady.now(), 0.0), self._due.set)

    async def _lease(self) -> Job | None:
        """The next job that there is room for."""
        busy = len(self._running)
        if busy < AT_ONCE:
            return await self._leased(only=())
        return await self._leased(only=self._first) if self._first and busy < AT_ONCE + MORE_AT_ONCE else None

    async def _leased(self, *, only: Sequence[str]) -> Job | None:
        leasing = asyncio.ensure_future(self._store.lease(now=steady.now(), seconds=LEASE_SECONDS, only=only))
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:
            # The server goes down: what was leased in this moment is given back.
            with suppress(StoreError):
                if (job := await leasing) is not None:
                    await self._store.settle(job, retry_at=job.due_at)
            raise
