"""The models that write summaries and notes run after the turn. Their cost counts in totals, budgets and metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from layercode_app import StoreError, TurnRecord, VoiceAgent
from layercode_app.journal.stores.base import Change, Store
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.observability import metrics
from layercode_app.reports.report import make_report
from layercode_app.reports.usage_totals import totals_by_day
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio

COST = (1_000_000 * 0.25 + 1000 * 2) / 1e6
"""Dollars for one summary, or for the notes of one call."""


class Clerk:
    """An agent that talks a lot for little money, and whose summaries and notes are expensive."""

    def __init__(self, summary: str = "The caller ordered bread.") -> None:
        self.summary = summary
        self.asked = 0
        self.write = asyncio.Event()
        self.write.set()
        """Set while the model may write a summary."""

    def voice(self, **options: Any) -> VoiceAgent[Any, Any]:
        model = FunctionModel(self._write, stream_function=self._speak, model_name="gpt-5-mini")
        return VoiceAgent("clerk", Agent(model), filler=False, **options)

    async def _speak(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "word " * 400

    async def _write(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked += 1
        await self.write.wait()
        draft = json.dumps({"summary": self.summary, "facts": ["Wants rye bread."]})
        usage = RequestUsage(input_tokens=1_000_000, output_tokens=1000)
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, draft)], usage=usage)


async def idle(store: Store) -> None:
    while any(job.name in ("task", "session_end") for job in await store.pending_jobs()):
        await asyncio.sleep(0.001)


async def talk(voice: VoiceAgent[Any, Any], store: Store, turns: int, **options: Any) -> tuple[list[str], float]:
    """Make a call. Return what the agent said, and what the turns of the call cost according to the journal."""
    said = []
    given = {"history_tokens": 1000, "budget_refusal": "No more today.", **options}
    async with open_call(voice, store=store, metadata={"user": "ann"}, settings=given) as call:
        for number in range(turns):
            said.append((await call.say(f"hello {number}")).spoken)
            await idle(store)
        await call.end()
        await idle(store)
        return said, sum(record.cost or 0.0 for record in await call.records())


async def total_cost(store: Store) -> float:
    [total] = (await totals_by_day(store)).values()
    return total["cost"]


async def test_a_days_budget_counts_summaries() -> None:
    clerk, store = Clerk(), MemoryStore()
    said, cost = await talk(clerk.voice(summary=True), store, 6, budget_day="$0.2")
    assert clerk.asked == 1
    assert [text == "No more today." for text in said] == [False, False, True, True, True, True]
    assert await total_cost(store) == pytest.approx(cost)
    assert cost > COST


async def test_a_conversations_budget_counts_a_summary_that_ends_during_a_later_turn(warned: list[str]) -> None:
    clerk, store = Clerk(), MemoryStore()
    clerk.write.clear()
    given = {"history_tokens": 1000, "budget_refusal": "No more.", "budget_conversation": "$0.2"}
    async with open_call(clerk.voice(summary=True), store=store, settings=given) as call:
        said = [(await call.say(f"hello {number}")).spoken for number in range(3)]
        clerk.write.set()
        await idle(store)
        said += [(await call.say("hello")).spoken for _ in range(2)]
        journal = await call.records()
    assert clerk.asked
    assert [text == "No more." for text in said] == [False, False, False, True, True]
    assert [turn.outlasting for turn in journal] == [[]] * len(journal)
    assert len([line for line in warned if "conversation's budget" in line]) == 1


async def test_totals_and_metrics_count_notes_and_a_report_finds_nothing_forgotten(
    rows: list[metrics.Row],
) -> None:
    clerk, store = Clerk(), MemoryStore()
    _, cost = await talk(clerk.voice(remember=lambda turn: turn.metadata["user"]), store, 1)
    assert clerk.asked == 1
    assert await total_cost(store) == pytest.approx(cost)
    assert cost > COST
    assert sum(amount for metric, amount, _ in rows if metric is metrics.COST) == pytest.approx(cost)
    assert sum(amount for metric, amount, _ in rows if metric is metrics.TURNS) == 1
    report = await make_report(store)
    assert report.forgotten == {}
    assert report.total.cost.amount == pytest.approx(cost)


async def test_a_summary_that_is_not_usable_has_its_cost_recorded() -> None:
    clerk, store = Clerk(summary=""), MemoryStore()
    _, cost = await talk(clerk.voice(summary=True), store, 2)
    assert clerk.asked == 1
    assert cost > COST
    assert await total_cost(store) == pytest.approx(cost)


class Away(MemoryStore):
    """A journal whose first `update` of a record fails. An `update` notes the cost of a summary, for example."""

    failed = False

    async def update(self, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
        if not self.failed:
            self.failed = True
            raise StoreError("away")
        return await super().update(conversation_id, turn_id, change)


async def test_a_cost_that_cannot_be_stored_is_counted_once_and_the_model_is_not_asked_again(warned: list[str]) -> None:
    clerk, store = Clerk(), Away()
    _, cost = await talk(clerk.voice(summary=True), store, 2)
    assert clerk.asked == 1
    assert await total_cost(store) == pytest.approx(cost + COST)
    assert any("cost of a summary" in line for line in warned)
