"""A call that the agent hands over: the other agent's tools can be mocked, and each agent's state can be checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.models.test import TestModel
from pydantic_ai.toolsets import FunctionToolset

from layercode_app import Call, Scene, Turn, VoiceAgent
from layercode_app.exceptions import DeveloperError
from layercode_app.testing import Called
from layercode_app.testing.evals.judged_case import case_of
from layercode_app.testing.evals.live.call_watch import watch_for
from layercode_app.testing.evals.run_scenarios import evaluate
from layercode_app.testing.evals.scenario import Expectation, Scenario, ScenarioFile, Step
from layercode_app.testing.evals.simulated.end_spec import End
from layercode_app.testing.evals.simulated.grade import call_of, grade

pytestmark = pytest.mark.anyio

AGENTS = """
from tests.testing.test_handed_over_calls import desk, till

front, billing = desk(), till()
"""


def desk() -> VoiceAgent[Any, Any]:
    """Return an agent that hands over each call at once."""
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
    """Return an agent that charges the caller."""
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


async def test_an_agent_that_is_given_by_name_has_the_other_agents_of_its_folder(
    tmp_path: Path, start_call: Any
) -> None:
    (tmp_path / "agents.py").write_text(AGENTS)
    call = start_call("desk", agents=tmp_path)
    call.mock("charge", returns="approved")
    turn = await call.say("I want to pay")
    assert (turn.error, turn.spoken) == (None, "It is approved.")
    alone = start_call("desk", agents=tmp_path, others=[])
    error = (await alone.say("I want to pay")).error
    assert "the server has no such agent. Known names: desk." in str(error)


async def test_connections_of_another_agent_are_opened_when_it_takes_over(start_call: Any) -> None:
    opened: Counter[str | None] = Counter()

    class Server(FunctionToolset[Turn]):
        async def __aenter__(self) -> Server:
            opened[self.id] += 1
            return self

        async def __aexit__(self, *error: object) -> None:
            opened[self.id] -= 1

    def front() -> VoiceAgent[Any, Any]:
        agent = Agent(TestModel(), deps_type=Turn, toolsets=[Server(id="own")])
        voice = VoiceAgent("front", agent, greeting="Front desk.")

        @voice.on_message
        async def transfer(turn: Turn) -> str | None:
            if turn.text == "I can wait":
                return "Please wait."
            turn.hand_to("back", now=True)
            return None

        return voice

    back = VoiceAgent("back", Agent(TestModel(), deps_type=Turn, toolsets=[Server(id="other")]))
    call = start_call(front(), others=[back])
    await call.greet()
    await call.say("I can wait")
    assert opened == {"own": 1}
    assert (await call.say("I want to pay")).error is None
    assert opened == {"own": 1, "other": 1}
    await call.close()
    assert opened == {"own": 0, "other": 0}


def test_a_call_on_the_dev_page_mocks_it_too() -> None:
    first, other = desk(), till()
    watch_for(first, {"charge": "approved"}, [first, other])
    with pytest.raises(DeveloperError, match=r"expected one of transfer\."):
        watch_for(first, {"charge": "approved"}, [first])


class Desk(BaseModel):
    calls: int = 0


class Bill(BaseModel):
    paid: int = 0


def with_states() -> tuple[VoiceAgent[Any, Any], VoiceAgent[Any, Any]]:
    """Return two agents, each with a state. The first hands over the call, unless the caller says "I can wait"."""
    front, back = VoiceAgent("front", state=Desk), VoiceAgent("back", state=Bill)

    @front.on_message
    async def transfer(turn: Turn[Desk]) -> str | None:
        turn.state.calls += 1
        if turn.text == "I can wait":
            return "Please wait."
        turn.hand_to("back", now=True)
        return None

    @back.on_message
    async def pay(turn: Turn[Bill]) -> str:
        turn.state.paid += 5
        return "Paid."

    return front, back


async def test_each_agent_has_its_own_state_at_the_end(start_call: Any) -> None:
    front, back = with_states()
    call = start_call(front, others=[back])
    for text in ("I can wait", "I want to pay", "And again"):
        assert (await call.say(text)).error is None
    assert await call.state() == {"calls": 2}
    assert await call.state("back") == {"paid": 10}

    stored = (await call.app.store.conversation(call.conversation_id)).state
    told = call_of(call.turns, await call.records(), stored, ())

    def failures(**end: Any) -> list[str]:
        return grade(End.model_validate(end), told)

    assert failures(state={"calls": 2}, states={"back": {"paid": 10}}) == []
    assert failures(state={"calls": 3}) == [
        "the state ends with calls = 2, expected 3; last changed in turn 1 ('I can wait')"
    ]
    [elsewhere] = failures(state={"paid": 10})
    assert elsewhere.startswith("the state ends with paid = None, expected 10; it was never set")
    assert elsewhere.endswith("(it is in the state of 'back': expect it under `states`)")
    assert failures(states={"back": {"paid": 5}}) == [
        "the state of 'back' ends with paid = 10, expected 5; last changed in turn 3 ('And again')"
    ]
    assert failures(states={"nobody": {"paid": 5}})[0].startswith("the state of 'nobody' ends with paid = None")
    scenario = Scenario(name="s", turns=[Step()])
    assert "state {'calls': 2, 'back': {'paid': 10}}" in case_of(scenario, told, "")


async def test_a_state_that_was_set_just_before_a_hand_over_is_told_so(start_call: Any) -> None:
    front, back = with_states()
    call = start_call(front, others=[back])
    await call.say("I want to pay")
    stored = (await call.app.store.conversation(call.conversation_id)).state
    told = call_of(call.turns, await call.records(), stored, ())
    assert grade(End(state={"calls": 2}), told) == [
        "the state ends with calls = 1, expected 2; it was set in a turn that was handed over"
    ]
