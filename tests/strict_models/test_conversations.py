"""After interruptions, broken streams and restarts, no model server refuses the next turns.

The next requests contain the text that the caller heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import pytest
from pydantic_ai.models.fallback import FallbackModel

from ..serving import serve
from . import ALL, Asked, Break, Call, Fail, Hang, Say, Step, StrictAnthropic, StrictModel, StrictResponses, Think
from .talk import Talk, interrupt, strict_agent, talking

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", ALL)]


def answered(asked: Asked) -> bool:
    """Return whether the last part of a request is a tool's result."""
    return asked.lines[-1].role == "result"


def has_started(started: Sequence[object], times: int, _: object) -> bool:
    """Return whether a tool was started exactly `times` times."""
    return len(started) == times


async def checks_and_tells(asked: Asked) -> AsyncIterator[Step]:
    """Thinks, says something, calls the tool, thinks, says something."""
    yield Think("Hm.")
    if answered(asked):
        yield Say("It is ")
        yield Say("done.")
    else:
        yield Say("Let me check. ")
        yield Call("bump")


async def goes_on(talk: Talk) -> None:
    """Check that two more turns are answered, and that the server refused no request."""
    for text in ("and now?", "and then?"):
        assert (await talk.say(text)).endswith("It is done.")
    assert talk.server.refused == []


@pytest.mark.slow
async def test_a_filler(kind: type[StrictModel]) -> None:
    async def slow(asked: Asked) -> AsyncIterator[Step]:
        await asyncio.sleep(0.02)
        async for step in checks_and_tells(asked):
            yield step

    async with talking(kind(slow), filler="One moment. ", filler_after=0) as talk:
        assert await talk.say("hello") == "One moment. Let me check. It is done."
        await goes_on(talk)
        assert talk.said("assistant").startswith("One moment. Let me check.")


async def test_words_that_a_tool_says(kind: type[StrictModel]) -> None:
    async def tool(turn: Any, by: int) -> str:
        turn.say("I am looking. ")
        return "found"

    async with talking(kind(checks_and_tells), tool=tool) as talk:
        await talk.say("hello")
        await goes_on(talk)
        assert "I am looking." in talk.said("assistant")


@pytest.mark.parametrize("heard", ["", "Let", "Let me check. It"])
async def test_what_was_heard_of_a_finished_turn(kind: type[StrictModel], heard: str) -> None:
    async with talking(kind(checks_and_tells)) as talk:
        await talk.say("hello")
        context = {"previous_turn_interrupted": True, "text_heard": heard, "words_heard": len(heard.split())}
        await talk.say("wait", interruption_context=context)
        first = [line.text for line in talk.server.asked[2].lines if line.role == "assistant"]
        assert "".join(first).split() == heard.split()
        assert "call" in [line.role for line in talk.server.asked[2].lines]
        await goes_on(talk)


@pytest.mark.parametrize("after", ["Let me check. ", "Let me check. It is "])
async def test_a_caller_who_speaks_over_a_text(kind: type[StrictModel], after: str) -> None:
    async def stops(asked: Asked) -> AsyncIterator[Step]:
        spoken = 0
        async for step in checks_and_tells(asked):
            yield step
            spoken += isinstance(step, Say)
            if talk.server.script is stops and spoken and answered(asked) == (after != "Let me check. "):
                yield Hang()

    async with talking(kind(stops)) as talk:
        await interrupt(talk, "hello", lambda ear: ear.spoken == after)
        talk.server.script = checks_and_tells
        await goes_on(talk)
        assert talk.said("assistant").startswith(after.strip()[:10])


async def test_a_caller_who_speaks_over_a_tool(kind: type[StrictModel]) -> None:
    started: list[int] = []

    async def tool(turn: Any, by: int) -> str:
        started.append(by)
        if len(started) <= 2:
            await asyncio.sleep(600)
        return "done"

    async with talking(kind(checks_and_tells), tool=tool) as talk:
        # Interrupt two turns, so that one unfinished turn follows another.
        for number in (1, 2):
            await interrupt(talk, "hello", partial(has_started, started, number))
        await goes_on(talk)


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
async def test_a_stream_that_breaks(kind: type[StrictModel], kept: int) -> None:
    async def breaks(asked: Asked) -> AsyncIterator[Step]:
        steps = [step async for step in checks_and_tells(asked)]
        for step in steps[:kept]:
            yield step
        yield Break()

    async with talking(kind(breaks)) as talk:
        await talk.say("hello")
        talk.server.script = checks_and_tells
        await goes_on(talk)


async def test_a_stream_that_breaks_after_a_tool(kind: type[StrictModel]) -> None:
    async def breaks(asked: Asked) -> AsyncIterator[Step]:
        async for step in checks_and_tells(asked):
            if answered(asked) and isinstance(step, Say):
                yield step
                yield Break()
            yield step

    async with talking(kind(breaks)) as talk:
        await talk.say("hello")
        talk.server.script = checks_and_tells
        await goes_on(talk)


async def test_a_restart(kind: type[StrictModel]) -> None:
    async with talking(kind(checks_and_tells)) as talk:
        await talk.say("hello")
        again = Talk(talk.server, talk.voice, talk.store, turns=2)
        await goes_on(again)
        assert again.said("assistant").startswith("Let me check.")


async def test_reasoning_hidden_by_the_provider(kind: type[StrictModel]) -> None:
    async def hides(asked: Asked) -> AsyncIterator[Step]:
        yield Think()
        async for step in checks_and_tells(asked):
            if not isinstance(step, Think):
                yield step

    async with talking(kind(hides), filler="One moment. ", filler_after=0) as talk:
        await talk.say("hello")
        await goes_on(talk)


async def test_a_model_of_another_provider_takes_over(kind: type[StrictModel]) -> None:
    """A request to one provider contains the turns that another provider answered earlier.

    These turns include their tool calls, but nothing that only the other provider can check, such as signed reasoning.
    """
    other = StrictResponses if kind is StrictAnthropic else StrictAnthropic
    first, second = kind(checks_and_tells), other(checks_and_tells)
    async with (
        serve(second.app) as url,
        second.model(url) as fallback,
        talking(first, lambda model: strict_agent(FallbackModel(model, fallback))) as talk,
    ):
        await talk.say("hello")
        first.script, talk.server = broken, second
        await goes_on(talk)
        assert "Hm." not in talk.said("assistant")
        # Each request goes to the first provider before the second. After a tool call, the request also contains the
        # second provider's reasoning, because the run is not over. So the first provider may have refused it.
        first.refused.clear()
        first.script, talk.server = checks_and_tells, first
        await goes_on(talk)


async def broken(asked: Asked) -> AsyncIterator[Step]:
    yield Fail(500)
