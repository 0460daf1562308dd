"""At the end of a session, notes about its caller are written. The agent that recognised the caller writes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import Turn, VoiceAgent
from layercode_app.conversation.caller_notes import read_notes
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.testing import AgentCall, open_call

pytestmark = pytest.mark.anyio


async def write(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Note each line of the transcript that the caller said."""
    prompt = str(messages[-1].parts[-1].content)  # type: ignore[union-attr]
    facts = [line.removeprefix("Caller: ") for line in prompt.splitlines() if line.startswith("Caller: ")]
    return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, json.dumps({"facts": facts}))])


async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield "Fine."


def concierge() -> VoiceAgent[Any, Any]:
    agent = Agent(FunctionModel(write, stream_function=speak), deps_type=Turn)
    return VoiceAgent("concierge", agent, remember=lambda turn: turn.metadata.get("user"), filler=False)


async def ended(call: AgentCall, session_id: str) -> None:
    """End a session, and wait for its jobs."""
    call.session_id = session_id
    await call.end()
    async with asyncio.timeout(20):
        while any(job.name == "task" for job in await call.app.store.pending_jobs()):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("other", [None, "bob"])
@pytest.mark.parametrize("late", [False, True], ids=["in order", "late"])
async def test_each_session_has_its_own_caller(other: str | None, late: bool) -> None:
    store = MemoryStore()
    async with open_call(concierge(), store=store) as call:
        for session_id, said, user in (("first", "I like rye", "ann"), ("second", "I hate rye", other)):
            call.session_id = session_id
            await call.say(said, metadata={"user": user})
            if not late:
                await ended(call, session_id)
        if late:
            await ended(call, "first")
            await ended(call, "second")
    assert (await read_notes(store, "ann")).facts == ["I like rye"]
    assert (await read_notes(store, "bob")).facts == (["I hate rye"] if other else [])


async def test_a_turn_without_an_id_does_not_change_the_caller_of_its_session() -> None:
    store = MemoryStore()
    async with open_call(concierge(), store=store) as call:
        await call.say("I like rye", metadata={"user": "ann"})
        await call.say("Goodbye", metadata={"user": None})
        await ended(call, call.session_id)
    assert (await read_notes(store, "ann")).facts == ["I like rye", "Goodbye"]


@pytest.mark.parametrize("direction", ["to", "from"])
async def test_the_agent_that_recognised_the_caller_takes_the_notes_of_a_call_that_was_handed_over(
    direction: str,
) -> None:
    store, desk = MemoryStore(), VoiceAgent("desk")
    knows = concierge()

    @desk.on_message
    async def pass_on(turn: Turn) -> str:
        turn.hand_to("concierge")
        return "One moment."

    @knows.on_session_start
    async def pass_back(turn: Turn) -> None:
        turn.hand_to("desk")

    first, second = (desk, knows) if direction == "to" else (knows, desk)
    async with open_call(first, others=[second], store=store, metadata={"user": "ann"}) as call:
        if direction == "from":
            await call.greet()
        await call.say("hello")
        await call.say("I like rye")
        await ended(call, call.session_id)
    assert "I like rye" in (await read_notes(store, "ann")).facts
