"""An interruption that is reported after the stream of its turn has ended is counted, once per turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from layercode_app import Turn, VoiceAgent
from layercode_app.journal.record import Status
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.observability import metrics
from layercode_app.reports.report import make_report
from layercode_app.reports.usage_totals import totals_by_day
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio


def voice() -> VoiceAgent[Any, Any]:
    voice: VoiceAgent[Any, Any] = VoiceAgent("desk", history=True)

    @voice.on_message
    async def answer(turn: Turn) -> str:
        return "one two three four"

    return voice


def heard(text: str, turn_id: str) -> dict[str, Any]:
    context = {"previous_turn_interrupted": True, "text_heard": text, "assistant_turn_id": turn_id}
    return {"interruption_context": context}


def interruptions(rows: list[metrics.Row]) -> float:
    return sum(amount for metric, amount, labels in rows if metric is metrics.INTERRUPTIONS and labels == ("desk",))


async def test_metrics_and_totals_count_what_the_next_message_reports(rows: list[metrics.Row]) -> None:
    store = MemoryStore()
    async with open_call(voice(), store=store) as call:
        await call.say("first", turn_id="t1")
        await call.say("second", turn_id="t2", **heard("one two", "t1"))
        await call.say("third", turn_id="t3", **heard("one", "t1"))
        await call.say("fourth", turn_id="t4", **heard("one two three", "t3"))
        assert interruptions(rows) == 2
        statuses = [record.status for record in await call.records()]
        await asyncio.sleep(0.1)  # Totals are written in batches.
        [day] = (await totals_by_day(store)).values()
        report = await make_report(store)
    assert statuses == [Status.INTERRUPTED, Status.COMPLETE, Status.INTERRUPTED, Status.COMPLETE]
    assert day["interrupted"] == report.total.interrupted == 2
    assert [amount for metric, amount, _ in rows if metric is metrics.TURNS and amount] == [1] * 4


async def test_metrics_count_what_the_transcript_of_the_session_reports(rows: list[metrics.Row]) -> None:
    async with open_call(voice()) as call:
        await call.say("first")
        said = [{"role": "assistant", "text": "one two", "timestamp": "2026-01-01T00:00:00Z"}]
        for _ in range(2):
            await call.send({"type": "session.end", "duration": 1200, "transcript": said})
        turn = (await call.records())[0]
    assert turn.status is Status.INTERRUPTED
    assert interruptions(rows) == 1
