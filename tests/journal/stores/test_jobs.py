"""A job is enqueued once, leased to one worker, and kept until it is done."""

from __future__ import annotations

import asyncio

import pytest

from layercode_app.journal.stores.base import Job, Store

pytestmark = pytest.mark.anyio


async def test_a_job_is_owed_once_even_when_it_is_done(store: Store) -> None:
    job = Job("j", "n", "a", {"text": "Grüße"}, "c", trace={"traceparent": "x"})
    assert [await store.enqueue(job), await store.enqueue(job)] == [True, False]
    leased = await store.lease(now=10, seconds=60)
    assert leased == job
    await store.settle(job)
    assert not await store.enqueue(job)
    assert await store.lease(now=1e12, seconds=60) is None


async def test_a_lease_keeps_others_out_until_it_ends(store: Store) -> None:
    await store.enqueue(Job("j", "n", "a", {}))
    leases = await asyncio.gather(*[store.lease(now=100, seconds=60) for _ in range(10)])
    assert len([job for job in leases if job]) == 1
    assert await store.lease(now=159, seconds=60) is None
    again = await store.lease(now=161, seconds=60)
    assert again is not None
    assert again.id == "j"


async def test_a_job_waits_until_it_is_due_and_the_oldest_goes_first(store: Store) -> None:
    await store.enqueue(Job("later", "n", "a", {}, due_at=200))
    await store.enqueue(Job("second", "n", "a", {}, due_at=100))
    await store.enqueue(Job("first", "n", "a", {}, due_at=50))
    found = [await store.lease(now=150, seconds=1000) for _ in range(3)]
    assert [job and job.id for job in found] == ["first", "second", None]


async def test_a_failed_job_is_due_again_with_its_tries_and_error(store: Store) -> None:
    await store.enqueue(Job("j", "n", "a", {"k": 1}))
    job = await store.lease(now=100, seconds=60)
    assert job is not None
    job.attempts, job.error = 1, "ValueError: no"
    await store.settle(job, retry_at=120)
    assert await store.lease(now=119, seconds=60) is None
    again = await store.lease(now=121, seconds=60)
    assert again is not None
    assert (again.attempts, again.error, again.payload) == (1, "ValueError: no", {"k": 1})


async def test_a_job_is_pending_until_it_is_done_or_forgotten(store: Store) -> None:
    done, forgotten = Job("done", "n", "a", {}, "c"), Job("forgotten", "n", "a", {}, "d")
    for job in (done, forgotten):
        assert not await store.is_pending(job)
        await store.enqueue(job)
        assert await store.is_pending(job)
    await store.lease(now=100, seconds=60)
    assert await store.is_pending(done)
    await store.settle(done)
    await store.forget("d")
    assert not await store.is_pending(done)
    assert not await store.is_pending(forgotten)


async def test_a_forgotten_job_does_not_come_back(store: Store) -> None:
    await store.enqueue(Job("j", "n", "a", {}, "c"))
    job = await store.lease(now=100, seconds=60)
    assert job is not None
    await store.forget("c")
    await store.settle(job, retry_at=100)
    assert await store.lease(now=1000, seconds=60) is None


async def test_a_renewed_lease_keeps_others_out_for_longer(store: Store) -> None:
    await store.enqueue(Job("j", "n", "a", {}))
    job = await store.lease(now=100, seconds=60)
    assert job is not None
    await store.renew(job, until=200)
    assert await store.lease(now=199, seconds=60) is None
    again = await store.lease(now=201, seconds=60)
    assert again is not None
    await store.settle(again)
    await store.renew(job, until=300)
    assert await store.lease(now=1e12, seconds=60) is None
    assert not await store.enqueue(job)


async def test_jobs_are_leased_by_how_their_id_begins(store: Store) -> None:
    for number in range(120):
        await store.enqueue(Job(f"hook-{number}", "n", "a", {}, due_at=number))
    for number, job_id in enumerate(("chore%-1", "CHORE-1", "chore-1", "alert-1", "chore-2")):
        await store.enqueue(Job(job_id, "n", "a", {}, due_at=200 + number))
    only = ("chore-", "alert")
    found = [await store.lease(now=1000, seconds=60, only=only) for _ in range(4)]
    assert [job and job.id for job in found] == ["chore-1", "alert-1", "chore-2", None]
    assert await store.lease(now=100, seconds=60, only=only) is None
    anything = await store.lease(now=1000, seconds=60)
    assert anything is not None
    assert anything.id == "hook-0"


async def test_an_attempt_is_saved_while_the_job_is_leased_and_not_after_its_end(store: Store) -> None:
    await store.enqueue(Job("j", "n", "a", {"k": 1}))
    job = await store.lease(now=100, seconds=60)
    assert job is not None
    job.attempts, job.error = 1, "unfinished"
    await store.save_attempt(job)
    assert await store.lease(now=159, seconds=60) is None
    again = await store.lease(now=161, seconds=60)
    assert again is not None
    assert (again.attempts, again.error, again.payload) == (1, "unfinished", {"k": 1})
    await store.settle(again)
    await store.save_attempt(job)
    assert await store.pending_jobs() == []
