"""Tests of offline scripts: what a script sees of a turn, and how a wrong script is refused.

A script that repeats a tool call again and again is stopped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic_ai import Agent

from layercode_app import Call, DeveloperError, HookError, Scene, Stage, Turn, VoiceAgent
from layercode_app.agent.offline import MOST_REPEATS, offline_model
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio


def shop(most: int) -> tuple[VoiceAgent, list[int]]:
    """Return an agent whose script adds an item `most` times, and a list of the quantities that were added."""
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
        """Repeat one tool call, whatever its results are. Stop when there are `most` results."""
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


def plain(scene: Scene) -> Iterator[str]:
    yield "Hello!"


async def returns(scene: Scene) -> str:
    return "Hello!"


async def takes_nothing() -> AsyncIterator[str]:
    yield "Hello!"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (plain, "offline: plain is a plain generator; expected an async generator. Write `async def plain(scene)`"),
        (returns, "offline: returns is an async function without `yield`; expected an async generator."),
        (takes_nothing, "offline: takes_nothing() must take (scene). Write `async def takes_nothing(scene)`."),
        ("Hello!", "offline: 'Hello!' is not a function; expected an async generator."),
    ],
)
def test_a_wrong_script_is_refused_when_it_is_registered(script: Any, message: str) -> None:
    with pytest.raises(HookError) as raised:
        VoiceAgent("shop", Agent()).offline(script)
    assert str(raised.value).startswith(message)


async def yields_a_number(scene: Scene) -> AsyncIterator[Any]:
    yield 42


async def yields_none(scene: Scene) -> AsyncIterator[Any]:
    yield None


def returns_text(scene: Scene) -> Any:
    return "Hello!"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (yields_a_number, "The offline script yielded 42; expected a text, or a Call"),
        (yields_none, "The offline script yielded None; expected a text, or a Call"),
        (returns_text, "The offline script returned 'Hello!'; expected an async generator"),
    ],
)
async def test_what_a_script_must_not_yield_or_return_is_named(script: Any, message: str) -> None:
    agent = Agent(offline_model(script))
    with pytest.raises(HookError, match=message):
        await agent.run("hello")
    with pytest.raises(HookError, match=message):
        async with agent.run_stream("hello") as stream:
            await stream.get_output()


async def test_a_function_that_returns_a_script_is_accepted() -> None:
    async def script(scene: Scene) -> AsyncIterator[str]:
        yield "Hello!"

    voice = VoiceAgent("shop", Agent())
    voice.offline(lambda scene: script(scene))
    async with open_call(voice) as call:
        assert (await call.say("hi")).spoken == "Hello!"
