"""Totals that wait for others: added together, kept while the journal is away, written when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from layercode_app.conversation.stores.memory import MemoryStore
from layercode_app.exceptions import StoreError
from layercode_app.watch import tally as tallying
from layercode_app.watch.tally import Tally

pytestmark = pytest.mark.anyio


class AwayStore(MemoryStore):
    """Its totals can be away, and it counts how often it was asked to add."""

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
    monkeypatch.setattr(tallying, "RETRY_SECONDS", 0.01)
    store = AwayStore()
    await store.open()
    tally = Tally(store)
    for _ in range(100):
        tally.add("usage/today", {"turns": 1, "cost": 0.25})
    async with asyncio.timeout(15):
        while not await store.totals("usage/"):
            await asyncio.sleep(0.01)
    assert (await store.totals("usage/"))["usage/today"] == {"turns": 100, "cost": 25.0}
    assert store.asked == 1

    store.away = True
    tally.add("usage/today", {"turns": 1})
    async with asyncio.timeout(15):
        while store.asked < 4:
            await asyncio.sleep(0.01)
    with pytest.raises(StoreError):
        await tally.flush()
    store.away = False
    tally.add("usage/today", {"turns": 1})
    await tally.stop()
    assert (await store.totals("usage/"))["usage/today"] == {"turns": 102, "cost": 25.0}
