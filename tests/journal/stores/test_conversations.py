"""Stores keep state and metadata by field, list conversations, and delete them."""

from __future__ import annotations

import asyncio
import time

import pytest

from layercode_app.journal.record import Kind
from layercode_app.journal.stores.base import Job, Store

from .records import add, begin, ended, turn

pytestmark = pytest.mark.anyio

DAY = 86_400


async def test_state_and_metadata_merge_by_field(store: Store) -> None:
    await store.establish("c", {"user": "Zoë 🙂", "plan": {"a": 1}})
    await store.establish("c", {"plan": {"b": 2}})
    await store.save_state("c", {"items": [1], "name": None})
    record = (await begin(store, turn("c", "t"))).record
    await store.save(ended(record), state={"items": [1, 2], "seen": True})
    begun = await begin(store, turn("c", "u"))
    kept = await store.conversation("c")

    assert begun.metadata == kept.metadata == {"user": "Zoë 🙂", "plan": {"b": 2}}
    assert begun.state == kept.state == {"items": [1, 2], "name": None, "seen": True}


async def test_fields_written_at_once_are_all_kept(store: Store) -> None:
    await asyncio.gather(
        *[store.save_state("c", {f"s{number}": number}) for number in range(20)],
        *[store.establish("c", {f"m{number}": number}) for number in range(20)],
    )
    kept = await store.conversation("c")
    assert kept.state == {f"s{number}": number for number in range(20)}
    assert kept.metadata == {f"m{number}": number for number in range(20)}


async def test_a_state_is_listed_however_it_was_saved(store: Store) -> None:
    await add(store, turn("only a turn"))
    record = (await begin(store, turn("with a turn"))).record
    await store.save(ended(record), state={"x": 1})
    await store.save_state("alone", {"x": 1})
    await store.establish("metadata", {"x": 1})
    assert sorted(await store.established()) == ["alone", "metadata", "with a turn"]


async def test_a_state_of_a_turn_is_saved_only_while_the_turn_is_stored(store: Store) -> None:
    await add(store, turn("c", "t"))
    assert await store.save_state("c", {"x": 1}, turn_id="t")
    assert not await store.save_state("c", {"x": 2}, turn_id="another")
    assert not await store.save_state("another", {"x": 3}, turn_id="t")
    assert (await store.conversation("c")).state == {"x": 1}
    await store.forget("c")
    assert not await store.save_state("c", {"x": 4}, turn_id="t")
    assert await store.established() == []
    await add(store, turn("c", "next"))
    assert not await store.save_state("c", {"x": 5}, turn_id="t")
    assert (await store.conversation("c")).state == (await store.conversation("another")).state == {}


async def test_an_unknown_conversation_is_empty(store: Store) -> None:
    kept = await store.conversation("nobody")
    assert (kept.conversation_id, kept.state, kept.metadata) == ("nobody", {}, {})


async def test_conversations_are_listed_newest_first(store: Store) -> None:
    now = time.time()
    for age, conversation in ((30, "old"), (20, "new"), (10, "old"), (5, "third")):
        await add(store, turn(conversation, started_at=now - age, agent=conversation))
    await store.establish("only authorized", {"x": 1})
    found = await store.conversations()

    assert [(s.conversation_id, s.agent, s.turns) for s in found] == [
        ("third", "third", 1),
        ("old", "old", 2),
        ("new", "new", 1),
    ]
    assert found[1].started_at == pytest.approx(now - 30)
    assert found[1].last_at == pytest.approx(now - 10)
    assert [s.conversation_id for s in await store.conversations(limit=1)] == ["third"]


async def test_only_turns_that_speak_are_counted(store: Store) -> None:
    for kind in (Kind.GREETING, Kind.MESSAGE, Kind.MESSAGE, Kind.DATA, Kind.SESSION):
        await add(store, turn("spoken", kind=kind))
    await add(store, turn("told", kind=Kind.SESSION))
    assert {s.conversation_id: s.turns for s in await store.conversations()} == {"spoken": 3, "told": 0}


async def test_forgetting_leaves_nothing_and_takes_nothing_else(store: Store) -> None:
    for name in ("gone", "stays"):
        await add(store, turn(name, "t"))
        await store.establish(name, {"user": name})
        await store.save_state(name, {"x": 1})
        await store.enqueue(Job(f"job-{name}", "n", "a", {}, name))
    running = (await begin(store, turn("gone", "running"))).record

    assert await store.forget("gone") == 2
    assert await store.forget("gone") == 0
    await store.save(ended(running), state={"back": True})
    assert [record.conversation_id async for record in store.turns()] == ["stays"]
    assert (await store.conversation("gone")).state == (await store.conversation("gone")).metadata == {}
    assert [s.conversation_id for s in await store.conversations()] == ["stays"]
    job = await store.lease(now=time.time() + 1, seconds=60)
    assert job is not None
    assert job.id == "job-stays"
    assert await store.lease(now=time.time() + 1, seconds=60) is None
    assert (await begin(store, turn("gone", "t"))).outcome == "new"


async def test_prune_takes_conversations_that_are_silent(store: Store) -> None:
    now = time.time()
    await add(store, turn("silent", "t1", started_at=now - 40 * DAY))
    await add(store, turn("silent", "t2", started_at=now - 35 * DAY))
    await add(store, turn("alive", "t1", started_at=now - 40 * DAY))
    await add(store, turn("alive", "t2", started_at=now))
    await store.establish("authorized", {"x": 1})

    assert await store.prune(now - 30 * DAY) == 2
    assert [record.key async for record in store.turns()] == [("alive", "t1"), ("alive", "t2")]
    assert (await store.conversation("authorized")).metadata == {"x": 1}
    assert await store.prune(time.time() + 10) == 2
    assert (await store.conversation("authorized")).metadata == {}
    assert [record async for record in store.turns()] == []


async def test_ping_of_an_open_store(store: Store) -> None:
    await store.ping()
    assert store.component
