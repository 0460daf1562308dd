"""Background work and tools that end after their turn: their usage, stages, outcomes and state are saved and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.usage import RequestUsage

from layercode_app import StoreError, Turn, TurnRecord, VoiceAgent
from layercode_app.conversation.late_work import note_late
from layercode_app.journal.record import SUMMARY_STAGE, Kind, ModelCall
from layercode_app.journal.stores.base import Change, Conversation, Store
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.observability import metrics
from layercode_app.reports.usage_totals import totals_by_day
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio


class Notes(BaseModel):
    made: int = 0


class Paid(BaseModel):
    paid: int = 0


class Desk:
    """An agent that files each call in the background, with a helper model that answers when `proceed` is set."""

    def __init__(self) -> None:
        self.proceed = asyncio.Event()
        self.voice: VoiceAgent[Notes, Any] = VoiceAgent("desk", state=Notes, greeting="Hello.")
        self.voice.on_message(self._answer)

    async def _answer(self, turn: Turn[Notes]) -> str:
        if turn.text == "file it":
            turn.background(self.file(turn))
        return "Fine."

    async def file(self, turn: Turn[Any]) -> None:
        with turn.span("file"):
            await self.think(turn)
        turn.outcome("filed", value=3)
        turn.score("quality", 1.0)
        turn.count("files")
        turn.state.made += 1

    async def think(self, turn: Turn[Any]) -> None:
        await Agent(turn.helper_model(FunctionModel(self._write, model_name="gpt-5-mini"))).run("Think.")

    async def _write(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await self.proceed.wait()
        return ModelResponse(parts=[TextPart("x")], usage=RequestUsage(input_tokens=5000, output_tokens=700))


async def saved(store: Store, conversation_id: str, known: Callable[[TurnRecord], bool]) -> TurnRecord:
    """Wait until a turn is saved that `known` accepts, and return its record."""
    while True:
        async for record in store.turns(conversation_id=conversation_id):
            if known(record) and record.finished and not record.outlasting:
                return record
        await asyncio.sleep(0.001)


def tokens(rows: list[metrics.Row], kind: str) -> float:
    return sum(amount for metric, amount, labels in rows if metric is metrics.TOKENS and labels[2] == kind)


async def day_of(store: Store) -> dict[str, float]:
    await asyncio.sleep(0.1)  # Totals are written in batches.
    [total] = (await totals_by_day(store)).values()
    return total


async def test_what_background_work_does_after_its_turn_is_saved_and_counted(rows: list[metrics.Row]) -> None:
    desk, store = Desk(), MemoryStore()
    async with open_call(desk.voice, store=store) as call:
        await call.say("file it")
        assert (await call.records())[-1].outlasting == ["background-1"]
        desk.proceed.set()
        record = await saved(store, call.conversation_id, lambda record: record.user_text == "file it")
        state = (await store.conversation(call.conversation_id)).state
        day = await day_of(store)
    assert (record.usage["input_tokens"], record.usage["output_tokens"], record.usage["requests"]) == (5000, 700, 1)
    assert record.cost
    [request], [stage] = record.requests, record.stages
    assert (request.status, request.stage, request.usage["input_tokens"]) == ("done", "file", 5000)
    assert (stage.status, stage.usage["output_tokens"]) == ("done", 700)
    assert stage.ended_ms is not None
    assert record.outcomes == [{"name": "filed", "value": 3}]
    assert (record.scores["quality"]["value"], record.counts, state["made"]) == (1.0, {"files": 1}, 1)
    assert (day["turns"], day["input_tokens"]) == (1, 5000)
    assert day["cost"] == pytest.approx(record.cost)
    assert (tokens(rows, "input"), tokens(rows, "output")) == (5000, 700)


async def test_background_work_that_ends_after_a_hand_over_saves_its_agents_state() -> None:
    desk, store, handed = Desk(), MemoryStore(), asyncio.Event()
    billing = VoiceAgent("billing", state=Paid)

    @desk.voice.on_message
    async def hand_over(turn: Turn[Notes]) -> str:
        turn.background(make(turn))
        turn.hand_to("billing", now=True)
        return ""

    async def make(turn: Turn[Notes]) -> None:
        await handed.wait()
        turn.state.made += 1
        handed.clear()

    @billing.on_message
    async def answer(turn: Turn[Paid]) -> str:
        handed.set()
        while handed.is_set():
            await asyncio.sleep(0)
        return "Billing."

    async with open_call(desk.voice, others=[billing], store=store) as call:
        assert (await call.say("invoice")).spoken == "Billing."
        async with asyncio.timeout(100):
            while (await store.conversation(call.conversation_id)).state.get("made") != 1:
                await asyncio.sleep(0.01)


class SlowToRead(MemoryStore):
    """A journal in which each read of a conversation sets `reading`, and then waits until `free` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.free = asyncio.Event(), asyncio.Event()
        self.reading.set()
        self.free.set()

    async def conversation(self, conversation_id: str) -> Conversation:
        self.reading.set()
        await self.free.wait()
        return await super().conversation(conversation_id)


