"""Pending totals are added together, kept during an outage of the journal, and written when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from layercode_app.exceptions import StoreError
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.watch import pending
from layercode_app.watch.pending import PendingTotals

pytestmark = pytest.mark.anyio


class AwayStore(MemoryStore):
    """A store whose totals cannot be changed while `away` is true. `asked` counts the calls of `add_totals`."""

    away = False
    asked = 0

    async def add_totals(self, key: str, amounts: Mapping[str, float]) -> dict[str, float]:
        self.asked += 1
        if self.away:
            raise StoreError("away")
        return await super().add_totals(key, amounts)


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
