"""The second request of a hedge may go to another model.

This model gets the same messages and settings as if it were the agent's only model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from layercode_app import LayerCode, VoiceAgent
from layercode_app.testing import AgentCall, open_call

from ..calling import calling, settings
from ..model_server import ModelServer
from ..serving import serve

pytestmark = pytest.mark.anyio


def hanging(name: str = "slow", **options: Any) -> FunctionModel:
    """A model that never answers."""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""

    return FunctionModel(stream_function=answer, model_name=name, **options)


class Noting(FunctionModel):
    """A model that answers at once, and keeps the messages and settings of its requests."""

    def __init__(self, **options: Any) -> None:
        super().__init__(stream_function=self._answer, model_name="noting", **options)
        self.requests: list[list[tuple[str, str]]] = []
        self.given: list[dict[str, Any]] = []

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        self.given.append(dict(info.model_settings or {}))
        self.requests.append(
            [(part.part_kind, str(getattr(part, "content", ""))) for one in messages for part in one.parts]
        )
        yield "Fine."


def shop() -> Agent[None, str]:
    """An agent whose instructions change in each turn, and are then appended to the messages.

    It refuses its first output, so that the model has to answer again.
    """
    agent, turns, refused = Agent[None, str](instructions="You are SALES."), iter(range(9)), list[str]()

    @agent.instructions(name="offer", on_change="append")
    def offer() -> str:
        return f"Offer number {next(turns)}."

    @agent.output_validator
    def check(output: str) -> str:
        if not refused:
            refused.append(output)
            raise ModelRetry("Say it shorter.")
        return output

    return agent


async def talk(voice: VoiceAgent[Any, Any], model: Model) -> AgentCall:
    async with open_call(voice, model=model) as call:
        for text in ("one", "two"):
            await call.say(text)
    return call


@pytest.mark.parametrize("first", [hanging(), FallbackModel(hanging(), hanging("other"))], ids=["single", "fallback"])
async def test_another_model_reads_the_messages_that_it_reads_alone(first: Model) -> None:
    alone, second = Noting(), Noting()
    await talk(VoiceAgent("shop", shop()), alone)
    await talk(VoiceAgent("shop", shop(), hedge_after=0.001, hedge_model=second), first)
    assert second.requests == alone.requests
    assert len(alone.requests) == 3
    assert {kind for request in alone.requests for kind, _ in request} == {"user-prompt", "text"}


async def test_each_model_has_its_own_settings() -> None:
    base = Noting(settings=ModelSettings(temperature=0.1, seed=1))
    second = Noting(settings=ModelSettings(temperature=0.9))
    agent = Agent(None, model_settings=ModelSettings(top_p=0.5))
    await talk(VoiceAgent("shop", agent, hedge_after=60.0, hedge_model=second), base)
    slow = hanging(settings=ModelSettings(temperature=0.1, seed=1))
    await talk(VoiceAgent("shop", agent, hedge_after=0.001, hedge_model=second), slow)
    names = ("temperature", "seed", "top_p")
    assert [base.given[0].get(name) for name in names] == [0.1, 1, 0.5]
    assert [second.given[0].get(name) for name in names] == [0.9, None, 0.5]


async def test_a_hedge_of_a_fallback_model_may_reason(tmp_path: Path) -> None:
    server = ModelServer(reply=lambda messages: "Good day.")
    async with serve(server.app) as url:
        provider = OpenAIProvider(base_url=f"{url}/v1", api_key="test-key")
        second = OpenAIChatModel("gpt-5-mini", provider=provider)
        first = FallbackModel(hanging(), hanging("other"))
        agent = Agent(first, model_settings=ModelSettings(thinking="low"))
        voice = VoiceAgent("shop", agent, hedge_after=0.05, hedge_model=second)
        async with second, calling(LayerCode(voice, settings=settings(tmp_path))) as caller:
            assert (await caller.say("hello")).spoken == "Good day."


async def test_a_request_that_cannot_be_prepared_for_the_other_model_fails_alone() -> None:
    class Refusing(FunctionModel):
        def prepare_messages(self, *args: Any, **kwargs: Any) -> list[ModelMessage]:
            raise ZeroDivisionError

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        await asyncio.sleep(0.05)
        yield "Fine."

    second = Refusing(stream_function=answer, model_name="refusing")
    agent = Agent(FunctionModel(stream_function=answer, model_name="first"))
    async with open_call(VoiceAgent("shop", agent, hedge_after=0.001, hedge_model=second)) as call:
        await call.say("one")
        record = (await call.records())[-1]
    assert record.spoken_text == "Fine."
    assert [(one.model, one.status) for one in record.requests] == [("first", "done"), ("refusing", "failed")]
