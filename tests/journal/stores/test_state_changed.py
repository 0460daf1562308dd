"""A store saves changes to a state only if the stored state has the values on which the changes are based."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from layercode_app.journal.merge_state import save_merged
from layercode_app.journal.record import TurnRecord
from layercode_app.journal.stores.base import StateChangedError, Store

from .conftest import Open
from .records import begin, ended, turn

pytestmark = pytest.mark.anyio

ODD = {"ü \0": ["\ue000", 1.0, None, {"b": 1, "a": 2}]}
ALLOWED: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({}, {}),
    ({}, {"items": ["never stored"]}),
    ({"items": [1]}, {"items": [1]}),
    ({"items": [2]}, {}),
    ({"items": [1]}, None),
    ({"items": ODD}, {"items": ODD}),
    ({"other": 1}, {"other": 2}),
]
REFUSED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"items": [1]}, {}),
    ({"items": [1]}, {"items": []}),
    ({"items": ODD}, {"items": [1]}),
    ({"items": None}, {"items": []}),
]
NEW = {"items": [2], "added": True}


async def stored(store: Store, state: dict[str, Any]) -> TurnRecord:
    """Begin a turn, and write the state as a worker of an earlier release does: without `based_on`."""
    record = (await begin(store, turn("c", "t"))).record
    await store.save_state("c", state)
    return record


@pytest.mark.parametrize(("state", "based_on"), ALLOWED)
async def test_changes_of_the_stored_values_are_saved(
    store: Store, state: dict[str, Any], based_on: dict[str, Any] | None
) -> None:
    record = await stored(store, state)
    assert await store.save(record, state=NEW, based_on=based_on)
    assert (await store.conversation("c")).state == state | NEW
    await store.save_state("c", state)
    assert await store.save_state("c", NEW, turn_id="t", based_on=based_on)
    assert (await store.conversation("c")).state == state | NEW


@pytest.mark.parametrize(("state", "based_on"), REFUSED)
async def test_changes_of_other_values_are_refused(
    store: Store, state: dict[str, Any], based_on: dict[str, Any]
) -> None:
    record = await stored(store, state)
    with pytest.raises(StateChangedError):
        await store.save(ended(record), state=NEW, based_on=based_on)
    with pytest.raises(StateChangedError):
        await store.save_state("c", NEW, turn_id="t", based_on=based_on)
    assert (await store.conversation("c")).state == state
    kept = await store.get("c", "t")
    assert kept is not None
    assert not kept.finished


async def test_a_deleted_turn_saves_nothing(store: Store) -> None:
    record = await stored(store, {"items": [1]})
    await store.forget("c")
    assert not await store.save(record, state=NEW, based_on={"items": [1]})
    assert not await store.save_state("c", NEW, turn_id="t", based_on={"items": [1]})
    assert (await store.conversation("c")).state == {}


async def test_no_item_is_lost_if_many_workers_add_items(worker: Open) -> None:
    stores = [await worker() for _ in range(3)]
    records = [(await begin(store, turn("c"))).record for store in stores]

    async def add(number: int) -> None:
        store, record = stores[number % 3], records[number % 3]
        before = (await store.conversation("c")).state
        state = {"items": [*before.get("items", []), number]}
        write = partial(store.save, record) if number % 2 else partial(store.save_state, "c", turn_id=record.turn_id)
        based_on: dict[str, Any] = {"items": []} | before
        assert await save_merged(store, record, state, based_on, write)

    for start in range(0, 30, 3):
        await asyncio.gather(*[add(start + number) for number in range(3)])
    assert sorted((await stores[0].conversation("c")).state["items"]) == list(range(30))
