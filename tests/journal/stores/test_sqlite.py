"""The SQLite journal: its files, and locks that other workers hold."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from layercode_app.exceptions import StoreError
from layercode_app.journal.stores import group_commit, sqlite_files
from layercode_app.journal.stores.base import Job, Signal
from layercode_app.journal.stores.sqlite import SQLiteStore

from .records import add, begin, turn

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "journal.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    opened = SQLiteStore(path)
    await opened.open()
    yield opened
    await opened.close()


def test_no_statement_numbers_its_parameters() -> None:
    """The statements get their parameters as a sequence.

    With a sequence, a numbered placeholder such as `?1` causes a warning from Python 3.12 on, and later an error.
    """
    folder = Path(sqlite_files.__file__).parent
    numbered = [path.name for path in folder.glob("*.py") if re.search(r"\?\d", path.read_text(encoding="utf-8"))]
    assert numbered == []


async def test_every_file_is_for_its_owner_only(store: SQLiteStore, path: Path) -> None:
    await add(store, turn())
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    assert path.with_name("journal.sqlite3-wal") in files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_lock_elsewhere_delays_a_turn_but_not_the_loop(store: SQLiteStore, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.gather(*[begin(store, turn()) for _ in range(5)])
    ticks = 0
    while ticks < 20:
        await asyncio.sleep(0.005)
        ticks += 1
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    assert [begun.outcome for begun in await waiting] == ["new"] * 5


async def test_a_lock_that_stays_becomes_an_error_and_then_recovers(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await begin(store, turn())
    with pytest.raises(StoreError, match="locked"):
        await store.ping()
    other.close()
    assert (await begin(store, turn())).outcome == "new"


async def test_a_job_that_another_worker_did_does_not_come_back_with_what_was_said(
    store: SQLiteStore, path: Path
) -> None:
    await store.enqueue(Job("j", "session_end", "a", {"said": "my secret is Rosebud"}, "c"))
    late = await store.lease(now=time.time(), seconds=-1)
    other = await store.lease(now=time.time(), seconds=60)
    assert late is not None
    assert other is not None
    await store.settle(other)
    await store.settle(late, retry_at=time.time())
    assert await store.lease(now=time.time() + 1, seconds=60) is None
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT body FROM jobs").fetchall() == [("",)]
    db.close()


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = SQLiteStore(tmp_path / "file" / "journal.sqlite3")
    with pytest.raises(StoreError, match=r"journal\.sqlite3 cannot be opened.*LAYERCODE_STORE"):
        await store.open()
    with pytest.raises(StoreError, match="not open"):
        await store.ping()
    await store.close()


async def test_a_file_of_another_kind_or_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, whatever its name" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await SQLiteStore(tmp_path / "text").open()
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="version 99"):
        await SQLiteStore(tmp_path / "newer").open()


@pytest.mark.parametrize("version", [0, 1, 7])
@pytest.mark.parametrize("table", ["orders", "conversations"])
async def test_the_database_of_another_program_is_refused_and_left_as_it_is(
    tmp_path: Path, version: int, table: str
) -> None:
    shop = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(shop)) as db:
        db.executescript(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY); PRAGMA user_version = {version};")
    before = shop.read_bytes()
    with pytest.raises(StoreError, match=f"another program, with the table '{table}'.*LAYERCODE_STORE"):
        await SQLiteStore(shop).open()
    assert shop.read_bytes() == before
    assert list(tmp_path.iterdir()) == [shop]


async def test_a_journal_of_another_version_is_left_as_it_is(tmp_path: Path) -> None:
    other = tmp_path / "journal.db"
    with contextlib.closing(sqlite3.connect(other)) as db:
        db.executescript("CREATE TABLE turns (id INTEGER PRIMARY KEY); PRAGMA user_version = 7;")
    before = other.read_bytes()
    with pytest.raises(StoreError, match="version 7"):
        await SQLiteStore(other).open()
    assert other.read_bytes() == before


async def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    store = SQLiteStore(tmp_path / "empty")
    await store.open()
    await add(store, turn("c", "t"))
    await store.close()


async def test_closing_writes_what_waits(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    pending = [asyncio.ensure_future(add(store, turn("c", f"t{number}"))) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), *pending, return_exceptions=True)
    again = SQLiteStore(path)
    await again.open()
    assert len([record async for record in again.turns()]) == 5
    await again.close()


async def test_signals_for_the_dead_are_removed(store: SQLiteStore, path: Path) -> None:
    await store.signal("dead", Signal("stop", "c", "t"))
    another = SQLiteStore(path)
    await another.open()
    await store.ping()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM signals WHERE owner = 'dead'").fetchone() == (0,)
    db.close()
    await another.close()


async def test_many_workers_that_start_at_once_are_all_alive(path: Path) -> None:
    stores = [SQLiteStore(path) for _ in range(12)]
    await asyncio.gather(*[store.open() for store in stores])
    assert all([await stores[0].alive(store.owner) for store in stores])
    for store in stores:
        await store.close()
    assert list(path.with_name(path.name + "-workers").iterdir()) == []


async def test_a_full_disk_is_an_error_for_those_it_hits_and_recovers(store: SQLiteStore) -> None:
    db = store._connection
    assert db is not None
    await add(store, turn("c", "before"))
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    results = await asyncio.gather(
        *[begin(store, turn("c", f"t{number}", messages=b"m" * 20_000)) for number in range(3)], return_exceptions=True
    )
    assert {type(result) for result in results} == {StoreError}
    assert "disk" in str(results[0])
    assert not db.in_transaction
    db.execute("PRAGMA max_page_count = 1000000")
    assert (await begin(store, turn("c", "t0"))).outcome == "new"
    assert [past.turn_id for past in (await begin(store, turn("c", "after"))).history] == ["before", "t0"]
