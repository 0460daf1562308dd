"""A turn that could not be saved is saved later, with its state and its jobs, unless a newer turn was saved first."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from layercode_app.exceptions import StoreError
from layercode_app.jobs import late_saves
from layercode_app.jobs.late_saves import LateSaves
from layercode_app.journal.forget import NOTES, forget_notes
from layercode_app.journal.record import TurnRecord
from layercode_app.journal.stores.base import Job
from layercode_app.journal.stores.memory import MemoryStore

from ..journal.stores.records import begin, ended, turn

pytestmark = pytest.mark.anyio


class Away(MemoryStore):
    """A store that is away for some saves."""

    failures = 2

    async def save(self, record: TurnRecord, **named: Any) -> bool:
        if self.failures:
            self.failures -= 1
            raise StoreError("away")
        return await super().save(record, **named)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Away:
    monkeypatch.setattr(late_saves, "PAUSES", (0.001,) * 5)
    return Away()


async def saved(store: Away, record: TurnRecord) -> TurnRecord:
    async with asyncio.timeout(100):
        while (found := await store.get(*record.key)) is None or not found.finished:
            await asyncio.sleep(0.001)
    return found


async def test_it_is_tried_until_it_is_written(store: Away) -> None:
    record = (await begin(store, turn("c", "t"))).record
    job = Job("j", "n", "a", {})
    late = LateSaves(store, store.enqueue)
    late.keep(ended(record), {"items": 1}, [job])
    record.notes.append("changed since")

    assert (await saved(store, record)).notes == []
    assert (await store.conversation("c")).state == {"items": 1}
    owed = await store.lease(now=time.time(), seconds=60)
    assert owed is not None
    assert owed.id == "j"
    await late.close()


async def test_an_old_turn_does_not_undo_a_newer_ones_state(store: Away, warned: list[str]) -> None:
    record = (await begin(store, turn("c", "t"))).record
    late = LateSaves(store, store.enqueue)
    late.keep(ended(record), {"items": 1}, [])
    await begin(store, turn("c", "newer"))
    await store.save_state("c", {"items": 2})

    await saved(store, record)
    assert (await store.conversation("c")).state == {"items": 2}
    assert any("State changes of turn t are dropped" in line for line in warned)
    await late.close()


@pytest.mark.parametrize(("began", "kept"), [(-10, ["hook", "of-bob"]), (10, ["hook", "of-ann", "of-bob"])])
async def test_notes_on_a_caller_who_was_forgotten_since_the_turn_began_are_dropped(
    store: Away, began: float, kept: list[str]
) -> None:
    record = (await begin(store, turn("c", "t", started_at=time.time() + began))).record
    arguments = [{"key": key, "added": ["x"], "removed": []} for key in ("ann", "bob")]
    notes = [Job(f"of-{each['key']}", "task", "a", {"task": NOTES, "arguments": each}, "c") for each in arguments]
    late = LateSaves(store, store.enqueue)
    late.keep(ended(record), {}, [*notes, Job("hook", "n", "a", {})])
    await forget_notes(store, "ann")
    await saved(store, record)
    assert sorted(job.id for job in await store.pending_jobs()) == kept
    await late.close()


async def test_it_ends_when_the_server_does_or_the_tries_are_used_up(store: Away) -> None:
    store.failures = 1000
    late = LateSaves(store, store.enqueue)
    late.keep(ended((await begin(store, turn("c", "t"))).record), {}, [])
    await asyncio.sleep(0.05)
    late.keep(ended((await begin(store, turn("c", "u"))).record), {}, [])
    await late.close()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "late-save"] == []


def test_saves_that_a_closed_event_loop_left_behind_are_retried_on_the_next_one(store: Away) -> None:
    store.failures = 0
    late = LateSaves(store, store.enqueue)

    async def leave_behind() -> TurnRecord:
        record = (await begin(store, turn("c", "t"))).record
        late.keep(ended(record), {}, [])
        return record

    async def go_on(record: TurnRecord) -> None:
        late.open()
        assert (await saved(store, record)).finished
        await late.close()

    asyncio.run(go_on(asyncio.run(leave_behind())))
