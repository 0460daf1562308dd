"""A reply of which nothing can be spoken is asked for again, as a blank reply is."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import Agent, RunContext

from layercode_app import Speakable, Turn, VoiceAgent
from layercode_app.testing import open_call

from .test_outputs import Script, call

pytestmark = pytest.mark.anyio


async def replies_to(voice: VoiceAgent[Any, Any], *said: str) -> list[str]:
    """Return the agent's replies."""
    async with open_call(voice) as line:
        return [(await line.say(text)).spoken for text in said]


@pytest.mark.parametrize(
    "silent", [["👍"], ["\U0001f44d", "\ufe0f"], ["**"], ["---"], ["```python\n", "```"], ["❤️ " * 50]]
)
@pytest.mark.parametrize("speakable", [True, Speakable(replace={"LayerCode": "layer code"})])
async def test_a_reply_that_the_filter_empties_is_asked_for_again(silent: list[str], speakable: Any) -> None:
    script = Script(silent, ["You are welcome."], ["Bye."])
    voice = VoiceAgent("shop", Agent(script.model), filler=False, speakable=speakable)
    assert await replies_to(voice, "thanks", "bye") == ["You are welcome.", "Bye."]
    assert script.given() == ["thanks", "You are welcome.", "bye"]


async def test_replies_that_stay_silent_end_in_an_apology() -> None:
    voice = VoiceAgent("shop", Agent(Script(*[["👍"]] * 9).model), filler=False, speakable=True, apology="Sorry!")
    assert await replies_to(voice, "thanks") == ["Sorry!"]


@pytest.mark.parametrize(("hangs_up", "requests"), [(True, 2), (False, 3)])
@pytest.mark.parametrize("by_tool", [False, True])
async def test_a_turn_that_has_said_something_may_end_with_a_silent_reply(
    hangs_up: bool, requests: int, by_tool: bool
) -> None:
    script = Script([*["Goodbye."] * (not by_tool), call("end_call")], ["👋"], ["👋"])
    agent = Agent(script.model, deps_type=Turn)

    @agent.tool
    async def end_call(ctx: RunContext[Turn]) -> str:
        if by_tool:
            ctx.deps.say("Goodbye.")
        if hangs_up:
            ctx.deps.hangup()
        return "ok"

    async with open_call(VoiceAgent("shop", agent, filler=False, speakable=True)) as line:
        assert (await line.say("bye")).spoken == "Goodbye."
        assert (await line.records())[-1].error is None
    assert len(script.requests) == requests


async def test_a_silent_text_before_a_tool_call_does_not_stop_the_tool() -> None:
    script = Script(["🎉", call("look")], ["Found."])
    agent = Agent(script.model)

    @agent.tool_plain
    async def look() -> str:
        return "it"

    assert await replies_to(VoiceAgent("shop", agent, filler=False, speakable=True), "look") == ["Found."]
    assert script.given() == ["look"]


async def test_an_agent_with_speak_gets_the_text_unchanged() -> None:
    voice = VoiceAgent(
        "shop", Agent(Script(["👍"]).model), filler=False, speakable=True, speak=lambda text: f"{text} ok"
    )
    assert await replies_to(voice, "thanks") == ["ok"]


async def test_an_agent_that_may_say_nothing_stays_silent() -> None:
    agent: Agent[None, Any] = Agent(Script(["👍"]).model, output_type=[str, type(None)])
    assert await replies_to(VoiceAgent("shop", agent, filler=False, speakable=True), "thanks") == [""]


async def test_a_hook_may_say_nothing() -> None:
    voice = VoiceAgent("shop", Agent(Script().model), speakable=True)

    @voice.on_message
    async def reply(turn: Turn) -> str:
        return ""

    assert await replies_to(voice, "thanks") == [""]
