"""A text output that is not the streamed text of the last response is spoken when the run has ended."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic_ai import Agent, TextOutput, ToolOutput
from pydantic_ai.capabilities import AbstractCapability, Hooks
from pydantic_ai.messages import CompactionPart, ModelMessage, ModelResponse, TextPart
from pydantic_ai.run import AgentRunResult

from layercode_app import VoiceAgent
from layercode_app.testing import AgentCall, open_call

from .test_outputs import Script, call

pytestmark = pytest.mark.anyio

DOWN = "We are closed for repairs."
BROKEN = ValueError("a bug in a model client, which is not retried")
REFUND = '{"amount": 5}'


def finish(name: str) -> str:
    """End the order."""
    return f"Goodbye {name}."


async def spoken_in(line: AgentCall, text: str = "hello") -> list[tuple[str, int, str]]:
    """Say something, and return the agent's speech: its sources, model responses and texts."""
    await line.say(text)
    return [(part.source, part.response, part.text) for part in (await line.records())[-1].speech]


def texts(messages: list[ModelMessage]) -> list[str]:
    """Return the texts of the agent in these messages."""
    parts = [part for message in messages for part in message.parts]
    return [part.content for part in parts if isinstance(part, TextPart)]


@pytest.mark.parametrize(
    ("kinds", "ending"),
    [
        ([finish, str], call("final_result", '{"name": "Ann"}')),
        ([str, ToolOutput(str, name="end")], call("end", '{"response": "Goodbye Ann."}')),
    ],
)
async def test_the_text_of_an_output_tool_is_spoken_and_remembered(kinds: Any, ending: Any) -> None:
    script = Script([ending], ["Let me see.", ending], ["Bye."])
    async with open_call(VoiceAgent("shop", Agent(script.model, output_type=kinds), filler=False)) as line:
        assert await spoken_in(line) == [("output", 0, "Goodbye Ann.")]
        assert await spoken_in(line) == [("model", 0, "Let me see."), ("output", 0, " Goodbye Ann.")]
        assert await spoken_in(line) == [("model", 0, "Bye.")]
    assert texts(script.requests[-1]) == ["Goodbye Ann.", "Let me see. Goodbye Ann."]


async def test_an_output_function_speaks_after_a_confirmed_tool() -> None:
    script = Script([call("refund", REFUND)], [call("final_result", '{"name": "Ann"}')])
    agent: Agent[None, str] = Agent(script.model, output_type=[finish, str])

    @agent.tool_plain
    async def refund(amount: int) -> str:
        return "refunded"

    voice = VoiceAgent("shop", agent, filler=False, confirm={"refund": "Refund {amount}?"})
    async with open_call(voice) as line:
        assert (await line.say("my money")).spoken == "Refund 5?"
        assert (await line.say("yes")).spoken == "Goodbye Ann."


hooks: Hooks[Any] = Hooks()


@hooks.on.run_error
async def recover(ctx: Any, *, error: BaseException) -> Any:
    return AgentRunResult(DOWN)


class Recover(AbstractCapability[Any]):
    async def wrap_run(self, ctx: Any, *, handler: Any) -> Any:
        try:
            return await handler()
        except ValueError:
            return AgentRunResult(DOWN)


@pytest.mark.parametrize("capability", [hooks, Recover()])
async def test_the_text_that_replaces_a_failed_run_is_spoken_and_remembered(capability: Any) -> None:
    script = Script([BROKEN], ["Let me look.", call("look")], [BROKEN], ["You ordered ", BROKEN], ["Bye."])
    agent = Agent(script.model, capabilities=[capability])

    @agent.tool_plain
    async def look() -> str:
        return "nothing"

    async with open_call(VoiceAgent("shop", agent, filler=False)) as line:
        assert await spoken_in(line) == [("output", 0, DOWN)]
        assert await spoken_in(line) == [("model", 0, "Let me look."), ("output", 1, f" {DOWN}")]
        assert await spoken_in(line) == [("model", 0, "You ordered "), ("output", 0, DOWN)]
        await line.say("bye")
    assert texts(script.requests[-1]) == [DOWN, "Let me look.", f" {DOWN}", f"You ordered {DOWN}"]