async def test_background_work_that_begins_during_a_hand_over_shares_its_agents_state() -> None:
    desk, store, proceed = Desk(), SlowToRead(), asyncio.Event()
    billing = VoiceAgent("billing", state=Paid)
    states, tasks = [], []

    @desk.voice.on_message
    async def hand_over(turn: Turn[Notes]) -> str:
        states.append(turn.state)
        if turn.text == "invoice":
            store.reading.clear()
            store.free.clear()
            tasks.append(asyncio.create_task(begin_late(turn)))
            turn.hand_to("billing", now=True)
        return "Desk."

    async def begin_late(turn: Turn[Notes]) -> None:
        await store.reading.wait()
        turn.background(make(turn))
        store.free.set()

    async def make(turn: Turn[Notes]) -> None:
        await proceed.wait()
        turn.state.made += 1

    @billing.on_message
    async def answer(turn: Turn[Paid]) -> str:
        if turn.text == "back":
            turn.hand_to("desk", now=True)
        return "Billing."

    async with open_call(desk.voice, others=[billing], store=store) as call:
        assert (await call.say("invoice")).spoken.endswith("Billing.")
        assert (await call.say("back")).spoken.endswith("Desk.")
        proceed.set()
        async with asyncio.timeout(100):
            while (await store.conversation(call.conversation_id)).state.get("made") != 1:
                await asyncio.sleep(0.01)
    assert states[0] is states[1]


async def test_background_work_that_ends_during_a_hand_over_saves_its_agents_state() -> None:
    desk, store, billing = Desk(), SlowToRead(), VoiceAgent("billing", state=Paid)

    @desk.voice.on_message
    async def hand_over(turn: Turn[Notes]) -> str:
        store.reading.clear()
        store.free.clear()
        turn.background(make(turn))
        turn.hand_to("billing", now=True)
        return ""

    async def make(turn: Turn[Notes]) -> None:
        await store.reading.wait()
        turn.state.made += 1
        asyncio.get_running_loop().call_later(0.05, store.free.set)

    @billing.on_message
    async def answer(turn: Turn[Paid]) -> str:
        return "Billing."

    async with open_call(desk.voice, others=[billing], store=store) as call:
        assert (await call.say("invoice")).spoken == "Billing."
        assert (await store.conversation(call.conversation_id)).state["made"] == 1


class Faulty(MemoryStore):
    """A journal that fails to save the end of a turn, with an error that is no StoreError."""

    async def save(self, record: TurnRecord, **named: Any) -> bool:
        if record.finished and record.user_text:
            raise RuntimeError("a fault of the driver")
        return await super().save(record, **named)


async def test_background_work_is_saved_although_the_save_of_its_turn_raised() -> None:
    desk = Desk()
    async with open_call(desk.voice, store=Faulty()) as call:
        with pytest.raises(RuntimeError, match="a fault of the driver"):
            await call.say("file it")
        desk.proceed.set()
        async with asyncio.timeout(100):
            while not (await call.records())[-1].outcomes:
                await asyncio.sleep(0.01)


