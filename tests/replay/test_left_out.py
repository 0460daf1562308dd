"""A replay leaves out the turns that it cannot answer again, and says why.

It leaves out a turn if two agents answered it, if its agent is not loaded, if a guard refused it, or if it deferred a
tool call.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import Agent, CallDeferred, DeferredToolRequests, RunContext

from layercode_app import Call, Turn, VoiceAgent
from layercode_app.replay.recording import Recording
from layercode_app.replay.replay import replay
from layercode_app.testing import open_call, scripted

pytestmark = pytest.mark.anyio


async def notes(voice: VoiceAgent[Any, Any], *said: str, answers: list[Any]) -> list[str]:
    """Record a call and replay it. Return why each turn was left out; "" for a turn that was replayed."""
    billing = VoiceAgent("billing", Agent(scripted(*["Billing here."] * 5)))
    async with open_call(voice, model=scripted(*answers), others=[billing]) as call:
        for text in said:
            await call.say(text)
        recording = Recording(await call.records())
    result = await replay(recording, voice)
    assert [turn.differences for turn in result.turns if turn.differences] == []
    assert result.same == (not result.missing)
    return [turn.note for turn in result.turns]


async def test_a_turn_that_two_agents_answered() -> None:
    front = Agent(deps_type=Turn)

    @front.tool
    async def to_billing(ctx: RunContext[Turn]) -> str:
        with ctx.deps.span("agent lookup"):
            ctx.deps.hand_to("billing", now=True)
        return "handed over"

    voice = VoiceAgent("front", front)
    assert await notes(voice, "hi", "my bill", "thanks", answers=["Hello.", Call("to_billing")]) == [
        "",
        "'front' handed the turn to 'billing', but in a replay only one agent can answer a turn",
        "agent 'billing', which answered the turn, is not loaded",
    ]


async def test_a_turn_with_a_span_that_is_named_like_an_agent_is_replayed() -> None:
    async def guard(turn: Turn) -> str | None:
        with turn.span("agent lookup"):
            return None

    voice = VoiceAgent("front", Agent(), guard=guard)
    assert await notes(voice, "hi", answers=["Hello.", "Hello."]) == [""]


async def test_a_turn_that_a_guard_refused() -> None:
    async def guard(turn: Turn) -> str | None:
        return "Not that." if turn.text == "bad words" else None

    voice = VoiceAgent("front", Agent(), guard=guard)
    assert await notes(voice, "bad words", "good words", answers=["Well.", "Fine.", "Fine."]) == [
        "a guard refused it, and timing decided how many words were spoken before the refusal",
        "",
    ]


async def test_a_turn_that_deferred_a_tool_call() -> None:
    front: Agent[Turn, Any] = Agent(deps_type=Turn, output_type=[str, DeferredToolRequests])

    @front.tool
    async def stock(ctx: RunContext[Turn]) -> str:
        with ctx.deps.span("guard"):
            raise CallDeferred

    voice = VoiceAgent("front", front)
    assert await notes(voice, "in stock?", "thanks", answers=[Call("stock"), "Bye."]) == [
        "it deferred a tool call to another program",
        "",
    ]
