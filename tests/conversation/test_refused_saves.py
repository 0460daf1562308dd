"""The journal refuses to save a turn that another worker owns, or that was deleted: its state changes stay unsaved."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from layercode_app.conversation.state import LiveState
from layercode_app.conversation.states import LiveStates
from layercode_app.jobs.late_saves import LateSaves
from layercode_app.journal.forget import forget
from layercode_app.journal.record import Kind, Status, TurnRecord
from layercode_app.journal.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    items: int = 0


async def begun(store: MemoryStore, turn_id: str, status: Status = Status.RUNNING) -> TurnRecord:
    record = TurnRecord("c", turn_id, Kind.MESSAGE, "shop", status=status)
    await store.begin(record, history_tokens=0)
    return record


async def taken_over(store: MemoryStore, turn_id: str) -> TurnRecord:
    """Begin a turn, let another worker take it over, and return the record that the first worker still has."""
    record = await begun(store, turn_id)
    mine = record.owner
    await store.update("c", turn_id, lambda stored: setattr(stored, "owner", "another worker"))
    record.owner = mine
    return record


def entered(states: LiveStates, stored: dict[str, Any]) -> LiveState[Order]:
    live = states.enter(Order, "c", stored, "", received=0.0)
    assert live is not None
    return live


async def test_a_late_tool_saves_what_a_turn_could_not_save() -> None:
    store = MemoryStore()
    await store.open()
    states = LiveStates(store, LateSaves(store, store.enqueue))
    ended, lost = await begun(store, "ended", Status.COMPLETE), await taken_over(store, "lost")
    live = entered(states, {})
    live.model.items = 7
    assert not await states.save(lost, live)
    await states.save_late(ended, live)
    assert (await store.conversation("c")).state == {"items": 7}


async def test_a_first_turn_that_is_forgotten_while_it_runs_leaves_no_state() -> None:
    store = MemoryStore()
    await store.open()
    states = LiveStates(store, LateSaves(store, store.enqueue))
    turn = await begun(store, "first")
    live = entered(states, {})
    live.model.items = 7
    live.users += 1  # a tool that outlives the turn
    await forget(store, "c")
    await states.leave(turn, live)
    again = states.enter(Order, "c", {}, "", received=1.0)
    assert again is not None
    assert again.model == Order()
