"""The write-ahead log of the SQLite journal is bounded, and never makes writers wait for long.

The data of a conversation that was forgotten does not stay in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from layercode_app.journal.stores import sqlite_checkpoints, sqlite_forgotten
from layercode_app.journal.stores.sqlite import SQLiteStore
from layercode_app.journal.stores.sqlite_checkpoints import Checkpointer

from .records import add, turn

pytestmark = pytest.mark.anyio

Cut = tuple[str, bool]


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[Cut]:
    """Checkpoint often; return the restarts and truncations of the log, and whether each succeeded."""
    monkeypatch.setattr(sqlite_checkpoints, "LONGEST_WAIT", 0.02)
    monkeypatch.setattr(sqlite_checkpoints, "SHORTEST_WAIT", 0.002)
    monkeypatch.setattr(sqlite_checkpoints, "RESTART_BYTES", 4 << 20)
    made: list[Cut] = []
    cut = Checkpointer._cut

    def note(of: Checkpointer, db: sqlite3.Connection, mode: str, seconds: float) -> bool:
        done = cut(of, db, mode, seconds)
        made.append((mode, done))
        return done

    monkeypatch.setattr(Checkpointer, "_cut", note)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


@pytest.fixture
async def store(path: Path, cuts: list[Cut]) -> AsyncIterator[SQLiteStore]:
    opened = SQLiteStore(path)
    await opened.open()
    yield opened
    await opened.close()


async def write_turns(store: SQLiteStore, times: int) -> None:
    """Write ten turns at once, this many times; each turn has 50 KB of messages."""
    for _ in range(times):
        await asyncio.gather(*[add(store, turn(messages=b"m" * 50_000)) for _ in range(10)])


async def write_until(store: SQLiteStore, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await write_turns(store, 1)


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


@contextlib.contextmanager
def long_read(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turns").fetchone()
        yield


async def test_the_write_ahead_log_is_written_anew_under_sustained_writes(
    store: SQLiteStore, path: Path, cuts: list[Cut]
) -> None:
    await write_until(store, lambda: cuts.count(("RESTART", True)) >= 5)
    size = log_of(path).stat().st_size
    assert path.stat().st_size > size
    # The log is normally not truncated, so it is larger than 4 MB. It is truncated only on a busy machine, if the
    # checkpoint thread gets too little time.
    assert size > 4 << 20 or ("TRUNCATE", True) in cuts


async def test_the_write_ahead_log_is_bounded_under_sustained_writes(store: SQLiteStore, path: Path) -> None:
    largest = 0
    for _ in range(100):
        await write_turns(store, 1)
        largest = max(largest, log_of(path).stat().st_size)
    await store.close()
    assert path.stat().st_size > 48 << 20
    assert largest < 32 << 20


async def test_two_workers_that_write_bound_the_write_ahead_log(
    store: SQLiteStore, path: Path, cuts: list[Cut]
) -> None:
    other = SQLiteStore(path)
    await other.open()
    stop = asyncio.Event()
    writing = asyncio.create_task(write_until(other, stop.is_set))
    await write_until(store, lambda: sum(done for _, done in cuts) >= 5)
    stop.set()
    await writing
    await other.close()


async def test_writers_are_not_held_up_while_a_long_read_needs_the_write_ahead_log(
    store: SQLiteStore, path: Path, cuts: list[Cut]
) -> None:
    await write_turns(store, 1)
    with long_read(path):
        before = len(cuts)
        await write_until(store, lambda: log_of(path).stat().st_size > 16 << 20)
        # One cut may have begun before the read.
        assert len(cuts) <= before + 1
    # The file is too large now, so it is truncated.
    await write_until(store, lambda: ("TRUNCATE", True) in cuts)


async def test_what_was_forgotten_is_in_no_file(store: SQLiteStore, path: Path) -> None:
    await add(store, turn("gone", user_text="unmistakable words"))
    assert any(b"unmistakable" in file.read_bytes() for file in path.parent.glob("journal*") if file.is_file())
    await store.forget("gone")
    assert not any(b"unmistakable" in file.read_bytes() for file in path.parent.glob("journal*") if file.is_file())


@pytest.mark.parametrize("by", ["the server", "a command"])
async def test_what_was_forgotten_during_a_long_read_is_in_no_file_afterwards(
    store: SQLiteStore, path: Path, cuts: list[Cut], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_checkpoints, "TRUNCATE_SECONDS", 0.01)
    await add(store, turn("gone", user_text="unmistakable words"))
    with long_read(path):
        if by == "the server":
            await store.forget("gone")
        else:
            command = SQLiteStore(path)
            await command.open()
            await command.forget("gone")
            await command.close()
        assert b"unmistakable" in log_of(path).read_bytes()
    async with asyncio.timeout(60):
        while b"unmistakable" in log_of(path).read_bytes():
            await asyncio.sleep(0.01)
    assert b"unmistakable" not in path.read_bytes()
    # Once is enough.
    async with asyncio.timeout(60):
        while await _marks(store):
            await asyncio.sleep(0.01)


async def _marks(store: SQLiteStore) -> int:
    return await store._run(sqlite_forgotten.newest)
