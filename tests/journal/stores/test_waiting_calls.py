"""A tool call waits for the caller's answer. It is not lost if the turn of the answer ends before its agent decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from layercode_app import Message, Turn, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation import delivery
from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.check_journal import check_journal
from layercode_app.journal.record import Json, Status, ToolCall, TurnRecord
from layercode_app.journal.stores.base import Begun, Store
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.watch import crashed_turns
from layercode_app.watch.crashed_turns import CrashedTurns

from .admitted import admit
from .conftest import Open
from .records import begin, turn

pytestmark = pytest.mark.anyio

QUESTION = "Shall I order?"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "DISPLACE_SECONDS", 0.1)
    monkeypatch.setattr(crashed_turns, "GRACE_SECONDS", -1.0)


class Shop:
    """An agent that orders after the caller's yes, and an agent "desk" that hands each call over to it."""

    def __init__(self) -> None:
        self.orders = 0
        agent = Agent(FunctionModel(stream_function=self._model))

        @agent.tool_plain
        async def order() -> str:
            self.orders += 1
            return "ordered"

        desk = VoiceAgent("desk", history=True)

        @desk.on_message
        async def hand_over(turn: Turn) -> None:
            turn.hand_to("shop")

        shop = VoiceAgent("shop", agent, confirm={"order": QUESTION}, filler=False)
        self.voices = {"desk": desk, "shop": shop}

    async def _model(self, messages: list[Any], info: object) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
            yield "It is ordered."
        elif messages[-1].parts[-1].content == "order":
            yield {0: DeltaToolCall(name="order", json_args="{}", tool_call_id="call")}
        else:
            yield "Fine."

    def handler(self, store: Store, **options: Any) -> TurnHandler:
        return TurnHandler(
            store, agents=lambda: {name: AgentRunner(one) for name, one in self.voices.items()}, **options
        )

    async def say(self, handler: TurnHandler, text: str, turn_id: str, *, called: str = "shop") -> str:
        event = Message(session_id="s", conversation_id="c", turn_id=turn_id, text=text)
        return await asyncio.wait_for(admit(handler, self.voices[called], event), 100)


async def begun_by(store: Store, called: str = "shop", tools: Sequence[ToolCall] = ()) -> None:
    """Begin the turn of the caller's answer, as the worker of this store does. `tools` are the calls that it saves."""
    record = turn("c", "answer", agent=called, session_id="s", user_text="go for it")
    await begin(store, record)
    record.tools = list(tools)
    if tools:
        await store.save(record)


@pytest.mark.parametrize("called", ["shop", "desk"])
@pytest.mark.parametrize("ended_by", ["message", "message, too slow", "search", "check"])
async def test_the_caller_is_asked_again_if_the_worker_of_the_answer_dies(
    worker: Open, ended_by: str, called: str
) -> None:
    shop = Shop()
    dying, here = await worker(), await worker()
    handler = shop.handler(here)
    await shop.say(handler, "hello", "first", called=called)
    assert await shop.say(handler, "order", "asked", called=called) == QUESTION
    await begun_by(dying, called)
    if ended_by != "message, too slow":
        await dying.close()
    if ended_by == "search":
        await CrashedTurns(here, lambda record: None).search()
    if ended_by == "check":
        await check_journal(here, fix=True)
    # It is not known what the caller has heard since the question.
    assert await shop.say(handler, "yes", "t1", called=called) == QUESTION
    assert shop.orders == 0
    assert await shop.say(handler, "yes", "t2", called=called) == "It is ordered."
    assert shop.orders == 1


async def test_not_if_a_tool_had_started(worker: Open) -> None:
    shop = Shop()
    dying, here = await worker(), await worker()
    handler = shop.handler(here)
    assert await shop.say(handler, "order", "asked") == QUESTION
    await begun_by(dying, tools=[ToolCall("1", "order", {}, 1.0)])
    await dying.close()
    assert await shop.say(handler, "yes", "t1") == "Fine."
    assert shop.orders == 0


async def test_the_answer_can_be_given_again_if_its_turn_is_stopped_before_the_agent_begins() -> None:
    shop, store, going_on = Shop(), MemoryStore(), asyncio.Event()
    handler = shop.handler(store)
    assert await shop.say(handler, "order", "asked") == QUESTION
    known = store.begin

    async def slow(record: TurnRecord, *, history_tokens: int) -> Begun:
        await going_on.wait()
        return await known(record, history_tokens=history_tokens)

    store.begin = slow  # type: ignore[method-assign]
    answer = asyncio.create_task(shop.say(handler, "yes", "answer"))
    while not handler.running:
        await asyncio.sleep(0)
    again = asyncio.create_task(shop.say(handler, "yes please", "again"))
    while handler.running["c"].stopping is None:
        await asyncio.sleep(0)
    going_on.set()
    assert (await answer, await again, shop.orders) == ("", "It is ordered.", 1)
    stopped = await store.get("c", "answer")
    assert stopped is not None
    assert stopped.status is Status.SUPERSEDED


async def test_the_caller_is_asked_again_if_a_budget_refuses_the_answer() -> None:
    shop, refused = Shop(), list[str | None]([None, "Call again tomorrow.", None, None])

    async def refusal(record: TurnRecord, history: Sequence[TurnRecord], state: Mapping[str, Json]) -> str | None:
        return refused.pop(0)

    handler = shop.handler(MemoryStore(), refusal=refusal)
    said = ["order", "yes", "yes", "yes"]
    heard = [await shop.say(handler, text, f"t{number}") for number, text in enumerate(said)]
    assert heard == [QUESTION, "Call again tomorrow.", QUESTION, "It is ordered."]
    assert shop.orders == 1
