"""Session events are recorded and their hooks run, even if the first delivery failed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from layercode_app import LayerCode, SessionEnd, SessionUpdate, VoiceAgent
from layercode_app.conversation import delivery
from layercode_app.exceptions import StoreError
from layercode_app.journal.check_journal import check_journal
from layercode_app.journal.stores.base import Job
from layercode_app.testing import open_call

from ..calling import Caller, calling, settings

pytestmark = pytest.mark.anyio

END = {"type": "session.end", "session_id": "s"}
UPDATE = {"type": "session.update", "session_id": "s", "recording_status": "completed"}


class Office:
    """An agent that notes the events of its sessions."""

    def __init__(self) -> None:
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.updated: list[str] = []
        self.fails = 0
        self.begun, self.proceed = asyncio.Event(), asyncio.Event()
        self.proceed.set()
        self.voice = VoiceAgent("office")
        self.voice.on_session_end(self._end)
        self.voice.on_session_update(self._update)

    async def _end(self, event: SessionEnd) -> None:
        self.ended.put_nowait(event.session_id)

    async def _update(self, event: SessionUpdate) -> None:
        self.begun.set()
        await self.proceed.wait()
        self.updated.append(event.session_id)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the archive is closed")


async def away(job: Job) -> bool:
    raise StoreError("away")


async def statuses(app: LayerCode) -> list[str]:
    return [str(record.status) async for record in app.store.turns()]


async def test_an_end_that_could_not_be_kept_is_kept_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office()
    app = LayerCode(office.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        with monkeypatch.context() as outage:
            outage.setattr(app.store, "enqueue", away)
            assert (await caller.send(END)).status >= 500
        answers = [(await caller.send(END)).status for _ in range(2)]
        async with asyncio.timeout(100):
            assert await office.ended.get() == "s"
        assert await statuses(app) == ["complete"]
    assert answers == [200, 200]
    assert office.ended.empty()


async def test_an_end_whose_worker_died_at_it_is_kept_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Office(), Office()
    dead = LayerCode(first.voice, settings=settings(tmp_path))
    async with calling(dead) as caller:
        monkeypatch.setattr(dead.store, "enqueue", away)
        await caller.send(END)
        conversation_id = caller.conversation_id
    app = LayerCode(second.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        caller.conversation_id = conversation_id
        assert (await caller.send(END)).status == 200
        async with asyncio.timeout(100):
            assert await second.ended.get() == "s"
        assert await statuses(app) == ["complete"]


async def test_an_update_whose_hook_failed_is_given_to_it_again_and_then_no_more(tmp_path: Path) -> None:
    office = Office()
    office.fails = 1
    app = LayerCode(office.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        answers = [(await caller.send(UPDATE)).status for _ in range(3)]
        assert await statuses(app) == ["complete"]
    assert answers == [500, 200, 200]
    assert office.updated == ["s", "s"]


@pytest.mark.parametrize("fails", [0, 1])
async def test_a_duplicate_waits_for_the_first_and_does_what_that_one_failed_at(fails: int, tmp_path: Path) -> None:
    office = Office()
    office.fails = fails
    office.proceed.clear()

    async def send(caller: Caller) -> int:
        return (await caller.send(UPDATE)).status

    async with calling(LayerCode(office.voice, settings=settings(tmp_path))) as caller:
        first = asyncio.create_task(send(caller))
        await office.begun.wait()
        second = asyncio.create_task(send(caller))
        await asyncio.sleep(0.05)
        assert not second.done()
        office.proceed.set()
        answers = [await first, await second]
    assert answers == [500 if fails else 200, 200]
    assert office.updated == ["s"] * (1 + fails)


@pytest.mark.parametrize("fails", [0, 1])
async def test_a_duplicate_on_another_worker_waits_until_the_first_has_done_it(
    fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The hook takes longer than DISPLACE_SECONDS. After this time, a worker ends a turn that another worker runs.
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.02)
    office = Office()
    office.fails = fails
    first, second = (LayerCode(office.voice, settings=settings(tmp_path)) for _ in range(2))
    async with calling(first) as caller, calling(second) as other:
        other.conversation_id = caller.conversation_id
        # The first worker may have failed at the event once before.
        assert [(await caller.send(UPDATE)).status for _ in range(fails)] == [500] * fails
        office.begun.clear()
        office.proceed.clear()
        sent = [asyncio.create_task(caller.send(UPDATE))]
        await office.begun.wait()
        sent.append(asyncio.create_task(other.send(UPDATE)))
        await asyncio.sleep(0.2)
        office.proceed.set()
        assert [(await answer).status for answer in sent] == [200, 200]
    assert office.updated == ["s"] * (fails + 1)


async def test_what_another_worker_failed_at_is_done_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.02)
    office = Office()
    office.fails = 1
    first, second = (LayerCode(office.voice, settings=settings(tmp_path)) for _ in range(2))
    async with calling(first) as caller, calling(second) as other:
        other.conversation_id = caller.conversation_id
        assert [(await one.send(UPDATE)).status for one in (caller, other, caller)] == [500, 200, 200]
        assert await statuses(second) == ["complete"]
    assert office.updated == ["s", "s"]


@pytest.mark.parametrize(
    "odd",
    [
        {"started_at": "yesterday"},
        {"ended_at": [2026]},
        {"duration": "a minute"},
        {"transcript": "Hello"},
        {"transcript": [{"role": "user"}, "Hello", {"role": 5, "text": "Hi", "timestamp": "now"}]},
        {"recording_url": {"href": "x"}},
        {"metadata": "{}"},
    ],
    ids=lambda odd: next(iter(odd)),
)
async def test_an_end_with_a_field_that_cannot_be_read_still_runs_the_hooks(odd: dict[str, Any]) -> None:
    office = Office()
    async with open_call(office.voice) as call:
        assert await call.end(**odd) == {"ok": True}
        assert office.ended.get_nowait() == call.session_id


async def test_a_check_of_the_journal_leaves_an_event_whose_hook_failed_for_its_redelivery(tmp_path: Path) -> None:
    office = Office()
    office.fails = 1
    async with calling(LayerCode(office.voice, settings=settings(tmp_path))) as caller:
        assert (await caller.send(UPDATE)).status == 500
        conversation_id = caller.conversation_id
    app = LayerCode(office.voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        assert (await check_journal(app.store, fix=True)).healthy
        caller.conversation_id = conversation_id
        assert (await caller.send(UPDATE)).status == 200
    assert office.updated == ["s", "s"]
