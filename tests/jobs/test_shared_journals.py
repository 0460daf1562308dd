"""Services that share a journal: a worker leaves some jobs to other workers.

These are the jobs that the worker cannot run, and the jobs of another service.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, SessionEnd, VoiceAgent
from layercode_app.jobs import put_back, queue
from layercode_app.journal import steady_clock
from layercode_app.journal.stores.base import Job
from layercode_app.watch.alerts import ALERT_MESSAGE, ALERTS

from ..calling import settings
from ..platform.far_side import answer, far_side
from ..priced import inbox
from ..waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_back, "SHORTEST", 0.02)
    monkeypatch.setattr(put_back, "CHORE_SECONDS", 0.02)
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.02)


class Service:
    """A server with one agent. `ran` and `put_back` tell which jobs the server ran and which it put back."""

    def __init__(self, folder: Path, name: str, *, reminds: bool = True, **more: Any) -> None:
        self.ran: list[str] = []
        voice = VoiceAgent(name, greeting="Hello!")

        @voice.on_session_end
        async def end(event: SessionEnd) -> None:
            self.ran.append(event.session_id)

        if reminds:

            @voice.task
            async def remind(who: str) -> None:
                self.ran.append(who)

        self.app = LayerCode(voice, settings=settings(folder, **more))
        self.put_back: list[str] = []
        settle = self.app.store.settle

        async def noted(job: Job, *, retry_at: float | None = None) -> None:
            await settle(job, retry_at=retry_at)
            if retry_at is not None and (job.agent or job.name in (ALERTS, ALERT_MESSAGE)):
                self.put_back.append(job.id)

        self.app.store.settle = noted  # type: ignore[method-assign]

    @asynccontextmanager
    async def up(self) -> AsyncIterator[Service]:
        await self.app.start()
        try:
            yield self
        finally:
            await self.app.stop()


def ended(agent: str, session: str) -> Job:
    payload = {"type": "session.end", "session_id": session, "conversation_id": "c"}
    return Job(f"end-{agent}-{session}", "session_end", agent, payload, "c", attempts=1)


async def test_a_job_waits_for_a_worker_that_has_its_agent(tmp_path: Path, warned: list[str]) -> None:
    async with Service(tmp_path, "b").up() as b:
        for session in ("1", "2"):
            await b.app.jobs.enqueue(ended("a", session))
        await until(lambda: len(b.put_back) > 10)
        assert warned == [
            "Job end-a-1 needs the agent 'a', which this worker does not have; the job is left to another worker"
        ]
        assert {job.attempts for job in await b.app.store.pending_jobs() if job.agent} == {1}
        async with Service(tmp_path, "a").up() as a:
            await until(lambda: sorted(a.ran) == ["1", "2"])
        assert b.ran == []


async def test_own_jobs_do_not_queue_behind_the_jobs_of_others(tmp_path: Path) -> None:
    async with Service(tmp_path, "b").up() as b:
        for number in range(50):
            await b.app.jobs.enqueue(ended("a", str(number)))
        await until(lambda: len(set(b.put_back)) == 50)
        await b.app.jobs.enqueue(ended("b", "own"))
        await until(lambda: b.ran == ["own"])


async def test_a_task_waits_for_a_worker_whose_agent_has_it(tmp_path: Path) -> None:
    async with Service(tmp_path, "a", reminds=False).up() as old:
        job = Job("t", "task", "a", {"task": "remind", "arguments": {"who": "Ada"}}, "c")
        await old.app.jobs.enqueue(job)
        await until(lambda: old.put_back)
        async with Service(tmp_path, "a").up() as new:
            await until(lambda: new.ran == ["Ada"])


async def test_a_job_whose_agent_no_worker_has_is_given_up_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.setattr(put_back, "GIVE_UP_SECONDS", 0.1)
    monkeypatch.setattr(queue, "RETRY_SECONDS", (0.01,))
    async with Service(tmp_path, "b").up() as b:
        job = ended("a", "1")
        await b.app.jobs.enqueue(job)
        await until(lambda: "Job end-a-1 failed for good after 2 attempts" in warned)
        assert [job.id for job in await b.app.store.pending_jobs() if job.agent] == []


def alerting(url: str, **more: Any) -> dict[str, Any]:
    rule = {"name": "any", "when": "turns >= 0", "window": "1h", "channels": ["ops"]}
    return {"alerts": [rule], "channels": {"ops": url}, "alert_interval": 0.05, **more}


@pytest.mark.parametrize("shop", [{}, {"service_name": "shop"}])
async def test_a_service_without_rules_leaves_the_alerts_to_the_service_that_has_them(
    tmp_path: Path, shop: dict[str, Any]
) -> None:
    async with inbox() as box, Service(tmp_path, "bank", alert_interval=0.05).up() as bank:
        assert {job.name for job in await bank.app.store.pending_jobs()} == {"retention", "crashed_turns"}
        await bank.app.jobs.enqueue(Job("alerts", ALERTS, "", {}))  # an older worker, or one with rules, enqueued it
        await until(lambda: len(bank.put_back) > 2)
        async with Service(tmp_path, "shop", **alerting(box.url, **shop)).up():
            await until(lambda: len(box.bodies) == 1)


async def test_each_service_sends_its_own_alerts_to_its_own_channel(tmp_path: Path) -> None:
    async with inbox() as banks, inbox() as shops:
        bank = Service(tmp_path, "bank", **alerting(banks.url, service_name="bank"))
        shop = Service(tmp_path, "shop", **alerting(shops.url, service_name="shop"))
        async with bank.up(), shop.up():
            await until(lambda: len(banks.bodies) == len(shops.bodies) == 1)
    assert [box.bodies[0]["title"] for box in (banks, shops)] == [
        "[bank (development)] any fired",
        "[shop (development)] any fired",
    ]


async def _stored(folder: Path) -> int:
    """Return how often the alerts job in the journal was attempted."""
    store = Service(folder, "bank").app.store
    await store.open()
    try:
        return next(job.attempts for job in await store.pending_jobs() if job.name == ALERTS)
    finally:
        await store.close()


async def test_the_journal_counts_how_often_alerts_were_put_back_since_their_service_ran_them(tmp_path: Path) -> None:
    async with Service(tmp_path, "bank").up() as bank:
        await bank.app.jobs.enqueue(Job("alerts", ALERTS, "", {}))
        await until(lambda: len(bank.put_back) > 2)
    assert await _stored(tmp_path) > 2
    async with inbox() as box, Service(tmp_path, "shop", **alerting(box.url)).up():
        await until(lambda: len(box.bodies) == 1)
    assert await _stored(tmp_path) == 0


def test_the_pause_of_a_chore_grows_only_after_its_service_missed_it_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_back, "CHORE_SECONDS", 5.0)
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    monkeypatch.setattr(steady_clock, "now", lambda: 0.0)
    job = Job("alerts", ALERTS, "", {})
    pauses = [put_back.PutBack().chore(job) for _ in range(500)]
    assert set(pauses[:30]) == {5.0}
    assert pauses[59] == 10.0
    assert pauses[-1] == put_back.LONGEST


async def test_the_message_of_a_service_without_workers_is_given_up_and_goes_to_no_other_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.setattr(put_back, "GIVE_UP_SECONDS", 0.1)
    monkeypatch.setattr(queue, "RETRY_SECONDS", (0.01,))
    async with inbox() as box, Service(tmp_path, "bank", channels={"ops": box.url}).up() as bank:
        message = {"channel": "ops", "title": "t", "body": "b", "kind": "info", "service": "shop"}
        await bank.app.jobs.enqueue(Job("alert-shop", ALERT_MESSAGE, "", message))
        await until(lambda: "Job alert-shop failed for good after 2 attempts" in warned)
        assert box.bodies == []
    assert (
        "Job alert-shop needs the service 'shop', which this worker does not have; the job is left to another worker"
        in warned
    )


@pytest.mark.parametrize(
    "newer", [Job("newer-1", "newer", "shop", {}), Job("newer-2", "task", "shop", {"task": "layercode.new"})]
)
async def test_a_job_that_only_a_newer_release_knows_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str], newer: Job
) -> None:
    monkeypatch.setattr(queue, "RETRY_SECONDS", (0.01,))
    async with Service(tmp_path, "shop").up() as service:
        await service.app.jobs.enqueue(newer)
        await until(lambda: len(service.put_back) > 2)
        assert newer.id in [job.id for job in await service.app.store.pending_jobs()]
        monkeypatch.setattr(put_back, "GIVE_UP_SECONDS", 0)
        await until(lambda: f"Job {newer.id} failed for good after 2 attempts" in warned)


@pytest.mark.parametrize("other", ["bank", "shop"])
async def test_a_hand_off_waits_for_a_service_with_its_agent_and_a_url(tmp_path: Path, other: str) -> None:
    notice = Job("handoff-1", "handoff", "shop", {"type": "handoff"}, "c")
    async with far_side(answer(200, {})) as wrong, far_side(answer(200, {})) as right:
        url = wrong.url if other == "bank" else None
        async with Service(tmp_path, other, handoff_url=url).up() as first:
            await first.app.jobs.enqueue(notice)
            await until(lambda: len(first.put_back) > 2)
            async with Service(tmp_path, "shop", handoff_url=right.url).up():
                await until(lambda: len(right.asked) == 1)
        assert wrong.asked == []
