"""Outputs that are known only when the run is complete: validated text, `speak=`, approvals, and unspeakable types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic import BaseModel
from pydantic_ai import Agent, ApprovalRequired, CallDeferred, DeferredToolRequests, ModelRetry, TextOutput
from pydantic_ai.capabilities import (
    AbstractCapability,
    Hooks,
    ModelFallback,
    PrefixTools,
    Thinking,
    WrapperCapability,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from layercode_app import LayerCode, VoiceAgent
from layercode_app.agent.output_speech import NOT_APPROVED, NOT_RUN
from layercode_app.agent.outputs import may_be_rejected
from layercode_app.journal.record import TurnRecord

from ..calling import Caller, calling, settings

pytestmark = pytest.mark.anyio


class Order(BaseModel):
    item: str


def shouted(text: str) -> str:
    return text.upper()


def in_words(text: str) -> list[str]:
    return text.split()


class Script:
    """A model that answers each request with the next of its replies, and keeps the requests.

    A reply is a list of pieces. Each piece is a text, a tool call, or an error to raise.
    """

    def __init__(self, *replies: list[Any]) -> None:
        self.replies = list(replies)
        self.requests: list[list[ModelMessage]] = []
        self.model = FunctionModel(stream_function=self._answer)

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        self.requests.append(list(messages))
        for piece in self.replies.pop(0):
            await asyncio.sleep(0)
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def given(self) -> list[str]:
        """Return the texts of the caller and of the agent in the last model request."""
        parts = [part for message in self.requests[-1] for part in message.parts]
        return [str(part.content) for part in parts if isinstance(part, TextPart | UserPromptPart)]

    def told(self) -> str:
        """Return the whole last request as a text."""
        return str([part for message in self.requests[-1] for part in message.parts])


def call(name: str, args: str = "{}") -> Any:
    return {1: DeltaToolCall(name, args, tool_call_id=f"call-{name}")}


async def said(caller: Caller, app: LayerCode, text: str = "hello") -> TurnRecord:
    turn_id = f"turn-{text}"
    reply = await caller.say(text, turn_id=turn_id)
    record = await app.store.get(caller.conversation_id, turn_id)
    assert record is not None
    assert record.spoken_text == reply.spoken
    return record


# --- validators


def polite(script: Script, **options: Any) -> Agent[None, str]:
    agent: Agent[None, str] = Agent(script.model, retries=2, **options)

    @agent.output_validator
    def check(text: str) -> str:
        if "please" not in text:
            raise ModelRetry("Say please.")
        return text

    @agent.tool_plain
    async def look() -> str:
        return "found"

    return agent


async def test_a_draft_that_a_validator_rejected_is_neither_spoken_nor_remembered(tmp_path: Path) -> None:
    script = Script(["Your ", "name."], ["Your name, ", "please."], ["Thank you, please."])
    app = LayerCode(VoiceAgent("clerk", polite(script)), settings=settings(tmp_path))
    async with calling(app) as caller:
        record = await said(caller, app)
        await said(caller, app, "Ada")
    assert record.spoken_text == "Your name, please."
    assert [(part.source, part.response) for part in record.speech] == [("output", 1)]
    assert script.given() == ["hello", "Your name, please.", "Ada"]
    assert "Say please" not in script.told()


async def test_words_before_a_tool_are_not_held_until_the_validator(tmp_path: Path) -> None:
    script = Script(["Let me check.", call("look")], ["No."], ["It is there, please."], ["Bye, please."])
    app = LayerCode(VoiceAgent("clerk", polite(script)), settings=settings(tmp_path))
    async with calling(app) as caller:
        record = await said(caller, app)
        await said(caller, app, "bye")
    assert [(part.source, part.text) for part in record.speech] == [
        ("model", "Let me check."),
        ("output", " It is there, please."),
    ]
    assert script.given() == ["hello", "Let me check.", " It is there, please.", "bye"]


async def test_drafts_that_are_all_rejected_end_in_an_apology_alone(tmp_path: Path) -> None:
    script = Script(*[["Never."]] * 5)
    app = LayerCode(VoiceAgent("clerk", polite(script)), settings=settings(tmp_path, apology="Sorry!"))
    async with calling(app) as caller:
        assert (await said(caller, app)).spoken_text == "Sorry!"


@pytest.mark.parametrize("how", ["validator", "text output"])
async def test_what_a_function_made_of_the_text_is_spoken_and_remembered(how: str, tmp_path: Path) -> None:
    script = Script(["it is 42"], ["bye"])
    agent: Agent[None, Any] = Agent(script.model, output_type=TextOutput(shouted) if how == "text output" else str)
    if how == "validator":
        agent.output_validator(shouted)
    app = LayerCode(VoiceAgent("clerk", agent), settings=settings(tmp_path))
    async with calling(app) as caller:
        assert (await said(caller, app)).spoken_text == "IT IS 42"
        await said(caller, app, "bye")
    assert script.given() == ["hello", "IT IS 42", "bye"]


async def test_a_text_output_that_is_no_text_is_spoken_as_the_model_wrote_it(tmp_path: Path) -> None:
    script = Script(["one two"])
    agent = Agent(script.model, output_type=TextOutput(in_words))
    app = LayerCode(VoiceAgent("clerk", agent), settings=settings(tmp_path))
    async with calling(app) as caller:
        assert (await said(caller, app)).spoken_text == "one two"


def test_a_server_warns_that_words_are_held_back(tmp_path: Path) -> None:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    try:
        LayerCode(VoiceAgent("clerk", polite(Script())), settings=settings(tmp_path))
    finally:
        logger.remove(sink)
    assert any("'clerk' has an output validator" in line for line in lines)


# --- hooks of capabilities


class Redacts(AbstractCapability[Any]):
    async def after_output_process(self, ctx: Any, *, output_context: Any, output: Any) -> Any:
        return output.replace("4111", "****")


class Rejects(AbstractCapability[Any]):
    async def before_output_process(self, ctx: Any, *, output_context: Any, output: Any) -> Any:
        if "4111" in output:
            raise ModelRetry("Say no card number.")
        return output


def of_responses(*, rejects: bool) -> Hooks[Any]:
    hooks: Hooks[Any] = Hooks()

    @hooks.on.after_model_request
    async def check(ctx: Any, *, request_context: Any, response: ModelResponse) -> ModelResponse:
        if rejects and "4111" in str(response.text):
            raise ModelRetry("Say no card number.")
        return replace(response, parts=[TextPart(str(response.text).replace("4111", "****"))])

    return hooks


CHECKING: dict[str, AbstractCapability[Any]] = {
    "redacts": Redacts(),
    "rejects": Rejects(),
    "inside another": PrefixTools(Redacts(), prefix="own"),
    "redacts a response": of_responses(rejects=False),
    "rejects a response": of_responses(rejects=True),
}


@pytest.mark.parametrize("name", CHECKING)
async def test_a_reply_is_not_spoken_before_a_hook_has_checked_it(name: str, tmp_path: Path) -> None:
    script = Script(["It ends ", "in 4111."], ["It ends in ****."], ["Bye."])
    if "redacts" in name or "inside" in name:
        script.replies.pop(1)
    agent = Agent(script.model, capabilities=[CHECKING[name]])
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    app = LayerCode(VoiceAgent("clerk", agent), settings=settings(tmp_path))
    logger.remove(sink)
    async with calling(app) as caller:
        assert (await said(caller, app)).spoken_text == "It ends in ****."
        await said(caller, app, "bye")
    assert script.given() == ["hello", "It ends in ****.", "bye"]
    assert any("'clerk' has the hook" in line for line in lines)


async def test_capabilities_that_only_watch_do_not_hold_a_reply_back() -> None:
    class Watches(WrapperCapability[Any]):
        async def wrap_model_request(self, ctx: Any, *, request_context: Any, handler: Any) -> ModelResponse:
            response: ModelResponse = await handler(request_context)
            return response

    hooks: Hooks[Any] = Hooks(before_model_request=lambda ctx, request_context: request_context)
    assert not may_be_rejected(Agent("test", capabilities=[Watches(hooks), Thinking(), ModelFallback("test")]))
    assert may_be_rejected(Agent("test", capabilities=[Watches(of_responses(rejects=True))]))


# --- speak=


async def test_history_has_what_speak_said_and_nothing_else(tmp_path: Path) -> None:
    order = call("final_result", '{"item": "bread"}')
    script = Script(["I will order it.", order], [call("final_result", '{"item": "tea"}')])
    agent = Agent(script.model, output_type=Order)
    voice = VoiceAgent("shop", agent, speak=lambda output: f"One {output.item}.")
    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        assert (await said(caller, app)).spoken_text == "One bread."
        assert (await said(caller, app, "tea")).spoken_text == "One tea."
    assert script.given() == ["hello", "One bread.", "tea"]


# --- approvals, and other outputs that are not text


def buyer(script: Script) -> Agent[None, Any]:
    agent: Agent[None, Any] = Agent(script.model, output_type=[str, DeferredToolRequests])

    @agent.tool_plain
    async def buy() -> str:
        raise ApprovalRequired

    @agent.tool_plain(requires_approval=True)
    async def sell() -> str:
        return "sold"

    return agent


@pytest.mark.parametrize(("tool", "before"), [("buy", ""), ("sell", ""), ("sell", "Let me sell it.")])
async def test_a_tool_that_needs_an_approval_is_never_a_silent_turn(tool: str, before: str, tmp_path: Path) -> None:
    script = Script([before, call(tool)] if before else [call(tool)], ["Anything else?"])
    app = LayerCode(VoiceAgent("shop", buyer(script)), settings=settings(tmp_path))
    async with calling(app) as caller:
        record = await said(caller, app)
        await said(caller, app, "well")
    assert record.spoken_text == f"{before} {tool.capitalize()}. Shall I go ahead?".strip()
    assert (record.status, record.impact, record.tools) == ("complete", "nothing", [])
    assert "Not run yet" in script.told()


async def test_a_tool_that_another_program_executes_is_never_a_silent_turn(tmp_path: Path) -> None:
    script = Script([call("ship")], ["Anything else?"])
    agent = buyer(script)

    @agent.tool_plain
    async def ship() -> str:
        raise CallDeferred

    app = LayerCode(VoiceAgent("shop", agent), settings=settings(tmp_path))
    async with calling(app) as caller:
        record = await said(caller, app)
        await said(caller, app, "well")
    assert (record.spoken_text, record.status, record.impact) == (NOT_APPROVED, "complete", "refusal")
    assert [(call.name, call.status) for call in record.tools] == [("ship", "failed")]
    assert NOT_RUN in script.told()


async def test_speak_may_say_what_happens_with_an_approval(tmp_path: Path) -> None:
    script = Script([call("sell")])
    voice = VoiceAgent("shop", buyer(script), speak=lambda output: "A colleague will approve that.")
    app = LayerCode(voice, settings=settings(tmp_path))
    async with calling(app) as caller:
        assert (await said(caller, app)).spoken_text == "A colleague will approve that."


@pytest.mark.parametrize("kinds", [[str, Order], str | Order])
async def test_an_output_that_nothing_can_speak_is_an_apology_where_nothing_was_said(
    kinds: Any, tmp_path: Path
) -> None:
    order = call("final_result", '{"item": "bread"}')
    script = Script([order], ["One bread.", order], ["Bye."])
    agent = Agent(script.model, output_type=kinds)
    app = LayerCode(VoiceAgent("shop", agent), settings=settings(tmp_path, apology="Sorry!"))
    async with calling(app) as caller:
        silent = await said(caller, app)
        spoken = await said(caller, app, "bread")
    assert (silent.spoken_text, silent.error) == ("Sorry!", "HookError")
    assert (spoken.spoken_text, spoken.status) == ("One bread.", "complete")