async def test_a_conversations_budget_counts_background_work_of_turns_and_data_events() -> None:
    desk, store = Desk(), MemoryStore()

    @desk.voice.on_data
    async def work(turn: Turn[Notes], data: Any) -> None:
        turn.background(desk.think(turn))

    given = {"budget_conversation": "9k tokens", "budget_refusal": "No more."}
    async with open_call(desk.voice, store=store, settings=given) as call:
        await call.send_data("think")
        said = [(await call.say(text)).spoken for text in ("file it", "hello")]
        desk.proceed.set()
        await saved(store, call.conversation_id, lambda record: record.kind is Kind.DATA)
        await saved(store, call.conversation_id, lambda record: record.user_text == "file it")
        said += [(await call.say("hello")).spoken for _ in range(2)]
    assert said == ["Fine.", "Fine.", "No more.", "No more."]


async def test_a_late_tool_is_counted_once_it_has_ended_with_its_helper(rows: list[metrics.Row]) -> None:
    desk, store = Desk(), MemoryStore()
    agent = Agent(FunctionModel(stream_function=_order), deps_type=Turn)
    voice = VoiceAgent("shop", agent, tools={"order": "finish"})

    @agent.tool
    async def order(ctx: RunContext[Turn]) -> str:
        await desk.think(ctx.deps)
        return "ordered"

    async with open_call(voice, store=store) as call:
        call.interrupt(in_tool=True)
        await call.say("order")
        own = (await call.records())[0].usage["input_tokens"]
        assert not [row for row in rows if row[0] is metrics.TOOL_CALLS], "the tool has not ended"
        desk.proceed.set()
        record = await saved(store, call.conversation_id, lambda record: record.user_text == "order")
        day = await day_of(store)
    assert record.usage["input_tokens"] == own + 5000 == tokens(rows, "input") == day["input_tokens"]
    assert [row[1:] for row in rows if row[0] is metrics.TOOL_CALLS] == [(1, ("shop", "order", "done"))]
    assert len([row for row in rows if row[0] is metrics.TOOL_DURATION]) == 1


async def _order(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    yield {0: DeltaToolCall(name="order", json_args="{}", tool_call_id="call")}


class Deaf(MemoryStore):
    """A journal whose first `update` is saved, but raises an error, as if the answer had been lost."""

    deaf = True

    async def update(self, conversation_id: str, turn_id: str, change: Change) -> TurnRecord | None:
        changed = await super().update(conversation_id, turn_id, change)
        if self.deaf:
            self.deaf = False
            raise StoreError("away")
        return changed


async def test_a_repeated_save_counts_usage_once() -> None:
    desk, store = Desk(), Deaf()
    async with open_call(desk.voice, store=store) as call:
        await call.say("file it")
        desk.proceed.set()
        while (await store.conversation(call.conversation_id)).state.get("made") != 1:
            await asyncio.sleep(0.01)
        record = (await call.records())[-1]
        day = await day_of(store)
    assert record.usage["input_tokens"] == day["input_tokens"] == 5000


def test_the_usage_of_a_summary_is_kept_beside_that_of_background_work() -> None:
    usage = {"requests": 1, "input_tokens": 10}
    live = TurnRecord("c", "t", Kind.MESSAGE, "a", usage=dict(usage), cost=1.0, timings={"total": 9.0})
    live.requests = [ModelCall("m", 1.0, None, 2.0, "done", SUMMARY_STAGE, dict(usage), 1.0)]
    stored = TurnRecord("c", "t", Kind.MESSAGE, "a", timings={"total": 9.0}, outlasting=["background-1", "other"])
    stored.requests = [ModelCall("m", 1.0), ModelCall("s", 9.0, None, 9.0, "done", SUMMARY_STAGE, {"requests": 2}, 4.0)]
    for _ in range(2):
        note_late("background-1", None, live, stored)
        assert (stored.usage, stored.cost) == ({"requests": 3, "input_tokens": 10}, 5.0)
        assert [call.model for call in stored.requests] == ["m", "s"]
        assert stored.outlasting == ["other"]
