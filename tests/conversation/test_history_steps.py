"""History is trimmed in steps. It fits the budget, has the newest turn, and has no tool call without its result."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import Message, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.conversation.history import messages_of
from layercode_app.journal.stores import create_store
from layercode_app.journal.stores.base import Store, tokens_of
from layercode_app.journal.stores.history_steps import first_of
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.journal.tokens import CHARACTERS_PER_TOKEN, characters_of
from layercode_app.settings.limits import Limits

from ..journals import STORES, journal_url
from .world import Ear, callers_words

pytestmark = pytest.mark.anyio

BUDGET = 1000


@dataclass
class Said:
    """A turn of the test: the caller's words, the answer's length, a tool's result, and whether it was interrupted."""

    words: int = 10
    answer: int = 200
    result: int | None = None
    interrupted: bool = False


@dataclass
class Call:
    """A conversation with an agent, turn by turn, and what its model was given."""

    store: Store
    budget: int = BUDGET
    asked: list[list[ModelMessage]] = field(default_factory=list)
    turns: list[Said] = field(default_factory=list)

    def __post_init__(self) -> None:
        agent = Agent(FunctionModel(stream_function=self._answer), instructions="Be kind.")
        agent.tool_plain(self.look_up)
        self._runner = AgentRunner(VoiceAgent("steps", agent))
        self._handler = TurnHandler(self.store, limits=Limits(history_tokens=self.budget))

    async def look_up(self) -> str:
        return "r" * (self.turns[-1].result or 0)

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        said = self.turns[-1]
        if said.result is not None and not isinstance(messages[-1].parts[-1], ToolReturnPart):
            self.asked.append(list(messages))
            yield {0: DeltaToolCall("look_up", "{}", tool_call_id=f"call-{len(self.turns)}")}
        else:
            if said.result is None:
                self.asked.append(list(messages))
            yield "a" * said.answer

    async def say(self, said: Said) -> None:
        before = self.turns[-1] if self.turns else Said()
        number = len(self.turns)
        self.turns.append(said)
        event: dict[str, Any] = {"session_id": "s", "conversation_id": "c", "turn_id": f"turn-{number}"}
        event["text"] = f"{number} " + "w" * said.words
        if before.interrupted and number:
            event["interruption_context"] = {
                "previous_turn_interrupted": True,
                "text_heard": "a" * (before.answer // 2),
            }
        message = Message.model_validate(event)
        await self._handler.admit(self._runner, message, Ear().listener, received=time.perf_counter())

    def history(self) -> list[ModelMessage]:
        """Return the messages of the newest request without the newest words of the caller."""
        return self.asked[-1][:-1]

    def first(self) -> int:
        """Return the number of the oldest turn that the model was given."""
        words = callers_words(self.asked[-1])
        return int(words[0].split()[0])


turns = st.lists(
    st.builds(
        Said,
        words=st.integers(1, 600),
        answer=st.integers(2, 1500),
        result=st.none() | st.integers(0, 4000),
        interrupted=st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@given(turns)
@pytest.mark.slow
def test_the_history_holds_the_newest_turn_within_the_budget_and_every_call_with_its_result(said: list[Said]) -> None:
    anyio.run(_check_each_request, said)


async def _check_each_request(said: list[Said]) -> None:
    call = Call(MemoryStore())
    first = 0
    for number, one in enumerate(said):
        await call.say(one)
        history, given = call.history(), callers_words(call.asked[-1])
        assert characters_of(history) <= BUDGET * CHARACTERS_PER_TOKEN
        assert given[-1].split()[0] == str(number)
        assert number == 0 or str(number - 1) in [words.split()[0] for words in given]
        assert _calls(history) == _results(history)
        assert call.first() >= first
        first = call.first()


def _calls(messages: list[ModelMessage]) -> list[str]:
    return [part.tool_call_id for message in messages for part in message.parts if isinstance(part, ToolCallPart)]


def _results(messages: list[ModelMessage]) -> list[str]:
    return [part.tool_call_id for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]


@pytest.mark.slow
async def test_a_request_begins_as_the_one_before_until_the_budget_is_used_up() -> None:
    call = Call(MemoryStore())
    firsts = []
    for _ in range(60):
        await call.say(Said())
        firsts.append(call.first())
    starts = sorted(set(firsts))
    # Each turn counts 64 tokens, so 15 fit the budget and 7 fit half of it.
    assert starts == [0, 9, 18, 27, 36, 45]
    assert firsts.count(starts[1]) == 9


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.slow
async def test_a_restarted_worker_cuts_as_the_one_before(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    firsts: dict[bool, list[int]] = {}
    for restarts in (False, True):
        folder = tmp_path / str(restarts)
        folder.mkdir()
        url = journal_url(kind, request, folder)
        firsts[restarts] = await _firsts(url, restarts=restarts and kind != "memory")
    assert firsts[True] == firsts[False]
    assert len(set(firsts[True])) == 4


async def _firsts(url: str, *, restarts: bool) -> list[int]:
    store = create_store(url)
    await store.open()
    call, firsts = Call(store), []
    for number in range(36):
        if restarts and number % 5 == 4:
            await store.close()
            store = create_store(url)
            await store.open()
            call = Call(store, asked=call.asked, turns=call.turns)
        await call.say(Said(result=40 if number % 3 else None, interrupted=number % 7 == 0))
        firsts.append(call.first())
    await store.close()
    return firsts


async def test_a_turn_that_was_lost_does_not_change_where_the_history_begins() -> None:
    store = MemoryStore()
    call = Call(store)
    for _ in range(20):
        await call.say(Said())
    first = call.first()
    await store.update("c", "turn-19", lambda record: setattr(record, "history_start", 0))
    await call.say(Said())
    assert call.first() == first > 0


@given(
    st.lists(st.integers(64, 500), min_size=1, max_size=40),
    st.lists(st.integers(0, 60), min_size=40, max_size=40),
    st.integers(64, 4000),
)
def test_the_first_turn_is_one_of_the_given(tokens: list[int], starts: list[int], budget: int) -> None:
    positions = list(range(10, 10 + len(tokens)))
    place = first_of(positions, tokens, starts, budget)
    assert 0 <= place < len(tokens)
    remembered = next(filter(None, starts), 0)
    if remembered in positions:
        assert positions[place] == remembered
    elif remembered:
        assert place == len(tokens) - 1 or sum(tokens[place:]) <= budget / 2


async def test_a_record_counts_at_least_what_its_messages_are() -> None:
    store = MemoryStore()
    call = Call(store)
    for said in (Said(result=3000), Said(interrupted=True), Said(words=500)):
        await call.say(said)
    for record in await store.history("c", tokens=100_000):
        assert characters_of(messages_of(record)) <= tokens_of(record) * CHARACTERS_PER_TOKEN
