"""Running jobs: how many run at once, how long their leases last, and what a shutdown does to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from layercode_app import LayerCode, SessionEnd, VoiceAgent
from layercode_app.exceptions import StoreError
from layercode_app.jobs import attempt, queue
from layercode_app.jobs.queue import AT_ONCE, Jobs
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Job, Store
from layercode_app.observability.privacy import masking
from layercode_app.watch.watch import CHORES

from ..calling import calling, settings
from ..waiting import until

pytestmark = pytest.mark.anyio


class Hooks:
    """Jobs that run until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.proceed = asyncio.Event()

    async def run(self, job: Job) -> None:
        self.begun.append(job.id)
        if job.name == "hook":
            await self.proceed.wait()
        self.done.append(job.id)


@asynccontextmanager
async def working(store: Store, hooks: Hooks, *, drain: float = 5) -> AsyncIterator[Jobs]:
    running = Jobs(store, hooks.run, first=CHORES)
    running.start()
    try:
        yield running
    finally:
        await running.drain(drain)


async def test_some_run_at_once_and_the_rest_when_there_is_room(store: Store) -> None:
    hooks = Hooks()
    async with working(store, hooks) as running:
        for number in range(AT_ONCE + 3):
            await running.enqueue(Job(f"j{number}", "hook", "a", {}))
        await until(lambda: len(hooks.begun) == AT_ONCE)
        await asyncio.sleep(0.02)
        assert len(hooks.begun) == AT_ONCE
        hooks.proceed.set()
        await until(lambda: len(hooks.done) == AT_ONCE + 3)
    assert sorted(hooks.begun) == sorted(hooks.done)


async def test_chores_never_wait_for_hooks(store: Store) -> None:
    hooks = Hooks()
    async with working(store, hooks) as running:
        for number in range(AT_ONCE * 2):
            await running.enqueue(Job(f"j{number}", "hook", "a", {}))
        await until(lambda: len(hooks.begun) == AT_ONCE)
        for chore in ("alerts", "alert-spend", "retention"):
            await running.enqueue(Job(chore, chore, "", {}))
        await until(lambda: len(hooks.done) == 3)
        assert sorted(hooks.done) == ["alert-spend", "alerts", "retention"]
        hooks.proceed.set()


async def test_a_job_that_outlasts_its_lease_is_kept_from_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "RENEWALS", 6_000)  # one every 10 ms
    hooks = Hooks()
    async with working(store, hooks) as running:
        await running.enqueue(Job("long", "hook", "a", {}))
        await until(lambda: hooks.begun == ["long"])
        when_it_would_end = time.time() + queue.LEASE_SECONDS
        async with asyncio.timeout(100):
            while await store.lease(now=when_it_would_end, seconds=0) is not None:
                await asyncio.sleep(0.05)
        hooks.proceed.set()
    assert hooks.done == ["long"]


async def test_a_shutdown_lets_a_hook_come_to_its_end_so_that_it_does_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, proceed, ran = asyncio.Event(), asyncio.Event(), []
    agent = VoiceAgent("office")

    @agent.on_session_end
    async def note(event: SessionEnd) -> None:
        begun.set()
        await proceed.wait()
        ran.append(event.session_id)

    app = LayerCode(agent, settings=settings(tmp_path))
    drain = app.jobs.drain

    async def drained(seconds: float) -> None:
        asyncio.get_running_loop().call_later(0.02, proceed.set)
        await drain(seconds)

    monkeypatch.setattr(app.jobs, "drain", drained)
    async with calling(app) as caller:
        await caller.send({"type": "session.end", "session_id": "s"})
        await begun.wait()
    assert ran == ["s"]
    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        await caller.send({"type": "session.end", "session_id": "next"})
        await until(lambda: "next" in ran)
    assert ran == ["s", "next"]


async def test_a_job_that_is_done_while_the_journal_is_away_is_not_done_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "SETTLE_SECONDS", 0.001)
    hooks, settle, failures = Hooks(), store.settle, iter(range(3))

    async def unless_away(job: Job, *, retry_at: float | None = None) -> None:
        if next(failures, None) is not None:
            raise StoreError("away")
        await settle(job, retry_at=retry_at)

    monkeypatch.setattr(store, "settle", unless_away)
    async with working(store, hooks) as running:
        await running.enqueue(Job("once", "quick", "a", {}))
        await until(lambda: hooks.done == ["once"])
    assert await store.lease(now=1e12, seconds=60) is None
    assert hooks.begun == ["once"]


@pytest.mark.parametrize("cut_off", [False, True])
async def test_a_job_that_another_worker_took_over_is_not_given_to_a_third(
    store: Store, tmp_path: Path, cut_off: bool
) -> None:
    async def fail_late(job: Job) -> None:
        time.sleep(0.4)  # the loop stands still, and no lease is renewed
        began.set()
        await (asyncio.Event().wait() if cut_off else asyncio.sleep(0.05))
        raise RuntimeError("too late")

    other, began = create_store(f"sqlite:///{tmp_path}/journal.sqlite3"), asyncio.Event()
    await other.open()
    await store.enqueue(Job("j", "hook", "a", {}, "c"))
    job = await store.lease(now=time.time(), seconds=0.3)
    assert job is not None
    trying = asyncio.create_task(attempt.attempt(attempt.Lease(store, job, 0.3), fail_late, (0.0, 0.0)))
    await began.wait()
    assert await other.lease(now=time.time(), seconds=60) is not None
    if cut_off:
        trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    assert await store.lease(now=time.time() + 1, seconds=60) is None
    await other.close()


async def test_the_secrets_of_a_call_are_masked_in_its_jobs(store: Store) -> None:
    logged: list[str] = []

    async def run(job: Job) -> None:
        logged.append(masking.clean("test-of-job-1 test-of-call-2"))

    await store.establish("c", {"users": [{"token": "test-of-call-2"}]})
    jobs = Jobs(store, run)
    jobs.start()
    await jobs.enqueue(Job("j", "task", "a", {"arguments": {"api_key": "test-of-job-1"}}, "c"))
    await until(lambda: bool(logged))
    await jobs.drain(5)
    assert logged == ["[redacted] [redacted]"]
