"""If a capability of an agent selects its models, these models answer. Timeouts, retries and hedging work with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic_ai import Agent, RunContext, models
from pydantic_ai.capabilities import Hooks, ModelFallback, SelectModel
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models import Model, ModelRequestContext, ModelSelectionContext
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.settings import ModelSettings

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.agent.deferred_models import models_deferred
from layercode_app.dev.agents import describe
from layercode_app.doctor.remote import check_model
from layercode_app.exceptions import ConfigurationError
from layercode_app.journal.record import TurnRecord
from layercode_app.server.announce import _model_of
from layercode_app.testing import open_call, scripted

from ..calling import calling, settings

pytestmark = pytest.mark.anyio

HANGS = 60.0


def model(name: str, *problems: float | Exception, calls: str = "") -> FunctionModel:
    """Return a model that says its name. If `calls` names a tool, the model calls that tool first.

    For each request, the model takes the next item of `problems`, until no item is left. If the item is an exception,
    the model raises it. If the item is a number, the model waits for that number of seconds before it answers.
    """
    waiting = list(problems)

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        problem = waiting.pop(0) if waiting else 0.0
        if isinstance(problem, Exception):
            raise problem
        await asyncio.sleep(problem)
        if calls and not isinstance(messages[-1].parts[-1], ToolReturnPart):
            yield {0: DeltaToolCall(calls, "{}", tool_call_id="c")}
        else:
            yield f"I am {name}."

    return FunctionModel(stream_function=answer, model_name=name)


def selecting(*chosen: Model | str, own: Model | None = None) -> Agent[Turn, str]:
    """Return an agent that sends the first request of a run to the first model, the second to the second, and so on.

    The last model gets all further requests.
    """

    def select(ctx: ModelSelectionContext[Any]) -> Model | str:
        return chosen[min(ctx.run_step, len(chosen)) - 1]

    agent: Agent[Turn, str] = Agent(own, deps_type=Turn, capabilities=[SelectModel(select)])

    @agent.tool
    def ask(ctx: RunContext[Turn]) -> str:
        helper = ctx.deps.helper_model()
        return "" if helper is None else helper.model_name

    return agent


async def record_of(agent: Agent[Any, Any], *, given: Model | None = None, **options: Any) -> TurnRecord:
    async with open_call(VoiceAgent("selecting", agent, **{"filler": False} | options), model=given) as call:
        await call.say("hello")
        return (await call.records())[-1]


def rows(record: TurnRecord) -> list[tuple[str, str]]:
    return [(call.model, call.status) for call in record.requests]


@pytest.mark.parametrize("own", [None, model("own")], ids=["no model", "own model"])
async def test_the_selected_model_answers(own: Model | None) -> None:
    record = await record_of(selecting(model("chosen"), own=own))
    assert (record.spoken_text, record.model, rows(record)) == ("I am chosen.", "chosen", [("chosen", "done")])


async def test_a_model_may_be_selected_by_name() -> None:
    assert (await record_of(selecting("test"))).model == "test"


async def test_a_model_that_was_given_takes_the_place_of_the_selected_one() -> None:
    record = await record_of(selecting(model("chosen")), given=scripted("I am given."))
    assert record.spoken_text == "I am given."


async def test_each_request_of_a_turn_goes_to_the_model_selected_for_it() -> None:
    agent = selecting(model("large", calls="ask"), model("small"))
    record = await record_of(agent)
    assert (record.spoken_text, rows(record)) == ("I am small.", [("large", "done"), ("small", "done")])
    assert record.tools[0].result == "large"  # The helper's model is the one that was selected last.


FAILURE = ModelHTTPError(503, "chosen")


@pytest.mark.parametrize("problem", [FAILURE, HANGS], ids=["fails", "hangs"])
async def test_a_request_after_a_tool_is_retried(problem: float | Exception) -> None:
    agent = selecting(model("large", calls="ask"), model("small", problem))
    record = await record_of(agent, first_token_timeout=0.2)
    assert (record.spoken_text, record.retries) == ("I am small.", 1)


def switching(to: Model) -> Agent[Turn, str]:
    """Return an agent whose hook sends each request to the model `to`."""
    hooks: Hooks[Any] = Hooks()

    @hooks.on.before_model_request
    async def switch(ctx: Any, request_context: ModelRequestContext) -> ModelRequestContext:
        request_context.model = to
        return request_context

    agent: Agent[Turn, str] = Agent(model("own"), deps_type=Turn, capabilities=[hooks])

    @agent.tool_plain
    def ask() -> str:
        return "asked"

    return agent


@pytest.mark.parametrize("problem", [FAILURE, HANGS], ids=["fails", "hangs"])
async def test_a_request_to_a_model_that_a_hook_chose_is_retried(problem: float | Exception) -> None:
    record = await record_of(switching(model("large", 0.0, problem, calls="ask")), first_token_timeout=0.2)
    assert (record.spoken_text, record.retries, record.model) == ("I am large.", 1, "large")


async def test_a_request_to_a_model_that_a_hook_chose_can_be_hedged() -> None:
    record = await record_of(switching(model("slow", HANGS)), hedge_after=0.001, hedge_model=model("hedge"))
    assert rows(record) == [("slow", "cancelled"), ("hedge", "done")]


async def test_the_voice_agents_settings_override_those_of_the_agent_whose_hook_chooses_the_model() -> None:
    given: list[Any] = []

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        given.append((info.model_settings or {}).get("temperature"))
        yield "Hello."

    agent = switching(FunctionModel(stream_function=answer))
    agent.model_settings = ModelSettings(temperature=0.1)
    await record_of(agent, model_settings={"temperature": 0.9})
    assert given == [0.9]


async def test_a_failed_request_names_its_model() -> None:
    agent = selecting(model("large", calls="ask"), model("small", *[FAILURE] * 3))
    record = await record_of(agent)
    assert rows(record) == [("large", "done"), ("small", "failed")]


async def test_a_fallback_answers_if_the_selected_model_hangs() -> None:
    record = await record_of(selecting(FallbackModel(model("bad", HANGS), model("good"))), first_token_timeout=0.2)
    assert (record.spoken_text, record.model) == ("I am good.", "good")


async def test_the_request_to_a_selected_model_can_be_hedged() -> None:
    record = await record_of(selecting(model("slow", HANGS)), hedge_after=0.001, hedge_model=model("hedge"))
    assert rows(record) == [("slow", "cancelled"), ("hedge", "done")]


async def test_a_model_that_a_capability_gives_is_the_agents_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent: Agent[None, str] = Agent(capabilities=[ModelFallback(model("bad", *[FAILURE] * 3), model("good"))])
    record = await record_of(agent)
    assert (record.spoken_text, record.model) == ("I am good.", "good")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    named: Agent[None, str] = Agent(capabilities=[ModelFallback("openai:gpt-5-mini")])
    with pytest.raises(ConfigurationError, match="The model of agent 'named', openai:gpt-5-mini: OPENAI_API_KEY"):
        LayerCode(VoiceAgent("named", named), settings=settings(tmp_path))


@pytest.mark.parametrize("offline", [False, True])
def test_the_own_model_that_may_be_selected_needs_its_key(
    offline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with models_deferred():
        own = models.infer_model("openai:gpt-5-mini")
    voice = VoiceAgent("selecting", selecting(model("chosen"), own=own))
    refused = pytest.raises(ConfigurationError, match="openai:gpt-5-mini: OPENAI_API_KEY is not set")
    with nullcontext() if offline else refused:
        LayerCode(voice, settings=settings(tmp_path), offline_without_key=offline)
    assert voice.selects_model


async def test_a_server_needs_no_other_model_and_says_who_selects_it(tmp_path: Path) -> None:
    told: list[str] = []
    sink = logger.add(told.append, level="WARNING")
    voice = VoiceAgent("selecting", selecting(model("chosen")))
    chosen = settings(tmp_path, app_env="production", fallback_models=("test",))
    async with calling(LayerCode(voice, settings=chosen)) as caller:
        assert (await caller.say("hello")).spoken == "I am chosen."
    assert _model_of(voice) == describe(voice)["model"] == "selected by the agent"
    assert describe(voice)["offline"] is False
    assert voice.filler is not None
    assert (await check_model(voice, chosen)).detail == "the agent selects its model in each call"
    logger.remove(sink)
    assert any("FALLBACK_MODELS are not added" in line for line in told)
