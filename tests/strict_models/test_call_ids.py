"""Tool call ids that a provider would refuse are rewritten, and each tool call has exactly one result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.anthropic import AnthropicModelSettings
from pydantic_ai.models.fallback import FallbackModel

from layercode_app import Turn, VoiceAgent
from layercode_app.agent.plain_messages import dump_messages
from layercode_app.journal.record import TurnRecord
from layercode_app.testing import open_call

from ..serving import serve
from . import (
    ALL,
    Asked,
    Call,
    Say,
    Step,
    StrictAnthropic,
    StrictChat,
    StrictGemini,
    StrictModel,
    StrictResponses,
    words,
)
from .talk import Talk, strict_agent, talking
from .test_conversations import answered, broken, checks_and_tells, goes_on

pytestmark = pytest.mark.anyio


class WithoutThinking(StrictAnthropic):
    """Anthropic without extended thinking. In this mode it accepts a tool call of another provider's model."""

    settings = AnthropicModelSettings()


async def counts_anew(asked: Asked) -> AsyncIterator[Step]:
    """Call the tool with the same id in each turn. The id has a dot and a colon, as the ids of Kimi do."""
    yield Say("Done.") if answered(asked) else Call("bump", id="functions.bump:0")


async def test_another_provider_takes_over_calls_with_its_own_ids() -> None:
    chat, anthropic = StrictChat(counts_anew), StrictAnthropic(checks_and_tells)
    async with (
        serve(anthropic.app) as url,
        anthropic.model(url) as fallback,
        talking(chat, lambda model: strict_agent(FallbackModel(model, fallback))) as talk,
    ):
        assert [await talk.say("hello"), await talk.say("again")] == ["Done.", "Done."]
        chat.script, talk.server = broken, anthropic
        await goes_on(talk)
        assert chat.refused == []


async def calls_twice(asked: Asked) -> AsyncIterator[Step]:
    """Call the tool twice with the same arguments."""
    if answered(asked):
        yield Say("It is done.")
        return
    yield Call("bump")
    yield Call("bump")


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("error", [ModelRetry("Choose another day."), ToolFailed("We are closed.")])
async def test_identical_calls_that_fail(kind: type[StrictModel], error: Exception) -> None:
    async def tool(turn: Any, by: int) -> str:
        await asyncio.sleep(0.01)
        raise error

    async with talking(kind(calls_twice), tool=tool) as talk:
        await goes_on(talk)
        roles = [line.role for line in talk.lines]
        assert roles.count("call") == roles.count("result") == 4


@pytest.mark.parametrize("kind", [StrictChat, StrictResponses, WithoutThinking, StrictGemini])
async def test_calls_with_the_same_id(kind: type[StrictModel]) -> None:
    bumps: list[int] = []

    async def tool(turn: Any, by: int) -> str:
        bumps.append(by)
        return f"bumped by {by}"

    async def calls(asked: Asked) -> AsyncIterator[Step]:
        if answered(asked):
            yield Say("It is done.")
            return
        yield Call("bump", '{"by": 1}', id="call_0")
        yield Call("bump", '{"by": 2}', id="call_0")

    async with talking(kind(calls), tool=tool) as talk:
        await goes_on(talk)
        assert bumps == [1, 2] * 2


async def a_turn_of_another_release(talk: Talk, *messages: ModelMessage) -> None:
    """Run a turn. Then replace its messages in the journal, as if another release had saved the turn."""

    def change(record: TurnRecord) -> None:
        user, end = ModelRequest(parts=[UserPromptPart("hello")]), ModelResponse(parts=[TextPart("It is done.")])
        record.messages = dump_messages([user, *messages, end])

    await talk.say("hello")
    await talk.store.update("c", "turn-1", change)


@pytest.mark.parametrize("kind", ALL)
async def test_two_results_of_one_call(kind: type[StrictModel]) -> None:
    async with talking(kind(checks_and_tells)) as talk:
        calls = [ToolCallPart("bump", {}, tool_call_id=call_id) for call_id in ("a", "b")]
        results = [ToolReturnPart("bump", "closed", tool_call_id="a") for _ in calls]
        await a_turn_of_another_release(talk, ModelResponse(parts=calls), ModelRequest(parts=results))
        await goes_on(talk)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("results", [0, 1, 2])
async def test_stored_calls_with_the_same_id(kind: type[StrictModel], results: int) -> None:
    async with talking(kind(checks_and_tells)) as talk:
        calls = [ToolCallPart("bump", {}, tool_call_id="call_0") for _ in range(2)]
        returned = [ToolReturnPart("bump", "done", tool_call_id="call_0") for _ in range(results)]
        await a_turn_of_another_release(talk, ModelResponse(parts=calls), ModelRequest(parts=returned))
        await goes_on(talk)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("call_id", ["", " ", "x" * 500, "call.1|fc_2", "für"])
async def test_stored_calls_with_odd_ids(kind: type[StrictModel], call_id: str) -> None:
    async with talking(kind(checks_and_tells)) as talk:
        call, result = ToolCallPart("bump", {}, tool_call_id=call_id), ToolReturnPart("bump", 1, tool_call_id=call_id)
        pair: list[ModelMessage] = [ModelResponse(parts=[call]), ModelRequest(parts=[result])]
        await a_turn_of_another_release(talk, *pair, *pair)
        await goes_on(talk)


async def test_an_agent_of_another_provider_takes_over_at_once() -> None:
    async def transfers(asked: Asked) -> AsyncIterator[Step]:
        yield Call("transfer", id="functions.transfer:0")

    chat, anthropic = StrictChat(transfers), WithoutThinking(words("Hello, this is billing."))
    async with (
        serve(chat.app) as one,
        chat.model(one) as first,
        serve(anthropic.app) as two,
        anthropic.model(two) as second,
    ):
        front = Agent(first, deps_type=Turn)

        @front.tool
        async def transfer(ctx: RunContext[Turn]) -> str:
            ctx.deps.hand_to("billing", now=True)
            return "handed over"

        billing = VoiceAgent("billing", Agent(second, deps_type=Turn))
        async with open_call(VoiceAgent("front", front), others=[billing]) as call:
            assert (await call.say("my bill")).spoken == "Hello, this is billing."
        assert anthropic.refused == []
