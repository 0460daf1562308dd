"""Several workers share one journal.

The journal knows which workers are alive and which may write, and passes signals between them.
"""

from __future__ import annotations

import asyncio
import copy

import pytest

from layercode_app.journal.record import Status
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Job, Signal

from .conftest import Open
from .records import add, begin, ended, turn

pytestmark = pytest.mark.anyio


async def test_one_worker_sees_what_another_wrote(worker: Open) -> None:
    a, b = await worker(), await worker()
    for number in range(10):
        writer, reader = (a, b) if number % 2 else (b, a)
        await add(writer, turn("c", f"t{number}"))
        await writer.save_state("c", {f"s{number}": number})
        begun = await begin(reader, turn("c", f"t{number}"))
        assert begun.outcome == "finished"
        assert begun.record.spoken_text == "hi"
    begun = await begin(a, turn("c", "last"))
    assert [past.turn_id for past in begun.history] == [f"t{number}" for number in range(10)]
    assert begun.state == {f"s{number}": number for number in range(10)}


async def test_of_two_workers_one_begins_a_turn(worker: Open) -> None:
    a, b = await worker(), await worker()
    for number in range(30):
        begun = await asyncio.gather(*[begin(store, turn("c", f"t{number}")) for store in (a, b)])
        assert sorted(one.outcome for one in begun) == ["new", "running"]
        winner = next(store for store, one in zip((a, b), begun, strict=True) if one.outcome == "new")
        assert {one.record.owner for one in begun} == {winner.owner}


async def test_of_two_workers_one_claims_and_the_other_cannot_save(worker: Open) -> None:
    dead, a, b = await worker(), await worker(), await worker()
    record = (await begin(dead, turn("c", "t"))).record
    views = [await store.get("c", "t") for store in (a, b)]
    claimed = await asyncio.gather(*[store.claim(view) for store, view in zip((a, b), views, strict=True) if view])
    assert sorted(claimed) == [False, True]
    await dead.save(ended(record, "zombie"))
    stored = await a.get("c", "t")
    assert stored is not None
    assert (stored.status, stored.owner) == (Status.RUNNING, (a, b)[claimed.index(True)].owner)


async def test_changes_by_two_workers_at_once_are_all_kept(worker: Open) -> None:
    stores = [await worker(), await worker()]
    await add(stores[0], turn("c", "t"))

    async def note(number: int) -> None:
        await stores[number % 2].update("c", "t", lambda record: record.notes.append(str(number)))
        await stores[number % 2].save_state("c", {str(number): number})

    await asyncio.gather(*[note(number) for number in range(30)])
    read = await stores[0].get("c", "t")
    assert read is not None
    assert sorted(map(int, read.notes)) == list(range(30))
    assert len((await stores[1].conversation("c")).state) == 30


async def test_a_call_forgotten_by_one_worker_keeps_no_state_that_another_saves(worker: Open) -> None:
    a, b = await worker(), await worker()
    for number in range(30):
        await add(a, turn("c", f"t{number}"))
        await asyncio.gather(a.forget("c"), b.save_state("c", {"x": number}, turn_id=f"t{number}"))
        assert (await a.conversation("c")).state == {}
        assert await b.established() == []


async def test_a_job_is_leased_by_one_worker(worker: Open) -> None:
    a, b = await worker(), await worker()
    for number in range(10):
        await a.enqueue(Job(f"j{number}", "n", "a", {}))
        assert not await b.enqueue(Job(f"j{number}", "n", "a", {}))
    leased = await asyncio.gather(*[store.lease(now=100, seconds=60) for store in (a, b) for _ in range(10)])
    assert sorted(job.id for job in leased if job) == [f"j{number}" for number in range(10)]


async def test_a_worker_is_alive_while_its_store_is_open(worker: Open) -> None:
    a, b = await worker(), await worker()
    assert a.owner != b.owner
    assert await a.alive(b.owner)
    assert await b.alive(b.owner)
    await b.close()
    assert not await a.alive(b.owner)
    assert not await a.alive("nobody")


async def test_a_store_that_was_made_before_a_fork_is_a_worker_in_each_process(shared_url: str) -> None:
    made = create_store(shared_url)
    stores = [copy.deepcopy(made), copy.deepcopy(made)]  # what `gunicorn --preload` does: each process has a copy
    for store in stores:
        await store.open()
    first, second = stores
    assert await first.held_elsewhere((await begin(second, turn("c", "t"))).record)
    await second.close()
    assert not await first.alive(second.owner)
    await first.close()


async def test_a_store_that_is_opened_again_is_a_new_worker(worker: Open) -> None:
    store, other = await worker(), await worker()
    left = (await begin(store, turn("c", "t"))).record.owner
    await store.close()
    await store.open()
    assert not await store.alive(left)
    assert await other.alive(store.owner)


async def test_a_signal_reaches_the_worker_it_is_for_soon_and_in_order(worker: Open) -> None:
    a, b, c = await worker(), await worker(), await worker()
    got: asyncio.Queue[Signal] = asyncio.Queue()
    others: list[Signal] = []
    b.on_signal(got.put_nowait)
    c.on_signal(others.append)
    sent = [Signal("follow", "c", "t"), Signal("stop", "cé", "t", Status.INTERRUPTED), Signal("unfollow", "c", "t")]
    for signal in sent:
        await a.signal(b.owner, signal)
    received = [await asyncio.wait_for(got.get(), 100) for _ in sent]
    assert received == sent
    assert others == []


async def test_a_signal_to_oneself_arrives(worker: Open) -> None:
    a = await worker()
    got: asyncio.Queue[Signal] = asyncio.Queue()
    a.on_signal(got.put_nowait)
    await a.signal(a.owner, Signal("stop", "c", "t"))
    assert (await asyncio.wait_for(got.get(), 100)).kind == "stop"


async def test_a_journal_outlives_its_workers(worker: Open) -> None:
    first = await worker()
    await add(first, turn("c", "done"))
    await begin(first, turn("c", "running"))
    await first.close()
    second = await worker()
    assert (await begin(second, turn("c", "done"))).outcome == "finished"
    known = await begin(second, turn("c", "running"))
    assert known.outcome == "running"
    assert not await second.alive(known.record.owner)
