"""Hooks speak while the model thinks, and the model's answer waits for the end of their sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.function import DeltaToolCall, FunctionModel

from layercode_app import LayerCode, Turn, VoiceAgent

from ..calling import calling, settings

pytestmark = pytest.mark.anyio


async def slow_model(messages: Any, info: Any) -> AsyncIterator[str]:
    await asyncio.sleep(0.05)
    yield "The **answer** "
    yield "is 4️⃣2️⃣."


def thinker() -> VoiceAgent[Any, Any]:
    return VoiceAgent("thinker", Agent(FunctionModel(stream_function=slow_model)), speakable=True)


async def test_the_hook_speaks_at_once_and_the_answer_waits_for_it(tmp_path: Path) -> None:
    voice = thinker()

    @voice.while_thinking
    async def acknowledge(turn: Turn) -> AsyncIterator[str]:
        yield "Let me "
        await asyncio.sleep(0.2)  # longer than the model needs
        yield "see. "

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        reply = await caller.say("What is it?")
    assert [frame.content for frame in reply.frames][:3] == ["Let me ", "see. ", "The answer "]
    assert reply.spoken == "Let me see. The answer is 42."


async def test_a_failing_hook_costs_the_caller_nothing(tmp_path: Path) -> None:
    voice = thinker()

    @voice.while_thinking
    async def acknowledge(turn: Turn) -> str:
        raise RuntimeError("no small model")

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("What is it?")).spoken == "The answer is 42."


def waiting_for(answer: asyncio.Event) -> VoiceAgent[Any, Any]:
    """Return an agent whose model waits until `answer` is set, and then answers."""

    async def model(messages: Any, info: Any) -> AsyncIterator[str]:
        await answer.wait()
        yield "It is 42."

    return VoiceAgent("thinker", Agent(FunctionModel(stream_function=model)))


async def test_a_hook_that_has_said_nothing_holds_no_finished_answer_back(tmp_path: Path) -> None:
    answer, ended = asyncio.Event(), asyncio.Event()
    voice = waiting_for(answer)

    @voice.while_thinking
    async def acknowledge(turn: Turn) -> str:
        answer.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return "Let me see. "

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("What is it?")).spoken == "It is 42."
    assert ended.is_set()


async def test_a_hook_ends_its_sentence_and_begins_no_other(tmp_path: Path) -> None:
    answer, closed = asyncio.Event(), asyncio.Event()
    voice = waiting_for(answer)

    @voice.while_thinking
    async def acknowledge(turn: Turn) -> AsyncIterator[str]:
        try:
            yield "Let me "
            answer.set()
            await asyncio.sleep(0.05)
            yield "see. "
            await asyncio.sleep(3600)
            yield "This takes a while. "
        finally:
            closed.set()

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("What is it?")).spoken == "Let me see. It is 42."
    assert closed.is_set()


async def test_a_hook_that_stops_in_its_sentence_is_waited_for_no_longer_than_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.agent.thinking.SENTENCE_SECONDS", 0.05)
    answer = asyncio.Event()
    voice = waiting_for(answer)

    @voice.while_thinking
    async def acknowledge(turn: Turn) -> AsyncIterator[str]:
        yield "Let me"
        answer.set()
        await asyncio.sleep(3600)
        yield " see."

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("What is it?")).spoken == "Let me It is 42."


async def test_a_hook_that_will_not_be_stopped_says_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercode_app.agent.thinking.END_SECONDS", 0.05)
    answer, ended = asyncio.Event(), asyncio.Event()
    voice = waiting_for(answer)

    @voice.while_thinking
    async def acknowledge(turn: Turn) -> AsyncIterator[str]:
        answer.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(0.2)
        ended.set()
        yield "Too late."

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("What is it?")).spoken == "It is 42."
        await ended.wait()


async def test_what_the_filter_holds_is_spoken_before_a_tool_runs(tmp_path: Path) -> None:
    async def model(messages: Any, info: Any) -> AsyncIterator[Any]:
        if len(messages) == 1:
            yield "One moment!"
            yield {1: DeltaToolCall("look", "{}", tool_call_id="call-1")}
        else:
            yield " # Done"

    agent = Agent(FunctionModel(stream_function=model), deps_type=Turn)
    voice = VoiceAgent("looker", agent, speakable=True)

    @agent.tool_plain
    async def look() -> str:
        return "seen"

    async with calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
        assert (await caller.say("Look")).spoken == "One moment! Done"


async def test_a_helper_uses_the_turns_model_the_named_one_or_the_script_when_offline(tmp_path: Path) -> None:
    seen: list[Any] = []
    voice = thinker()

    @voice.while_thinking
    async def note(turn: Turn) -> None:
        given = [turn.model, turn.helper_model(), turn.helper_model("test")]
        seen.append([getattr(model, "wrapped", model) for model in given])

    for model in (None, "offline"):
        async with calling(LayerCode(voice, settings=settings(tmp_path), model=model)) as caller:
            await caller.say("Hello")
    (own, same, named), (script, also, offline) = seen
    assert same is own
    assert named.model_name == "test"
    assert script is also is offline
    assert script is not own
