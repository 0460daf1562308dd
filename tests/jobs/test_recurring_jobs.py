"""Recurring jobs run again when they are due.

The job loop stops on request, even if a job becomes due at the same moment.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from layercode_app.jobs import queue
from layercode_app.jobs.queue import Jobs
from layercode_app.journal.stores.base import Job
from layercode_app.journal.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio


async def test_a_job_that_says_when_it_is_due_again_runs_again_and_keeps_its_payload() -> None:
    seen: list[int] = []

    async def run(job: Job) -> float | None:
        seen.append(job.payload["n"])
        job.payload["n"] += 1
        return time.time() + 0.01 if len(seen) < 3 else None

    store = MemoryStore()
    jobs = Jobs(store, run)
    jobs.start()
    await jobs.enqueue(Job("again", "again", "", {"n": 0}))
    async with asyncio.timeout(100):
        while len(seen) < 3:
            await asyncio.sleep(0.01)
    await jobs.drain(1)
    assert seen == [0, 1, 2]
    assert await store.enqueue(Job("again", "again", "", {})) is False


async def test_the_loop_ends_when_a_job_becomes_due_in_the_same_moment() -> None:
    async def run(job: Job) -> None:
        return None

    for _ in range(20):
        jobs = Jobs(MemoryStore(), run)
        jobs.start()
        await asyncio.sleep(0.001)
        jobs._due.set()
        await asyncio.sleep(0)
        async with asyncio.timeout(100):
            await jobs.drain(1)


async def test_a_job_that_was_running_when_the_server_went_down_is_free_at_once() -> None:
    begun = asyncio.Event()

    async def run(job: Job) -> None:
        begun.set()
        await asyncio.sleep(60)

    store = MemoryStore()
    jobs = Jobs(store, run)
    jobs.start()
    await jobs.enqueue(Job("long", "long", "", {}))
    await begun.wait()
    await jobs.drain(0.1)
    assert await store.lease(now=time.time(), seconds=60) is not None


async def test_a_job_that_cleans_up_for_long_when_the_server_goes_down_is_free_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue, "CANCEL_SECONDS", 0.01)
    begun, cleaned = asyncio.Event(), asyncio.Event()

    async def run(job: Job) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await cleaned.wait()

    store = MemoryStore()
    jobs = Jobs(store, run)
    jobs.start()
    await jobs.enqueue(Job("long", "long", "a", {}))
    await begun.wait()
    await jobs.drain(0.1)
    job = await store.lease(now=time.time(), seconds=60)
    assert job is not None
    assert (job.attempts, job.error) == (0, None)
    cleaned.set()
