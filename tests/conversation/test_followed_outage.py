"""A worker that follows another worker's turn survives a short outage of the journal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from layercode_app.conversation import delivery
from layercode_app.exceptions import StoreError
from layercode_app.journal.record import TurnRecord
from layercode_app.journal.stores.base import Store

from .followed import Counter, Heard

pytestmark = pytest.mark.anyio


def fail(store: Store, times: int, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let the first `times` saves of running turns fail. Return an event that is set at the first failure."""
    save, left, failed = store.save, iter(range(times)), asyncio.Event()

    async def unless_away(record: TurnRecord, **named: Any) -> None:
        if not record.finished and next(left, None) is not None:
            failed.set()
            raise StoreError("away")
        await save(record, **named)

    monkeypatch.setattr(store, "save", unless_away)
    return failed


async def test_who_follows_hears_the_next_word_once_the_journal_is_back(
    counter: Counter, heard: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    failed = fail(counter.apps[0].store, 2, monkeypatch)
    counter.numbers.put_nowait("2 ")
    await failed.wait()
    await heard[1].until("1 ", "2 ")
    assert len([line for line in warned if "wait for the journal" in line]) == 1


async def test_who_follows_is_patient_with_the_journal(
    counter: Counter, heard: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = counter.apps[1].store
    get, left = store.get, iter(range(2))

    async def unless_away(conversation_id: str, turn_id: str) -> TurnRecord | None:
        if next(left, None) is not None:
            raise StoreError("away")
        return await get(conversation_id, turn_id)

    monkeypatch.setattr(store, "get", unless_away)
    counter.numbers.put_nowait("2 ")
    await heard[1].until("1 ", "2 ")


async def test_who_follows_hears_the_apology_when_the_journal_stays_away(
    counter: Counter, heard: tuple[Heard, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.numbers.put_nowait("2 ")
    await heard[1].until("1 ", "2 ")

    async def away(*_: Any) -> Any:
        raise StoreError("away")

    monkeypatch.setattr(delivery, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(counter.apps[1].store, "get", away)
    monkeypatch.setattr(counter.apps[1].store, "signal", away)
    await asyncio.wait_for(heard[1].task, 100)
    assert heard[1].words == ["1 ", "2 ", "Sorry!"]
    assert heard[1].frames[-1].type == "response.end"
