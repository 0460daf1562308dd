"""PydanticAI's private attributes work as the toolkit assumes.

If a PydanticAI release lacks these attributes, the toolkit works without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, ModelRetry, RunContext
from pydantic_ai.capabilities import AbstractCapability, Hooks, ModelFallback, Thinking
from pydantic_ai.exceptions import ModelRequestTimeout
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelRequest, SystemPromptPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.models._request_timeout import start_request_deadline
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.test import TestModel
from pydantic_ai.settings import ModelSettings

from layercode_app import LayerCode, VoiceAgent
from layercode_app._compat import pydantic_ai as private
from layercode_app.agent import bounded_model, capabilities
from layercode_app.agent.connections import _is_tool_server
from layercode_app.agent.consent import Consent
from layercode_app.agent.fingerprint import fingerprint
from layercode_app.agent.instructions import prompt_of, with_prompt
from layercode_app.agent.outputs import may_be_rejected, takes_deferred
from layercode_app.agent.stage import Stages
from layercode_app.agent.system_prompts import instructions_for, without_old_prompts
from layercode_app.agent.tools import TurnTools
from layercode_app.observability import instrument

from ..calling import calling, settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def uninstrumented() -> Iterator[None]:
    yield
    Agent.instrument_all(False)
    instrument._Own.settings = None


async def said(agent: Any, folder: Path) -> str:
    async with calling(LayerCode(VoiceAgent("compat", agent), settings=settings(folder))) as caller:
        return (await caller.say("hello")).spoken


# --- the instrumentation of all agents


@pytest.mark.usefixtures("uninstrumented")
def test_default_is_what_instrument_all_was_given() -> None:
    given = InstrumentationSettings()
    Agent.instrument_all(given)
    assert private.default_instrumentation() is given
    Agent.instrument_all(False)
    assert private.default_instrumentation() is False


@pytest.mark.usefixtures("uninstrumented")
def test_without_the_default_content_stays_out_of_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    instrument._instrument_agents()
    Agent.instrument_all(InstrumentationSettings(include_content=True))
    with monkeypatch.context() as patch:
        patch.setattr(instrument, "default_instrumentation", lambda: private.UNKNOWN)
        assert not instrument.restore([])
    assert private.default_instrumentation() is instrument._Own.settings


@pytest.mark.usefixtures("uninstrumented")
def test_without_the_default_tools_and_spans_are_two_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    Agent.instrument_all(InstrumentationSettings())
    turn: Any = type("Turn", (), {"model": None})()
    monkeypatch.setattr(capabilities, "default_instrumentation", lambda: private.UNKNOWN)
    voice = VoiceAgent("compat", Agent(TestModel()))
    assert type(capabilities.watch(voice, turn, Consent(voice, turn))) is TurnTools


def test_a_class_without_the_default_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Agent, "_instrument_default")
    assert private.default_instrumentation() is private.UNKNOWN


# --- the events of a stream


async def greet(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield "Good "
    yield "day."


async def test_events_that_replace_a_streams_are_what_it_yields() -> None:
    async def others() -> AsyncIterator[Any]:
        yield "mine"

    async with TestModel().request_stream([], None, ModelRequestParameters()) as stream:
        assert isinstance(stream, StreamedResponse)
        assert private.can_replace_events(stream)
        assert not private.can_replace_events(object())  # type: ignore[arg-type]
        private.replace_events(stream, others())
        assert [str(event) async for event in stream] == ["mine"]


async def test_events_that_replace_a_streams_must_arrive_by_a_deadline_that_is_set_afterwards() -> None:
    async def others() -> AsyncIterator[Any]:
        yield "mine"
        await asyncio.Event().wait()

    model = TestModel()
    deadline = start_request_deadline(model, ModelSettings(request_timeout=0.01), stream=True)
    async with model.request_stream([], None, ModelRequestParameters()) as stream:
        private.replace_events(stream, others())
        stream._enforce_request_deadline(deadline)  # type: ignore[arg-type]
        events = aiter(stream)
        assert str(await anext(events)) == "mine"
        with pytest.raises(ModelRequestTimeout):
            await anext(events)


@pytest.mark.parametrize("shown", [True, False])
async def test_a_reply_is_spoken_whole(shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: list[Any] = []

    def noted(stream: StreamedResponse, events: Any) -> None:
        replaced.append(stream)
        private.replace_events(stream, events)

    monkeypatch.setattr(bounded_model, "replace_events", noted)
    if not shown:
        monkeypatch.setattr(bounded_model, "can_replace_events", lambda stream: False)
    assert await said(Agent(FunctionModel(stream_function=greet)), tmp_path) == "Good day."
    assert len(replaced) == shown


# --- instructions and prompts


class Brief(AbstractCapability[Any]):
    """A capability with instructions."""

    def get_instructions(self) -> str:
        return "Be brief."


def clerk() -> Agent[None, str]:
    agent: Agent[None, str] = Agent(
        TestModel(custom_output_text="Yes."),
        instructions="Sell bread.",
        system_prompt="You are a clerk.",
        capabilities=[Brief()],
    )
    agent.instructions(today)
    agent.system_prompt(mood)
    agent.output_validator(accept)
    return agent


def today() -> str:
    return "It is Monday."


def mood() -> str:
    return "Be kind."


def accept(text: str) -> str:
    if not text:
        raise ModelRetry("say something")
    return text


def test_instructions_and_prompts_are_those_of_the_agent() -> None:
    agent = clerk()
    assert private.instructions(agent) == ["Sell bread.", today]
    assert private.capability_instructions(agent) == ["Be brief."]
    prompts = private.system_prompts(agent)
    assert prompts is not None
    assert [prompts[0], prompts[1].function] == ["You are a clerk.", mood]
    (validator,) = private.output_validators(agent) or ()
    assert validator.function is accept


PARTS = (
    *("_instructions", "_cap_instructions", "_system_prompts", "_system_prompt_functions", "_output_validators"),
    "_prepare_output_schema",
)


class Hidden:
    """An agent that hides the private attributes in PARTS, as if PydanticAI did not have them."""

    def __init__(self, agent: Any) -> None:
        self._agent = agent

    def __getattr__(self, name: str) -> Any:
        if name in PARTS:
            raise AttributeError(name)
        return getattr(self._agent, name)


def test_without_the_parts_the_agent_has_a_version_and_takes_a_prompt() -> None:
    hidden: Any = Hidden(clerk())
    assert prompt_of(hidden) == ""
    assert with_prompt(hidden, "Sell cake.") == ["Sell cake."]
    assert not may_be_rejected(hidden)
    assert not takes_deferred(hidden)
    parts = {"model_settings": {}, "hooks": {}, "model": None, "agent": hidden, "stages": Stages(())}
    declared: Any = type("Voice", (), {"name": "a", **parts})
    assert len(fingerprint(declared)) == 8
    history: list[ModelMessage] = [ModelRequest(parts=[SystemPromptPart("You are a clerk."), UserPromptPart("Hello")])]
    assert [len(message.parts) for message in without_old_prompts(hidden, history)] == [1]
    assert len(instructions_for(hidden, history)) == 1


# --- output types of runs


class Cake(BaseModel):
    flavour: str


@pytest.mark.parametrize("known", [True, False])
async def test_an_output_type_is_prepared_once_and_each_run_has_its_own_retries(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Any] = []
    build = Agent._prepare_output_schema

    def counted(self: Any, given: Any) -> Any:
        built.append(given)
        return build(self, given)

    monkeypatch.setattr(Agent, "_prepare_output_schema", counted)
    agent: Any = Agent(TestModel(), output_type=Cake)
    kinds = [Cake, DeferredToolRequests]
    private.prepare_output(agent if known else Hidden(agent), kinds)
    for retries in (1, 2, 3):
        async with agent.iter("Bake.", output_type=kinds, retries={"output": retries}) as run:
            assert run.ctx.deps.output_schema.toolset.max_retries == retries
            async for _ in run:
                pass
        assert run.result is not None
        assert isinstance(run.result.output, Cake)
    assert built == [kinds] * (1 if known else 3)
    assert (await agent.run("Say.", output_type=str)).output
    assert isinstance((await agent.run("Bake.")).output, Cake)


# --- capabilities that handle failed requests


def test_hooks_handle_failed_requests_only_if_such_a_hook_is_registered() -> None:
    async def handle(ctx: Any, *, request_context: Any, error: Exception) -> Any:
        raise error

    hooks, handling = Hooks[Any](), Hooks[Any](model_request_error=handle)
    assert not private.handles_failed_requests(hooks)
    assert all(private.handles_failed_requests(one) for one in (handling, ModelFallback("test")))


def test_without_the_property_all_hooks_may_handle_failed_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (AbstractCapability, Hooks):
        monkeypatch.delattr(kind, "_has_on_model_request_error")
    assert [private.handles_failed_requests(one) for one in (Hooks[Any](), Thinking())] == [True, False]


# --- MCP servers whose headers depend on the run


def headers(ctx: RunContext[Any]) -> dict[str, str]:
    return {"authorization": "the caller's"}


def test_servers_that_each_run_opens_itself_are_known() -> None:
    shared, own = MCPToolset("http://127.0.0.1:1/mcp"), MCPToolset("http://127.0.0.1:1/mcp", headers=headers)
    assert [private.resolves_per_run(one) for one in (shared, own)] == [False, True]
    assert [_is_tool_server(one) for one in (shared, own)] == [True, False]


def test_without_the_property_no_server_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = MCPToolset("http://127.0.0.1:1/mcp")
    monkeypatch.delattr(MCPToolset, "_resolves_per_run")
    assert not _is_tool_server(shared)
