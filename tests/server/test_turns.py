"""Signed requests through a real socket are answered with frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel

from layercode_app import LayerCode, Turn, VoiceAgent

from ..calling import calling, settings

pytestmark = pytest.mark.anyio


async def weather_model(messages: list[ModelMessage], info: AgentInfo) -> Any:
    if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
        yield "It is "
        yield "sunny."
    else:
        yield {0: DeltaThinkingPart(content="secret thoughts")}
        yield "Let me check. "
        yield {2: DeltaToolCall(name="weather", json_args='{"city": "Oslo"}', tool_call_id=f"call-{len(messages)}")}


def weather_agent() -> VoiceAgent[Any, Any]:
    agent = Agent(FunctionModel(stream_function=weather_model), deps_type=Turn)

    @agent.tool
    async def weather(ctx: RunContext[Turn], city: str) -> str:
        ctx.deps.data({"asked": city})
        return "sunny"

    return VoiceAgent("weather", agent, greeting="Hello!", notices=True)


async def test_text_before_and_after_a_tool_call_is_spoken_in_order_and_thinking_never(tmp_path: Path) -> None:
    async with calling(LayerCode(weather_agent(), settings=settings(tmp_path))) as caller:
        reply = await caller.say("How is the weather in Oslo?", turn_id="t1")

    assert reply.spoken == "Let me check. It is sunny."
    assert reply.types == [
        "response.tts",
        "response.data",
        "response.data",
        "response.data",
        "response.tts",
        "response.tts",
        "response.end",
    ]
    assert [frame.content for frame in reply.frames if frame.type == "response.data"] == [
        {"tool": {"name": "weather", "status": "running"}},
        {"asked": "Oslo"},
        {"tool": {"name": "weather", "status": "done"}},
    ]
    assert {frame.turn_id for frame in reply.frames} == {"t1"}


async def test_the_greeting_is_spoken_in_both_readings(tmp_path: Path) -> None:
    async with calling(LayerCode(weather_agent(), settings=settings(tmp_path))) as caller:
        older = await caller.send({"type": "session.start", "turn_id": "g1"})
        newer = await caller.send({"type": "welcome", "turn_id": "g2"})
        acknowledged = await caller.send({"type": "session.start"})

    assert older.spoken == newer.spoken == "Hello!"
    assert acknowledged.status == 200
    assert acknowledged.json == {"ok": True}


class Basket(BaseModel):
    items: dict[str, int] = {}


async def test_state_is_typed_kept_by_conversation_and_survives_a_restart(tmp_path: Path) -> None:
    agent = VoiceAgent("shop", state=Basket)

    @agent.on_message
    async def add(turn: Turn[Basket]) -> str:
        turn.state.items[turn.text] = turn.state.items.get(turn.text, 0) + 1
        return str(turn.state.items)

    @agent.on_data
    async def basket(turn: Turn[Basket], data: Any) -> Any:
        return {"items": turn.state.items, "got": data}

    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        await caller.say("apple")
        conversation = caller.conversation_id
    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        assert (await caller.say("pear")).spoken == "{'pear': 1}"
        caller.conversation_id = conversation
        assert (await caller.say("apple")).spoken == "{'apple': 2}"
        answered = await caller.send({"type": "data", "turn_id": "x", "data": [1]})
    assert answered.json == {"items": {"apple": 2}, "got": [1]}


async def test_a_failing_agent_apologises_without_internals_and_ends_once(tmp_path: Path) -> None:
    agent = VoiceAgent("broken")

    @agent.on_message
    async def fail(turn: Turn) -> None:
        turn.say("Well, ")
        raise RuntimeError("password is hunter2")

    async with calling(LayerCode(agent, settings=settings(tmp_path, apology="Sorry!"))) as caller:
        reply = await caller.say("hello")
        again = await caller.say("hello")

    assert reply.spoken == "Well, Sorry!"
    assert reply.types.count("response.end") == 1
    assert reply.types[-1] == "response.end"
    assert again.status == 200
