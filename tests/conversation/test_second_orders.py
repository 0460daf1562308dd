"""If a turn fails after a tool call, its apology does not ask the caller to repeat the request.

A second attempt of the turn knows the words that the caller heard in the first attempt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Message, Turn, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.heard import correct
from layercode_app.conversation.history import messages_of
from layercode_app.conversation.recorded import record_count, record_outcome
from layercode_app.journal.record import Speech, Status, ToolCall, TurnRecord
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.settings.limits import Limits
from layercode_app.webhook import InterruptionContext

from ..journal.stores.records import turn
from .world import Ear, transcript

pytestmark = pytest.mark.anyio

APOLOGY = Limits().tool_apology


class Shop:
    """An agent whose model first says `before` and calls the tool `order`, and then streams what `after` yields."""

    def __init__(self, after: Any, before: str = "I ordered it. ", **options: Any) -> None:
        self.orders = 0
        self.after = after
        self.before = before
        self.asked: list[list[ModelMessage]] = []
        self.store = MemoryStore()
        agent = Agent(FunctionModel(stream_function=self._model))

        @agent.tool_plain
        async def order() -> str:
            self.orders += 1
            return "ordered"

        self.voice = VoiceAgent("shop", agent, **options)
        self.handler = TurnHandler(self.store)

    async def _model(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.asked.append(list(messages))
        if self.orders:
            async for piece in self.after():
                yield piece
            return
        yield self.before
        yield {1: DeltaToolCall("order", "{}", tool_call_id="1")}

    async def say(self, text: str, turn_id: str) -> str:
        ids = {"session_id": "s", "conversation_id": "c", "turn_id": turn_id, "text": text}
        ear = Ear()
        event = Message.model_validate(ids)
        await self.handler.admit(AgentRunner(self.voice), event, ear.listener, received=time.perf_counter())
        return ear.spoken


async def nothing() -> AsyncIterator[Any]:
    yield ""


async def fails() -> AsyncIterator[Any]:
    raise ValueError("broken")
    yield ""


async def hangs() -> AsyncIterator[Any]:
    await asyncio.sleep(600)
    yield ""


@pytest.mark.parametrize(
    ("after", "options"), [(nothing, {}), (fails, {}), (hangs, {"turn_timeout": 1})], ids=["empty", "error", "time"]
)
async def test_a_failure_after_an_order_does_not_ask_for_it_again(after: Any, options: dict[str, Any]) -> None:
    shop = Shop(after, **options)
    assert await shop.say("rolls, please", "t1") == f"I ordered it. {APOLOGY}"
    assert shop.orders == 1
    assert "again" not in APOLOGY
    # The next turn's model knows both the order and what was heard.
    shop.after = nothing
    shop.voice.turn_timeout = None
    await shop.say("thanks", "t2")
    messages = shop.asked[-1]
    heard = "".join(text for role, text in transcript(messages) if role == "assistant")
    assert heard.split() == f"I ordered it. {APOLOGY}".split()
    results = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    assert [part.content for part in results] == ["ordered"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tool_apology": "Where were we?"}, "Where were we?"),
        ({"apology": "Entschuldigung."}, "Entschuldigung."),
        ({"apology": "Entschuldigung.", "tool_apology": "Wo waren wir?"}, "Wo waren wir?"),
    ],
)
async def test_an_agents_own_words_after_a_tool(options: dict[str, Any], expected: str) -> None:
    assert await Shop(fails, **options).say("rolls, please", "t1") == f"I ordered it. {expected}"


async def test_a_failure_without_a_tool_still_asks_again() -> None:
    shop = Shop(fails)
    shop.orders = 1  # so that the model goes on without the tool
    assert await shop.say("rolls, please", "t1") == Limits().apology


async def test_a_second_delivery_of_a_crashed_turn_keeps_what_was_heard_before() -> None:
    shop = Shop(nothing)
    dead = turn("c", "t1", user_text="rolls, please")
    await shop.store.begin(dead, history_tokens=0)
    dead.owner = "a worker that died"
    shop.store._turns[dead.key].owner = dead.owner
    dead.speech = [Speech("model", 0, "I ordered it.")]
    dead.tools = [ToolCall("1", "order", {}, 1.0)]
    await shop.store.save(dead)

    assert await shop.say("rolls, please", "t1") == APOLOGY
    record = await shop.store.get("c", "t1")
    assert record is not None
    assert (record.before, record.spoken_text, record.status) == ("I ordered it. ", APOLOGY, Status.FAILED)
    assert ("assistant", f"I ordered it. {APOLOGY}") in transcript(messages_of(record))
    # A third delivery repeats the second.
    assert await shop.say("rolls, please", "t1") == APOLOGY


@pytest.mark.parametrize("handed_by", [[], ["first"]], ids=["alone", "handed over"])
async def test_a_second_attempt_counts_nothing_twice(handed_by: list[str]) -> None:
    store, voice = MemoryStore(), VoiceAgent("shop")

    @voice.on_message
    async def answer(turn: Turn) -> str:
        turn.outcome("booked")
        turn.count("rolls", 3)
        return "Booked."

    dead = turn("c", "t1", user_text="rolls, please")
    await store.begin(dead, history_tokens=0)
    store._turns[dead.key].owner = dead.owner = "a worker that died"
    dead.handed_by, dead.notes = list(handed_by), ["[noted]"]
    record_outcome(dead, "booked", None)
    record_count(dead, "rolls", 3, {})
    await store.save(dead)

    event = Message.model_validate(
        {"session_id": "s", "conversation_id": "c", "turn_id": "t1", "text": "rolls, please"}
    )
    await TurnHandler(store).admit(AgentRunner(voice), event, Ear().listener, received=time.perf_counter())
    record = await store.get("c", "t1")
    assert record is not None
    # If an agent handed the turn over, its outcomes, counts and notes stay, because that agent does not answer again.
    times = 2 if handed_by else 1
    assert (len(record.outcomes), record.counts, len(record.notes)) == (times, {"rolls": 3 * times}, times - 1)


def twice_begun() -> TurnRecord:
    record = turn("c", "t", before="I ordered it. ", status=Status.COMPLETE)
    record.speech = [Speech("apology", 0, "Sorry, I lost my thread.")]
    return record


@pytest.mark.parametrize(
    ("heard", "known"),
    [
        ("Sorry, I", "I ordered it. Sorry, I"),
        ("I ordered", "I ordered"),
        ("I ordered it. Sorry,", "I ordered it. Sorry,"),
    ],
    ids=["of the second attempt", "of the first", "of both"],
)
def test_what_the_platform_says_of_a_turn_with_two_attempts(heard: str, known: str) -> None:
    record = twice_begun()
    correct(record, InterruptionContext(previous_turn_interrupted=True, text_heard=heard))
    assert transcript(messages_of(record))[1] == ("assistant", known)


def test_a_turn_of_which_nothing_was_heard_has_no_words_of_its_first_attempt_either() -> None:
    record = twice_begun()
    correct(record, InterruptionContext(previous_turn_interrupted=True, text_heard="", words_heard=0))
    assert [role for role, _ in transcript(messages_of(record))] == ["user"]
