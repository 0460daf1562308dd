"""An attempt is counted before it runs. So a job that kills its worker is given up like a job that raises errors."""

from __future__ import annotations

import asyncio

import pytest

from layercode_app.jobs.attempt import Lease, attempt
from layercode_app.journal import steady_clock
from layercode_app.journal.stores.base import Job, Store

pytestmark = pytest.mark.anyio

PAUSES = (0.0, 0.0)


class Killed(KeyboardInterrupt):
    """Ends an attempt as if its worker had died: the result of the attempt is not recorded."""


async def die(job: Job) -> None:
    raise Killed


async def leased(store: Store, hours: float) -> Job:
    job = await store.lease(now=steady_clock.now() + hours * 3600, seconds=60)
    assert job is not None
    return job


async def test_a_job_that_kills_its_workers_is_given_up(store: Store, warned: list[str]) -> None:
    await store.enqueue(Job("j", "task", "a", {}))
    for number in range(len(PAUSES) + 1):
        job = await leased(store, number)
        with pytest.raises(Killed):
            await attempt(Lease(store, job, 60), die, PAUSES)
        job = await leased(store, number + 0.5)
        again = await attempt(Lease(store, job, 60), die, PAUSES)
        assert (again is None) == (number == len(PAUSES))
    assert await store.pending_jobs() == []
    assert warned[-1] == "Job j failed for good after 3 attempts"


async def test_a_job_that_recurs_is_never_given_up(store: Store) -> None:
    await store.enqueue(Job("alerts", "alerts", "", {}))
    for number in range(len(PAUSES) + 3):
        with pytest.raises(Killed):
            await attempt(Lease(store, await leased(store, number), 60), die, PAUSES)
    assert await store.pending_jobs() != []


async def test_a_job_that_a_shutdown_cut_off_keeps_its_attempts(store: Store) -> None:
    began = asyncio.Event()

    async def wait(job: Job) -> None:
        began.set()
        await asyncio.Event().wait()

    await store.enqueue(Job("j", "task", "a", {}, attempts=1, error="ValueError: no"))
    trying = asyncio.create_task(attempt(Lease(store, await leased(store, 0), 60), wait, PAUSES))
    await began.wait()
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    job = await leased(store, 0)
    assert (job.attempts, job.error) == (1, "ValueError: no")


async def test_a_job_that_fails_after_a_shutdown_leaves_the_next_worker_its_lease(store: Store) -> None:
    began, proceed = asyncio.Event(), asyncio.Event()

    async def fail(job: Job) -> None:
        began.set()
        await proceed.wait()
        raise ValueError("the server is gone")

    await store.enqueue(Job("j", "task", "a", {}))
    held = Lease(store, await leased(store, 0), 60)
    trying = asyncio.create_task(attempt(held, fail, PAUSES))
    await began.wait()
    await held.release()
    await leased(store, 0)  # by another worker, for 60 seconds
    proceed.set()
    await trying
    assert await store.lease(now=steady_clock.now() + 30, seconds=60) is None
