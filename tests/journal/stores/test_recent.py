"""The cache of a SQLite worker always equals the journal, also after another worker's writes and after rollbacks."""

from __future__ import annotations

import asyncio
import gc
import random
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from layercode_app.journal.record import Kind, Speech, Status, TurnRecord
from layercode_app.journal.stores.base import Begun
from layercode_app.journal.stores.sqlite import SQLiteStore
from layercode_app.journal.stores.sqlite_history import Row
from layercode_app.journal.stores.sqlite_recent import OBJECT_BYTES, Known, Recent

from .records import add, begin, ended, turn

pytestmark = pytest.mark.anyio
STEPS = 120
BUDGETS = (0, 200, 100_000)


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[list[SQLiteStore]]:
    """Yield three workers on one file: two that write, and one that only reads."""
    opened = [SQLiteStore(tmp_path / "journal.sqlite3") for _ in range(3)]
    for store in opened:
        await store.open()
    yield opened
    for store in opened:
        await store.close()


async def is_true(begun: Begun, looking: SQLiteStore, tokens: int) -> None:
    """Assert that the begun turn got the same history and state that a worker with an empty cache reads."""
    assert begun.outcome == "new"
    record = begun.record
    past = await looking.history(record.conversation_id, tokens=tokens, before=record.position)
    assert list(begun.history) == past
    assert begun.displaced == [turn for turn in past if not turn.finished]
    kept = await looking.conversation(record.conversation_id)
    assert (begun.state, begun.metadata) == (kept.state, kept.metadata)


def note(record: TurnRecord) -> None:
    record.notes.append("noted")


def shorten(record: TurnRecord) -> None:
    record.speech = [Speech("model", 0, "x")]


async def do_something(dice: random.Random, store: SQLiteStore, name: str, known: list[TurnRecord]) -> None:
    """Change a conversation in some way, but do not begin a turn."""
    record = dice.choice(known[-2:]) if known else turn(name)
    match dice.randrange(12):
        case 0:
            await store.establish(name, {dice.choice("ab"): dice.random()})
        case 1:
            await store.save_state(name, {dice.choice("ab"): dice.random()})
        case 2:
            await store.update(*record.key, dice.choice([note, shorten]))
        case 3:
            read = await store.get(*record.key)
            if read is not None:
                await store.claim(read)
        case 4 if dice.random() < 0.5:
            await store.forget(name)
        case 5 if dice.random() < 0.5:
            await store.prune(1e12)
        case _:
            said = "word " * dice.choice([1, 100, 200])
            status = dice.choice([Status.RUNNING, Status.COMPLETE, Status.INTERRUPTED])
            state = {"c": dice.random()} if dice.random() < 0.4 else None
            await store.save(ended(record, said, status), state=state)


@pytest.mark.parametrize("seed", range(12))
async def test_a_turn_is_told_what_the_journal_holds(workers: list[SQLiteStore], seed: int) -> None:
    dice = random.Random(seed)
    *writing, looking = workers
    known: dict[str, list[TurnRecord]] = {"one": [], "two": []}
    tokens = dice.choice(BUDGETS)
    for _ in range(STEPS):
        # Choose mostly the same worker and conversation, so that this worker has turns of the conversation in its cache.
        name = dice.choices(["one", "two"], [9, 1])[0]
        store = dice.choices(writing, [19, 1])[0]
        if dice.random() < 0.5:
            await do_something(dice, store, name, known[name])
            continue
        if dice.random() < 0.1:
            tokens = dice.choice(BUDGETS)
        kind = dice.choices([Kind.MESSAGE, Kind.DATA], [4, 1])[0]
        record = turn(name, kind=kind)
        await is_true(await begin(store, record, tokens), looking, tokens)
        known[name].append(record)


async def test_a_turn_after_another_reads_nothing_until_another_worker_writes(workers: list[SQLiteStore]) -> None:
    store, other, _ = workers
    read: list[str] = []
    await add(store, turn())
    await add(store, turn())
    assert isinstance(store._connection, sqlite3.Connection)
    store._connection.set_trace_callback(lambda sql: read.append(sql) if "SELECT" in sql else None)
    assert len((await begin(store, turn(), 1_000_000)).history) == 2
    assert not [sql for sql in read if "signals" not in sql]
    await add(other, turn("another conversation"))
    assert len((await begin(store, turn(), 1_000_000)).history) == 3
    assert [sql for sql in read if "signals" not in sql]


async def test_what_was_rolled_back_is_not_known(workers: list[SQLiteStore]) -> None:
    store, _, looking = workers
    await add(store, turn())
    elsewhere, again = await add(store, turn("another conversation")), turn()

    def fail(record: TurnRecord) -> None:
        note(record)
        raise ValueError("no")

    done = await asyncio.gather(begin(store, again), store.update(*elsewhere.key, fail), return_exceptions=True)
    assert isinstance(done[0], Begun)
    await is_true(done[0], looking, 1_000_000)
    assert isinstance(done[1], ValueError)
    await is_true(await begin(store, turn(), 1_000_000), looking, 1_000_000)


async def test_a_turn_that_becomes_smaller_makes_room_for_an_older_one(workers: list[SQLiteStore]) -> None:
    store, _, looking = workers
    await add(store, turn())
    big = turn()
    await begin(store, big, 200)
    await store.save(ended(big, "word " * 200))
    await is_true(await begin(store, turn(), 200), looking, 200)
    await store.save(ended(big, "word"))
    begun = await begin(store, turn(), 200)
    assert len(begun.history) == 3
    await is_true(begun, looking, 200)


def test_what_is_known_is_bounded(tmp_path: Path) -> None:
    def known(size: int) -> Known:
        return Known(0, [row(size)], b"{}", b"{}")

    def row(size: int, tokens: int = 64) -> Row:
        return 1, b"h" * (size - 2 * OBJECT_BYTES - 4), b"", "", "complete", b"", tokens

    recent, db = Recent(room=3_000), sqlite3.connect(tmp_path / "journal.sqlite3")
    for number in range(10):
        recent.keep(f"c{number}", known(900))
    assert list(recent._known) == ["c7", "c8", "c9"]
    recent.keep("huge", known(3_001))
    assert list(recent._known) == ["c7", "c8", "c9"], "it would not fit alone, and takes no other's place"
    recent.saved("c9", row(1_500))
    assert list(recent._known) == ["c8", "c9"], "what grows makes room as well"
    recent.saved("c8", row(3_001))
    assert list(recent._known) == ["c9"]
    assert recent._size == 1_500
    recent.saved("c9", row(900, tokens=63))
    assert not recent._known
    assert recent._size == 0
    assert recent.take(db, "c9", 0) is None
    db.close()


@pytest.mark.slow
async def test_the_bound_is_one_of_memory(workers: list[SQLiteStore]) -> None:
    store = workers[0]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(400):
            record = turn(f"c{number}")
            await begin(store, record, 8_000)
            await store.save(ended(record, "word " * 100))
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(store._recent._known) == 400
    assert taken < 1.5 * store._recent._size
