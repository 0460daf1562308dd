"""Lone surrogates from any source are joined or replaced. They break no turn and no metric."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.exceptions import ModelHTTPError, ToolFailed
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ToolReturn,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel

from layercode_app import LayerCode, Turn, VoiceAgent

from ..calling import Caller, calling, settings

pytestmark = pytest.mark.anyio

HIGH, LOW, WHOLE, GONE = "\ud83d", "\ude00", "\U0001f600", "\ufffd"


async def strict_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    """Answer "pieces" with two pieces of text, and "tool" with a tool call. All of these contain lone surrogates.

    Answer everything else, and the result of the tool, with "Good."
    """
    # A provider's client also encodes the request as UTF-8, which fails for a lone surrogate.
    ModelMessagesTypeAdapter.dump_json(messages)
    prompts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    said = str(prompts[-1].content)
    called = isinstance(messages[-1].parts[-1], ToolReturnPart)
    yield {0: DeltaThinkingPart(content=f"thought {HIGH}")}
    if said.startswith("tool") and not called:
        yield f"Let me see {HIGH}"
        arguments = '{"what": "a", "note": "half ' + HIGH + '"}'
        yield {1: DeltaToolCall(name="look_up", json_args=arguments, tool_call_id=f"call-{len(messages)}")}
        return
    for piece in ["pieces high", "low! high"] if said == "pieces" else ["Good."]:
        yield piece.replace("high", HIGH).replace("low", LOW)


def agent_with(result: Any) -> VoiceAgent[Any, Any]:
    agent = Agent(FunctionModel(stream_function=strict_model, model_name="gpt-5-mini"), deps_type=Turn)
    tried: list[str] = []

    @agent.tool
    async def look_up(ctx: RunContext[Turn], what: str, note: str) -> Any:
        if isinstance(result, Exception) and not tried:
            tried.append(what)
            raise result
        return None if isinstance(result, Exception) else result

    return VoiceAgent("strict", agent, greeting=f"Hi {HIGH}")


async def next_turns_are_answered(caller: Caller) -> None:
    for _ in range(2):
        assert (await caller.say("hello")).spoken == "Good."


async def test_halves_of_a_model_are_joined_over_two_pieces_and_single_ones_replaced(tmp_path: Path) -> None:
    app = LayerCode(agent_with("x"), settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("pieces", turn_id="t1")
        record = await app.store.get(caller.conversation_id, "t1")
        await next_turns_are_answered(caller)

    assert reply.spoken == f"pieces {WHOLE}! {GONE}"
    assert reply.types[-1] == "response.end"
    assert record is not None
    assert (str(record.status), record.spoken_text, record.error) == ("complete", reply.spoken, None)
    assert record.usage["output_tokens"] > 0
    assert f"pieces {WHOLE}! {GONE}".encode() in record.messages


RESULTS = [
    f"cut {HIGH}",
    {f"key {LOW}": [f"cut {HIGH}", {"n": 10**400}]},
    ToolReturn(f"cut {HIGH}", content=f"more {HIGH}"),
    ModelRetry(f"try again {HIGH}"),
    ToolFailed(f"cannot {HIGH}"),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
async def test_halves_in_a_tools_result_cost_neither_the_turn_nor_its_figures(tmp_path: Path, result: Any) -> None:
    app = LayerCode(agent_with(result), settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.say("tool", turn_id="t1")
        record = await app.store.get(caller.conversation_id, "t1")
        await next_turns_are_answered(caller)

    assert reply.spoken == f"Let me see {GONE}Good."
    assert record is not None
    assert (str(record.status), record.error) == ("complete", None)
    assert record.usage["requests"] >= 2
    assert record.cost is not None
    assert record.tools[0].args == {"what": "a", "note": f"half {GONE}"}


async def test_halves_in_what_an_agents_own_code_says_are_joined_too(tmp_path: Path) -> None:
    voice = VoiceAgent("own", greeting=f"Hi {HIGH}", filler="")

    @voice.on_message
    async def speak(turn: Turn) -> AsyncIterator[str]:
        yield f"a {HIGH}"
        yield LOW
        turn.say(HIGH)
        yield "b"
        turn.say(f" {HIGH}", source="filler")
        turn.data({f"k{HIGH}": [HIGH, 10**400, float("nan")]})

    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        greeting = await caller.send({"type": "session.start", "turn_id": "g"})
        reply = await caller.say("go", turn_id="t1")
        record = await app.store.get(caller.conversation_id, "t1")

    assert greeting.spoken == f"Hi {GONE}"
    assert reply.spoken == f"a {WHOLE}{GONE}b {GONE} "
    assert record is not None
    assert record.spoken_text == reply.spoken
    assert [frame.content for frame in record.frames if frame.type == "response.data"] == [
        {f"k{GONE}": [GONE, str(10**400), None]}
    ]


async def test_a_greeting_and_an_event_with_halves_are_answered(tmp_path: Path) -> None:
    app = LayerCode(agent_with("x"), settings=settings(tmp_path))
    async with calling(app) as caller:
        reply = await caller.send({"type": "session.start", "turn_id": HIGH, "metadata": {"name": HIGH, "n": 10**400}})
        assert reply.spoken == f"Hi {GONE}"
        heard = {"previous_turn_interrupted": True, "text_heard": f"Hi {HIGH}"}
        reply = await caller.say(f"hello {HIGH}", interruption_context=heard, from_phone_number=HIGH)
        assert reply.spoken == "Good."
        await next_turns_are_answered(caller)
        ended = await caller.send({"type": "session.end", "transcript": [{"role": "user", "text": HIGH}]})
        assert ended.json == {"ok": True}


async def test_half_a_character_of_an_answer_that_failed_is_not_said_before_the_next(tmp_path: Path) -> None:
    tried: list[str] = []

    async def fails_once(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        tried.append("")
        if len(tried) == 1:
            yield HIGH
            raise ModelHTTPError(500, "gpt-5-mini")
        yield "Good."

    agent = VoiceAgent("strict", Agent(FunctionModel(stream_function=fails_once, model_name="gpt-5-mini")))
    async with calling(LayerCode(agent, settings=settings(tmp_path))) as caller:
        assert (await caller.say("hello")).spoken == "Good."
    assert len(tried) == 2