class NoModel(AbstractCapability[Any]):
    async def wrap_run(self, ctx: Any, *, handler: Any) -> Any:
        return AgentRunResult(DOWN)


async def test_the_text_of_a_capability_that_calls_no_model_is_spoken() -> None:
    agent = Agent(Script().model, capabilities=[NoModel()])
    async with open_call(VoiceAgent("shop", agent, filler=False)) as line:
        assert await spoken_in(line) == [("output", 0, DOWN)]


class Louder(AbstractCapability[Any]):
    async def after_run(self, ctx: Any, *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        return AgentRunResult(result.output.upper())


async def test_a_streamed_text_that_is_changed_after_the_run_is_not_spoken_again() -> None:
    agent = Agent(Script(["Hello."]).model, capabilities=[Louder()])
    async with open_call(VoiceAgent("shop", agent, filler=False)) as line:
        assert await spoken_in(line) == [("model", 0, "Hello.")]


redacting: Hooks[Any] = Hooks()


@redacting.on.after_model_request
async def redact(ctx: Any, *, request_context: Any, response: ModelResponse) -> ModelResponse:
    parts = [
        replace(part, content=part.content.replace("4821", "hidden")) if isinstance(part, TextPart) else part
        for part in response.parts
    ]
    return replace(response, parts=parts)


def in_words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("kind", [str, TextOutput(in_words)])
async def test_text_is_spoken_as_hooks_have_changed_it(kind: Any) -> None:
    script = Script(["Your pin is *4821*.", call("look")], ["It *is* 4821."])
    agent: Agent[None, Any] = Agent(script.model, output_type=kind, capabilities=[redacting])

    @agent.tool_plain
    async def look() -> str:
        return "it"

    async with open_call(VoiceAgent("shop", agent, filler=False, speakable=True)) as line:
        assert (await line.say("my pin")).spoken == "Your pin is hidden. It is hidden."


@pytest.mark.parametrize("capabilities", [[], [redacting]], ids=["streamed", "held"])
@pytest.mark.parametrize(
    ("text", "output", "spoken"),
    [
        ("*Goodbye*, Ann! ", "Goodbye Ann.", "Goodbye, Ann! "),
        ("Okay, I see. Goodbye. ", "**Goodbye.**", "Okay, I see. Goodbye. "),
        ("Now let me see. ", "No", "Now let me see. No"),
        ("I see. ", "see", "I see. "),
        ("No, let me see. ", "No", "No, let me see. No"),
    ],
)
async def test_an_output_is_spoken_unless_the_text_before_it_ended_with_its_words(
    capabilities: Any, text: str, output: str, spoken: str
) -> None:
    script = Script([text, call("end", json.dumps({"response": output}))])
    agent: Agent[None, str] = Agent(
        script.model, output_type=[str, ToolOutput(str, name="end")], capabilities=capabilities
    )
    async with open_call(VoiceAgent("shop", agent, filler=False, speakable=True)) as line:
        assert (await line.say("hello")).spoken == spoken


async def test_a_summary_of_the_history_is_not_read_to_the_caller() -> None:
    hooks: Hooks[Any] = Hooks()

    @hooks.on.model_request_error
    async def compact(ctx: Any, *, request_context: Any, error: Exception) -> ModelResponse:
        return ModelResponse(parts=[CompactionPart(content="The caller's card number is 4821.")])

    agent = Agent(Script([BROKEN], ["Hello again."]).model, capabilities=[hooks])
    async with open_call(VoiceAgent("shop", agent, filler=False)) as line:
        assert await spoken_in(line) == []
        assert await spoken_in(line) == [("model", 0, "Hello again.")]
