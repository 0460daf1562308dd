"""The record of a turn tells whether the instructions, the tools or the beginning of the history have changed.

The turn's model request is compared with the agent's previous request. An instruction that is appended to the history
is not named, because it leaves the beginning of the request unchanged.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any

import pytest
from pydantic_ai import Agent, InstructionPart
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import Message, Turn, VoiceAgent
from layercode_app.agent.runner import AgentRunner
from layercode_app.conversation.admission import TurnHandler
from layercode_app.journal.record import TurnRecord
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.settings.limits import Limits

from ..conversation.world import Ear

pytestmark = pytest.mark.anyio


async def records(agent: Agent[Any, Any], turns: int, given: list[str], *, tokens: int = 8000) -> Sequence[TurnRecord]:
    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        given.append(f"{info.instructions}")
        yield "Fine."

    agent.model = FunctionModel(stream_function=answer)
    handler, runner = (
        TurnHandler(MemoryStore(), limits=Limits(history_tokens=tokens)),
        AgentRunner(VoiceAgent("a", agent)),
    )
    for number in range(turns):
        event = {"session_id": "s", "conversation_id": "c", "turn_id": f"t{number}", "text": f"hello {number}"}
        await handler.admit(runner, Message.model_validate(event), Ear().listener, received=time.perf_counter())
    return [record async for record in handler.store.turns()]


def with_clock(on_change: Any) -> Agent[Any, Any]:
    agent: Agent[Any, Any] = Agent(instructions="Be kind.", deps_type=Turn)
    clock = count(1)

    @agent.instructions
    def now() -> InstructionPart:
        return InstructionPart(f"It is {next(clock)} o'clock.", name="time", on_change=on_change)

    return agent


async def test_a_text_that_changes_in_each_turn_is_noted() -> None:
    given: list[str] = []
    found = await records(with_clock("rewrite"), 3, given)
    assert [record.prompt_changes for record in found] == [[], ["instructions"], ["instructions"]]
    assert len(set(given)) == 3


async def test_a_text_that_is_appended_leaves_the_beginning_alone() -> None:
    given: list[str] = []
    found = await records(with_clock("append"), 4, given)
    assert [record.prompt_changes for record in found] == [[]] * 4
    assert len(set(given)) == 1
    assert "It is 1 o'clock." in given[-1]
    assert b"It is 4 o'clock." in found[-1].messages


async def test_a_history_that_was_cut_is_noted_once() -> None:
    found = await records(Agent(), 9, [], tokens=300)
    assert [number for number, record in enumerate(found) if record.prompt_changes == ["history"]] == [5, 8]


async def test_tools_that_change_are_noted() -> None:
    agent: Agent[Any, Any] = Agent(deps_type=Turn)

    async def on_the_second_turn(ctx: Any, tool: Any) -> Any:
        return tool if ctx.deps.text == "hello 1" else None

    @agent.tool_plain(prepare=on_the_second_turn)
    def look_up() -> str:
        return "found"

    found = await records(agent, 4, [])
    assert [record.prompt_changes for record in found] == [[], ["tools"], ["tools"], []]
