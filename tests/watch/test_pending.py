"""Pending totals are written together, kept during an outage of the journal, and added only once.

They are written at the latest when the server stops.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from layercode_app.exceptions import StoreError
from layercode_app.journal.stores import create_store, group_commit, postgres_link, redis_link
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.watch import pending
from layercode_app.watch.pending import PendingTotals

from ..journals import journal_url

pytestmark = pytest.mark.anyio


class AwayStore(MemoryStore):
    """A store whose totals cannot be changed while `away` is true. `asked` counts the calls of `add_totals`."""

    away = False
    asked = 0

    async def add_totals(self, key: str, amounts: Mapping[str, float], *, request_id: str = "") -> dict[str, float]:
        self.asked += 1
        if self.away:
            raise StoreError("away")
        return await super().add_totals(key, amounts, request_id=request_id)


async def test_many_are_one_write_and_nothing_is_lost_while_the_journal_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending, "RETRY_SECONDS", 0.01)
    store = AwayStore()
    await store.open()
    totals = PendingTotals(store)
    for _ in range(100):
        totals.add("usage/today", {"turns": 1, "cost": 0.25})
    async with asyncio.timeout(100):
        while not await store.totals("usage/"):
            await asyncio.sleep(0.01)
    assert (await store.totals("usage/"))["usage/today"] == {"turns": 100, "cost": 25.0}
    assert store.asked == 1

    store.away = True
    totals.add("usage/today", {"turns": 1})
    async with asyncio.timeout(100):
        while store.asked < 4:
            await asyncio.sleep(0.01)
    with pytest.raises(StoreError):
        await totals.flush()
    store.away = False
    totals.add("usage/today", {"turns": 1})
    await totals.stop()
    assert (await store.totals("usage/"))["usage/today"] == {"turns": 102, "cost": 25.0}


@contextmanager
def hanging(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[None]:
    """Let the server of a store hang. SQLite has no server, so another program locks its file instead."""
    if kind == "sqlite":
        with closing(sqlite3.connect(folder / "journal.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    server = request.getfixturevalue(f"{kind}_server")
    server.pause()
    try:
        yield
    finally:
        server.resume()


@pytest.mark.parametrize("kind", ["sqlite", "redis", pytest.param("postgres", marks=pytest.mark.slow)])
async def test_amounts_are_added_once_although_a_store_that_hung_gets_them_again(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (
        (redis_link, "ANSWER_SECONDS"),
        (postgres_link, "ANSWER_SECONDS"),
        (group_commit, "BUSY_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 0.3)
    store = create_store(journal_url(kind, request, tmp_path))
    await store.open()
    totals = PendingTotals(store)
    totals.add("usage/today", {"turns": 1})
    await totals.flush()
    with hanging(kind, request, tmp_path):
        for _ in range(2):
            totals.add("usage/today", {"turns": 1})
            with pytest.raises(StoreError):
                await totals.flush()
    monkeypatch.undo()
    async with asyncio.timeout(100):
        while not await written(totals):
            await asyncio.sleep(0.05)
    await totals.stop()
    assert await store.totals("usage/") == {"usage/today": {"turns": 3}}
    await store.close()


class SlowlyAwayStore(AwayStore):
    """A store that needs a moment to find out that it is away."""

    async def add_totals(self, key: str, amounts: Mapping[str, float], *, request_id: str = "") -> dict[str, float]:
        await asyncio.sleep(0.05)
        return await super().add_totals(key, amounts, request_id=request_id)


async def test_amounts_are_kept_although_the_turn_that_waited_for_a_failing_write_is_interrupted() -> None:
    store = SlowlyAwayStore()
    await store.open()
    totals = PendingTotals(store, seconds=100)
    store.away = True
    totals.add("usage/today", {"turns": 1})
    turn = asyncio.create_task(totals.flush())
    await asyncio.sleep(0)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    async with asyncio.timeout(100):
        while not store.asked:
            await asyncio.sleep(0.01)
    store.away = False
    await totals.flush()
    assert await store.totals("usage/") == {"usage/today": {"turns": 1}}


@pytest.mark.parametrize("kind", ["sqlite", "redis", pytest.param("postgres", marks=pytest.mark.slow)])
async def test_amounts_are_added_once_although_a_turn_that_writes_them_is_interrupted(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = create_store(journal_url(kind, request, tmp_path))
    await store.open()
    totals = PendingTotals(store, seconds=100)
    totals.add("usage/today", {"turns": 1})
    await totals.flush()
    totals.add("usage/today", {"turns": 1})
    with hanging(kind, request, tmp_path):
        turn = asyncio.create_task(totals.flush())
        await asyncio.sleep(0.2)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
    async with asyncio.timeout(100):
        while not await written(totals):
            await asyncio.sleep(0.05)
    assert await store.totals("usage/") == {"usage/today": {"turns": 2}}
    await store.close()


async def written(totals: PendingTotals) -> bool:
    try:
        await totals.flush()
    except StoreError:
        return False
    return True
