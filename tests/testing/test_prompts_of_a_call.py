"""Checks and judges know all prompts of a call, also those of stages and agents that only come later in the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import Call, Scene, Stage, Turn, VoiceAgent
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.judging.judge import Verdict
from layercode_app.testing import open_call
from layercode_app.testing.evals.run_scenarios import Played, evaluate
from layercode_app.testing.evals.scenario import ScenarioFile

pytestmark = pytest.mark.anyio

STAGES = [
    Stage("order", "Take the order.", [], then="payment"),
    Stage("payment", "Delivery costs 4.50 euros. Say so.", []),
]


def shop(**options: Any) -> VoiceAgent[Any, Any]:
    """An agent whose second stage knows the price of the delivery."""
    voice = VoiceAgent("shop", Agent(deps_type=Turn, instructions="Be nice."), stages=STAGES, **options)

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        if not scene.says("deliver"):
            yield "What else?"
        else:
            yield "Delivery is 4.50." if scene.results else Call("next_stage")

    return voice


async def played(agent: VoiceAgent[Any, Any], *said: str, **options: Any) -> Played:
    end = {"grounded": True, "judge": ["polite"]}
    scenario = {"name": "s", "turns": [{"say": text} for text in said], "end": end}
    file = ScenarioFile.model_validate({"agent": "shop", "scenarios": [scenario]})
    [one] = await evaluate(file, agent=agent, **options)
    return one


async def test_a_price_of_a_late_stage_is_grounded_and_the_judge_knows_both_stages() -> None:
    cases: list[str] = []

    async def judge(question: str, case: str) -> Verdict:
        cases.append(case)
        return Verdict(answer="yes", reason="So it was.")

    one = await played(shop(), "Bread", "Milk", "Eggs", "Please deliver it", judge=judge, judges=["polite"])
    assert one.reasons == []
    [case] = cases
    assert case.count("Be nice.") == 1
    assert case.index("Take the order.") < case.index("Delivery costs 4.50 euros.")


async def test_a_price_of_a_system_prompt_is_grounded() -> None:
    agent = VoiceAgent("shop", Agent(deps_type=Turn, system_prompt="A croissant costs 3.60 euros."))

    @agent.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        yield "A croissant is 3.60." if scene.says("croissant") else "It is 9.99."

    assert (await played(agent, "What is a croissant?")).failures == []
    assert "'9.99' was spoken" in (await played(agent, "And a cake?")).failures[0]


async def test_a_judge_of_live_calls_knows_both_stages() -> None:
    cases: list[str] = []

    async def judge(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        cases.append(str(messages[-1].parts[-1].content))  # type: ignore[union-attr]
        answer = {"answer": "yes", "reason": "So it was."}
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, answer)])

    store = MemoryStore()
    voice = shop(judges=["polite"], judge_sample=1.0)
    async with open_call(voice, store=store) as call:
        call.agent.judge_model = FunctionModel(judge)
        await call.say("Bread")
        await call.say("Please deliver it")
        await call.end()
        while any(job.name in ("task", "session_end") for job in await store.pending_jobs()):
            await asyncio.sleep(0.001)
    [case] = cases
    assert case.index("Take the order.") < case.index("Delivery costs 4.50 euros.")
