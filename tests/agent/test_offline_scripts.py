"""What a script sees of a turn; one that makes the same tool call again and again is stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic_ai import Agent

from layercode_app import Call, DeveloperError, Scene, Stage, Turn, VoiceAgent
from layercode_app.agent.offline import MOST_REPEATS
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio


def shop(most: int) -> tuple[VoiceAgent, list[int]]:
    """An agent whose script adds an item until it has done so `most` times, and the quantities that were added."""
    added: list[int] = []
    agent = Agent(deps_type=Turn)

    @agent.tool_plain
    async def add_item(quantity: int) -> str:
        """Add an item."""
        added.append(quantity)
        return "added"

    voice = VoiceAgent("shop", agent)

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        """Do not look at what was done before, up to `most`."""
        if len(scene.answered) == most:
            yield "It is added."
        else:
            yield Call("add_item", {"quantity": 2})

    return voice, added


async def test_a_script_that_does_not_look_at_its_results_is_stopped() -> None:
    voice, added = shop(most=1000)
    async with open_call(voice) as call:
        turn = await call.say("two rolls")
        assert added == [2] * MOST_REPEATS
        [record] = await call.records()
    assert turn.spoken
    assert DeveloperError.__name__ in (record.error or "")


async def test_a_call_may_be_repeated() -> None:
    voice, added = shop(most=MOST_REPEATS)
    async with open_call(voice) as call:
        assert (await call.say("two rolls")).spoken == "It is added."
    assert added == [2] * MOST_REPEATS


async def test_a_note_about_the_tools_of_a_new_stage_is_not_taken_for_the_callers_words() -> None:
    async def add_item() -> str:
        """Add an item."""
        return "added"

    async def pay() -> str:
        """Pay."""
        return "paid"

    till = VoiceAgent(
        "till",
        Agent(deps_type=Turn),
        stages=[Stage("order", tools=[add_item], then=lambda turn: "payment"), Stage("payment", tools=[pay])],
    )
    scenes: list[Scene] = []

    @till.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        scenes.append(scene)
        yield f"It is {scene.results['add_item']}." if scene.results else Call("add_item")

    async with open_call(till) as call:
        turn = await call.say("a roll")
    assert turn.spoken == "It is added."
    assert [(scene.text, scene.said) for scene in scenes] == [("a roll", ["a roll"])] * 2
    assert scenes[1].offers("pay")
