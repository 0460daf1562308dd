"""A turn that ended with an apology fails its test and its scenario, wherever the error was raised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from layercode_app import Turn, VoiceAgent
from layercode_app.exceptions import StoreError
from layercode_app.journal.record import Status
from layercode_app.journal.stores.memory import MemoryStore
from layercode_app.testing.evals.live.checks import checks_of
from layercode_app.testing.evals.run_scenarios import evaluate
from layercode_app.testing.evals.scenario import Scenario, ScenarioFile, Step
from layercode_app.testing.evals.simulated.grade import Call
from layercode_app.testing.evals.simulated.simulated_caller import Account

pytestmark = pytest.mark.anyio


class Shelf(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    kept: Any = None


class User(BaseModel):
    user: int


def failing(**options: Any) -> VoiceAgent[Any, Any]:
    """An agent whose answer takes too long, or whose state cannot be saved, unless the options make it fail earlier."""
    agent: VoiceAgent[Any, Any] = VoiceAgent("failing", **options)

    @agent.on_message
    async def answer(turn: Turn[Any, Any]) -> str:
        if turn.state is None:
            await asyncio.sleep(10)
        turn.state.kept = object()
        return "It is ordered."

    return agent


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"turn_timeout": 0.05}, "TimeoutError"),
        ({"state": Shelf}, "StateError: "),
        ({"metadata": User}, "ValidationError: 1 validation error for User"),
    ],
)
async def test_an_error_outside_of_the_answer_fails_the_scenario(options: Any, error: str) -> None:
    file = ScenarioFile(agent="failing", scenarios=[Scenario(name="s", turns=[Step(say="An order, please")])])
    [played] = await evaluate(file, agent=failing(**options))
    assert not played.passed
    assert played.reasons[0].startswith(f"turn 1: the turn failed: {error}")
    assert f"(failed: {error}" in played.transcript
    assert played.conversation[0]["trouble"].startswith(error)


async def test_a_test_sees_the_error_of_a_timeout(start_call: Any) -> None:
    turn = await start_call(failing(turn_timeout=0.05)).say("An order, please")
    assert isinstance(turn.error, TimeoutError)
    assert turn.record.status is Status.FAILED


async def test_a_test_sees_the_error_of_the_agent_that_took_the_turn_over(start_call: Any) -> None:
    front: VoiceAgent[Any, Any] = VoiceAgent("front")

    @front.on_message
    async def transfer(turn: Turn[Any, Any]) -> None:
        turn.hand_to("failing", now=True)

    turn = await start_call(front, others=[failing(metadata=User)]).say("An order, please")
    assert type(turn.error).__name__ == "ValidationError"


async def test_a_test_sees_that_the_journal_was_not_available(start_call: Any) -> None:
    class Broken(MemoryStore):
        async def begin(self, *args: Any, **options: Any) -> Any:
            raise StoreError("the disk is full")

    turn = await start_call(failing(), store=Broken()).say("An order, please")
    assert str(turn.error) == "the disk is full"


async def test_a_call_on_the_dev_page_fails_too(start_call: Any) -> None:
    turn = await start_call(failing(turn_timeout=0.05)).say("An order, please")
    turn.error = None  # The dev page knows only the record.
    [failed, _] = checks_of(None, Call([turn]), Account())
    assert failed.failures == ("turn 1 ('An order, please'): the turn failed: TimeoutError",)
