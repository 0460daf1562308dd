"""Feedback on a turn stays in the turn's record, wherever the turn runs and however late the record is saved."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.feedback import take_feedback
from layercode_app.exceptions import StoreError
from layercode_app.journal.record import TurnRecord
from layercode_app.journal.stores.base import Signal, Store

from .admitted import admit
from .conftest import Open
from .test_corrected import begun_to_speak, counter, message, soon, until

pytestmark = pytest.mark.anyio

GIVEN = {"turn_id": "old", "score": False, "comment": "too slow"}
SCORES = {"feedback": {"value": False, "comment": "too slow"}}


async def give(handler: TurnHandler) -> None:
    running = handler.running.get("c")
    assert await take_feedback(handler.services, running, "c", GIVEN) == {"feedback": "recorded"}


async def stored(store: Store) -> TurnRecord:
    record = await store.get("c", "old")
    assert record is not None
    return record


async def test_while_it_runs_here(worker: Open) -> None:
    here, go_on = await worker(), asyncio.Event()
    handler = TurnHandler(here)
    speaking = await begun_to_speak(handler, go_on)
    await give(handler)
    # In case this worker dies now.
    assert (await stored(here)).scores == SCORES
    go_on.set()
    assert await speaking == "one two three four"
    assert (await stored(here)).scores == SCORES
    await handler.drain()


@pytest.mark.parametrize("hears_of_it", ["while it runs", "after its end"])
async def test_while_it_runs_on_another_worker(worker: Open, hears_of_it: str) -> None:
    first, here = await worker(), await worker()
    runs, signals, go_on = TurnHandler(first), list[Signal](), asyncio.Event()
    first.on_signal(signals.append)
    speaking = await begun_to_speak(runs, go_on)
    await give(TurnHandler(here))
    assert (await stored(here)).scores == SCORES
    await until(lambda: bool(signals))
    if hears_of_it == "after its end":
        go_on.set()
        await speaking
        assert (await stored(here)).scores == {}
    for signal in signals:
        runs._obey(signal)
    go_on.set()
    assert await speaking == "one two three four"
    async with asyncio.timeout(10):
        while (await stored(here)).scores != SCORES:
            await asyncio.sleep(0.01)
    await runs.drain()


@pytest.mark.parametrize("at", ["its worker", "another worker"])
async def test_if_its_save_is_late(worker: Open, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    first, here = await worker(), await worker()
    saves = TurnHandler(first)

    async def away(record: TurnRecord, **named: Any) -> None:
        raise StoreError("away")

    obeyed = list[Signal]()

    def obey(signal: Signal) -> None:
        saves._obey(signal)
        obeyed.append(signal)

    first.on_signal(obey)
    with monkeypatch.context() as outage:
        outage.setattr(first, "save", away)
        await admit(saves, counter(soon()), message("old"))
        await give(saves if at == "its worker" else TurnHandler(here))
        await until(lambda: bool(obeyed) or at == "its worker")
        await asyncio.sleep(0)
    await saves.late.hurry("c")
    record = await stored(here)
    assert (record.spoken_text, record.scores) == ("one two three four", SCORES)
    await saves.drain()
