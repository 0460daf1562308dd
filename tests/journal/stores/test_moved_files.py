"""Files of the SQLite journal are moved, deleted or replaced while workers use them.

No worker goes on with a journal that other workers cannot see, and no worker creates an empty journal in its place.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from layercode_app.exceptions import StoreError
from layercode_app.journal.stores.sqlite import SQLiteStore

from .records import add, begin, turn

pytestmark = pytest.mark.anyio

MOVED = "was moved, deleted or replaced while the journal was in use"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls #1?" / "journal.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    opened = SQLiteStore(path)
    await opened.open()
    yield opened
    await opened.close()


def replace(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "its folder is moved": lambda path: path.parent.rename(path.parent.with_name("backup")),
    "its folder is deleted": lambda path: shutil.rmtree(path.parent),
    "it is deleted": Path.unlink,
    "it is replaced": replace,
    "its log is deleted": lambda path: path.with_name(path.name + "-wal").unlink(),
    "the index of its log is deleted": lambda path: path.with_name(path.name + "-shm").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_journal_that_is_not_at_its_path_is_refused_and_no_empty_one_is_created(
    store: SQLiteStore, path: Path, change: str
) -> None:
    await add(store, turn("c", "before"))
    CHANGES[change](path)
    left = sorted(path.parent.parent.rglob("*"))
    with pytest.raises(StoreError, match=rf"journal\.sqlite3\S* {MOVED}.*restart the server"):
        await store.ping()
    with pytest.raises(StoreError, match=MOVED):
        await begin(store, turn("c", "after"))
    with pytest.raises(StoreError, match=MOVED):
        await store.conversations()
    if not path.exists():
        store._checkpointer.truncate()
        assert sorted(path.parent.parent.rglob("*")) == left


async def test_a_worker_notices_it_before_the_next_turn_without_a_call_of_ready(store: SQLiteStore, path: Path) -> None:
    path.parent.rename(path.parent.with_name("backup"))

    async def read_again_and_again() -> None:
        while True:
            await store.conversation("c")
            await asyncio.sleep(0.01)

    with pytest.raises(StoreError, match=MOVED):
        await asyncio.wait_for(read_again_and_again(), 100)


async def test_a_journal_that_is_moved_back_goes_on(store: SQLiteStore, path: Path) -> None:
    await add(store, turn("c", "before"))
    backup = path.parent.rename(path.parent.with_name("backup"))
    with pytest.raises(StoreError, match=MOVED):
        await store.ping()
    assert not path.parent.exists()
    backup.rename(path.parent)
    await store.ping()
    begun = await begin(store, turn("c", "after"))
    assert [past.turn_id for past in begun.history] == ["before"]


async def test_a_worker_that_starts_later_begins_a_new_journal_that_the_old_worker_leaves_alone(path: Path) -> None:
    old, new = SQLiteStore(path), SQLiteStore(path)
    await old.open()
    await add(old, turn("c", "old"))
    shutil.rmtree(path.parent)
    await new.open()
    await add(new, turn("c", "new"))
    with pytest.raises(StoreError, match=MOVED):
        await old.ping()
    await old.close()
    await new.ping()
    assert [record.turn_id async for record in new.turns()] == ["new"]
    await new.close()


async def test_a_worker_whose_lock_was_deleted_is_alive(store: SQLiteStore, path: Path) -> None:
    other = SQLiteStore(path)
    await other.open()
    shutil.rmtree(f"{path}-workers")
    async with asyncio.timeout(100):
        while not (await other.alive(store.owner) and await store.alive(other.owner)):
            await asyncio.sleep(0.01)
    await other.close()
    assert not await store.alive(other.owner)


async def test_a_worker_whose_lock_cannot_be_created_again_refuses_its_turns(store: SQLiteStore, path: Path) -> None:
    folder = path.with_name(path.name + "-workers")
    shutil.rmtree(folder)
    folder.touch()
    with pytest.raises(StoreError, match="lock of this worker was deleted and cannot be created again"):
        await store.ping()
    folder.unlink()
    await store.ping()
    assert [lock.name for lock in folder.iterdir()] == [store.owner]
