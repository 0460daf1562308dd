"""The model gets an agent's system prompts in every request, exactly once, whatever the history begins with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.messages import ModelMessage, ModelRequest, SystemPromptPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import Call, Stage, Turn, VoiceAgent
from layercode_app.agent.system_prompts import instructions_for, without_old_prompts
from layercode_app.judging.case import prompts_in
from layercode_app.testing import open_call, scripted

pytestmark = pytest.mark.anyio

PROMPT = "You are the baker."


class Told:
    """A model that records the system prompts and the instructions of each request."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.model = FunctionModel(stream_function=self._answer)

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        parts = [part for message in messages for part in message.parts]
        prompts = [str(part.content) for part in parts if part.part_kind == "system-prompt"]
        self.requests.append([*prompts, info.instructions or ""])
        yield "Fine."


def baker(**options: Any) -> VoiceAgent[Any, Any]:
    return VoiceAgent("baker", Agent(deps_type=Turn, system_prompt=PROMPT, **options.pop("agent", {})), **options)


async def requests(voice: VoiceAgent[Any, Any], *, greet: bool = True, **options: Any) -> list[list[str]]:
    """Make a call with two messages. Return what the model was told in each request."""
    told = Told()
    async with open_call(voice, model=told.model, **options) as call:
        if greet:
            await call.greet()
        for text in ("Hello", "Bread"):
            turn = await call.say(text)
            assert turn.error is None
    return told.requests


async def test_a_system_prompt_is_sent_after_a_greeting() -> None:
    assert await requests(baker(greeting="Hi")) == [[PROMPT]] * 2
    assert await requests(baker()) == [[PROMPT]] * 2


@pytest.mark.parametrize("options", [{}, {"history": False}])
async def test_it_is_sent_once_if_the_run_or_its_history_has_it(options: Any) -> None:
    assert await requests(baker(**options), greet=False) == [[PROMPT, ""]] * 2


async def test_it_is_sent_once_by_an_agent_that_adds_it_itself() -> None:
    voice = baker(greeting="Hi", agent={"capabilities": [ReinjectSystemPrompt()]})
    assert await requests(voice) == [[PROMPT, ""]] * 2


async def test_it_goes_with_instructions_and_stages() -> None:
    voice = baker(greeting="Hi", agent={"instructions": "Be nice."}, stages=[Stage("order", "Take the order.", [])])
    assert await requests(voice) == [["Be nice.\n\n" + PROMPT + "\n\nTake the order."]] * 2


async def test_a_function_that_returns_one_gets_the_turn() -> None:
    agent = Agent(deps_type=Turn)

    @agent.system_prompt
    async def named(ctx: RunContext[Turn]) -> str:
        return f"The caller said {ctx.deps.text}."

    assert await requests(VoiceAgent("baker", agent, greeting="Hi")) == [
        ["The caller said Hello."],
        ["The caller said Bread."],
    ]


async def test_the_agent_that_takes_a_call_over_has_its_own() -> None:
    front: VoiceAgent[Any, Any] = VoiceAgent("front", greeting="Hi")
    told = Told()

    @front.on_message
    async def transfer(turn: Turn) -> None:
        turn.hand_to("baker", now=True)

    other = baker()
    async with open_call(front, others=[other], model="offline") as call:
        call.app.agents["baker"].use_model(told.model)
        await call.say("Bread")
    assert told.requests == [[PROMPT]]


# --- the history has the prompts of another agent, or older ones of the same agent

HOUSE = "Speak in short sentences."
SALES = (HOUSE, "You sell. Never discuss refunds.")
SUPPORT = (HOUSE, "You give refunds.")


def sales(*, now: bool, **options: Any) -> VoiceAgent[Any, Any]:
    agent = Agent(deps_type=Turn, system_prompt=SALES)

    @agent.tool
    async def to_support(ctx: RunContext[Turn]) -> str:
        ctx.deps.hand_to("support", now=now, say="" if now else "Bye. ")
        return "ok"

    return VoiceAgent("sales", agent, **options)


@pytest.mark.parametrize("prompts", [{"system_prompt": SUPPORT}, {"instructions": "\n\n".join(SUPPORT)}])
@pytest.mark.parametrize("options", [{"now": True}, {"now": False}, {"now": True, "history": False}])
async def test_the_prompts_of_the_agent_before_are_not_sent(options: Any, prompts: Any) -> None:
    told, support = Told(), VoiceAgent("support", Agent(deps_type=Turn, **prompts))
    model = scripted(Call("to_support"), "You are put through.")
    async with open_call(sales(**options), others=[support], model=model) as call:
        call.app.agents["support"].use_model(told.model)
        for text in ("Hello", "A refund"):
            await call.say(text)
        [first, _] = await call.records()
    assert told.requests == [["\n\n".join(SUPPORT)]] * (2 if options["now"] else 1)
    assert set(SALES) <= set(prompts_in(first.messages))


@pytest.mark.parametrize("newer", [(HOUSE, "You give no refunds."), ("You give no refunds.",)])
async def test_a_prompt_that_was_changed_during_a_call_is_sent_alone(newer: tuple[str, ...]) -> None:
    told = Told()
    older, changed = (
        VoiceAgent("support", Agent(told.model, deps_type=Turn, system_prompt=prompts)) for prompts in (SUPPORT, newer)
    )
    async with open_call(older, model=None) as call:
        await call.say("Hello")
        call.app.use(changed)
        await call.say("A refund")
    assert told.requests == [[*SUPPORT, ""], ["\n\n".join(newer)]]


def test_a_prompt_that_a_run_added_later_stays() -> None:
    note, asked = SystemPromptPart("The caller is a child."), UserPromptPart("Hello")
    found = ToolReturnPart("look", "a child", tool_call_id="c")
    added = [ModelRequest(parts=[note]), ModelRequest(parts=[found, note])]
    history: list[ModelMessage] = [ModelRequest(parts=[SystemPromptPart(PROMPT), asked]), *added]
    assert without_old_prompts(Agent(), history) == [ModelRequest(parts=[asked]), *added]
    assert without_old_prompts(Agent(system_prompt=PROMPT), history) == history
    assert instructions_for(Agent(system_prompt=PROMPT), history) == []
