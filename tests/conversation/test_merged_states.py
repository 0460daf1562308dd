"""Two workers change the same state: each part of a merge is kept, once, and the merged state can be loaded again."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, model_validator

from layercode_app.conversation.states import Changes, LiveStates
from layercode_app.exceptions import StoreError
from layercode_app.jobs.late_saves import LateSaves
from layercode_app.journal.record import Json, Kind, Status, TurnRecord
from layercode_app.journal.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio


class Basket(BaseModel):
    items: list[str] = []
    counts: dict[str, int] = {}
    most: int = 5

    @model_validator(mode="after")
    def _fits(self) -> Basket:
        assert len(self.items) <= self.most
        return self


class FailingStore(MemoryStore):
    """A store whose saves raise StoreError: `before` they are done, or `after`, as if the answer was lost."""

    fails = ""

    async def save(self, record: TurnRecord, **more: Any) -> bool:
        if self.fails == "before":
            raise StoreError("down")
        saved = await super().save(record, **more)
        if self.fails == "after":
            raise StoreError("the answer was lost")
        return saved


class Worker:
    """A worker with one running turn. The turn was read when no other turn had saved anything."""

    def __init__(self, store: MemoryStore, turn_id: str, stored: dict[str, Json]) -> None:
        self.late = LateSaves(store, store.enqueue)
        self.states = LiveStates(store, self.late)
        self.record = TurnRecord("c", turn_id, Kind.MESSAGE, "s")
        state = self.states.enter(Basket, "c", stored, "", received=0)
        assert state is not None
        self.state, self.basket = state, state.model

    async def end(self, status: Status = Status.COMPLETE) -> None:
        self.record.status = status
        await self.states.leave(self.record, self.state)


async def two_workers(store: MemoryStore) -> tuple[Worker, Worker]:
    stored = (await store.conversation("c")).state
    older, newer = (Worker(store, turn_id, stored) for turn_id in ("older", "newer"))
    for worker in (older, newer):
        await store.begin(worker.record, history_tokens=0)
    return older, newer


async def test_a_save_that_waits_for_the_journal_is_merged_too() -> None:
    store = FailingStore()
    older, newer = await two_workers(store)
    newer.basket.items.append("coffee")
    newer.basket.counts["coffee"] = 1
    newer.record.status = Status.COMPLETE
    changes = Changes(newer.state, None, newer.state.fields())
    store.fails = "before"
    newer.late.keep(newer.record, changes.values, [], based_on=changes.based_on, fitted=changes.fitted)
    store.fails = ""
    older.basket.items.append("tea")
    older.basket.counts["tea"] = 1
    await older.end(Status.SUPERSEDED)
    await newer.late.hurry("c")
    state = (await store.conversation("c")).state
    assert (state["items"], state["counts"]) == (["tea", "coffee"], {"tea": 1, "coffee": 1})
    await newer.late.close()


async def test_a_merge_whose_answer_was_lost_is_not_merged_again() -> None:
    store = FailingStore()
    older, newer = await two_workers(store)
    older.basket.items.append("tea")
    await older.end(Status.SUPERSEDED)
    newer.basket.items.append("coffee")
    store.fails = "after"
    with pytest.raises(StoreError):
        await newer.states.save(newer.record, newer.state)
    store.fails = ""
    newer.basket.items.append("cake")
    await newer.end()
    assert (await store.conversation("c")).state["items"] == ["tea", "coffee", "cake"]


async def test_merged_fields_fit_the_other_fields_that_are_stored() -> None:
    store = MemoryStore()
    await store.save_state("c", {"items": [], "most": 5})
    older, newer = await two_workers(store)
    newer.basket.items.append("coffee")
    newer.basket.most = 1
    await newer.end()
    older.basket.items.append("tea")
    await older.end(Status.SUPERSEDED)
    state = (await store.conversation("c")).state
    assert state["items"] == ["coffee"]
    assert Basket.model_validate(state).most == 1
