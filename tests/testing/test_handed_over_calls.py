"""A call that the agent hands over: the other agent's tools can be mocked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Scene, Turn, VoiceAgent
from layercode_app.exceptions import DeveloperError
from layercode_app.testing import Called
from layercode_app.testing.evals.live.call_watch import watch_for
from layercode_app.testing.evals.run_scenarios import evaluate
from layercode_app.testing.evals.scenario import Expectation, Scenario, ScenarioFile, Step

pytestmark = pytest.mark.anyio

AGENTS = """
from tests.testing.test_handed_over_calls import desk, till

front, billing = desk(), till()
"""


def desk() -> VoiceAgent[Any, Any]:
    """An agent that hands each call over at once."""
    agent = Agent(deps_type=Turn)
    voice = VoiceAgent("desk", agent, greeting="Front desk.")

    @agent.tool
    async def transfer(ctx: RunContext[Turn]) -> str:
        ctx.deps.hand_to("till", now=True)
        return "done"

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        yield Call("transfer")

    return voice


def till() -> VoiceAgent[Any, Any]:
    """An agent that charges the caller."""
    agent = Agent(deps_type=Turn)
    voice = VoiceAgent("till", agent)

    @agent.tool_plain
    async def charge(amount: int) -> str:
        raise AssertionError("a test must not charge anything")

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        yield f"It is {scene.results['charge']}." if scene.results else Call("charge", {"amount": 5})

    return voice


async def test_a_tool_of_the_agent_that_takes_over_is_mocked(start_call: Any) -> None:
    call = start_call(desk(), others=[till()])
    call.mock("charge", returns="approved")
    turn = await call.say("I want to pay")
    assert (turn.error, turn.spoken) == (None, "It is approved.")
    assert Called("charge", amount=5) in turn.tools
    with pytest.raises(
        DeveloperError,
        match=r"'desk' has no tool of that name, and neither has any other agent here; expected one of charge, transfer\. "
        r"Did you mean 'charge'",
    ):
        call.mock("charges", returns="approved")


async def test_a_scenario_mocks_a_tool_of_the_agent_that_takes_over(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(AGENTS)
    steps = [Step(), Step(say="I want to pay", expect=Expectation(contains=["approved"], tools=["charge"]))]
    scenario = Scenario(name="pay", mock={"charge": "approved"}, turns=steps)
    [played] = await evaluate(ScenarioFile(agent="desk", scenarios=[scenario]), agents=tmp_path)
    assert played.reasons == []


def test_a_call_on_the_dev_page_mocks_it_too() -> None:
    first, other = desk(), till()
    watch_for(first, {"charge": "approved"}, [first, other])
    with pytest.raises(DeveloperError, match=r"expected one of transfer\."):
        watch_for(first, {"charge": "approved"}, [first])
