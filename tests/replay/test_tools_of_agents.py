"""In a fork of a call with several agents, each agent gets the recorded results and effects of its own tools."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext

from layercode_app import Call, Scene, Turn, VoiceAgent
from layercode_app.journal.record import TurnRecord
from layercode_app.replay.fork import Changes, fork
from layercode_app.replay.recording import Recording
from layercode_app.replay.replay import replay
from layercode_app.testing import open_call

pytestmark = pytest.mark.anyio


class Seen(BaseModel):
    by: str = "nobody"


class Note(BaseModel):
    """The type of the tool's result in the agent "a". In the other agents, the tool returns a text."""

    text: str


def looking(name: str, to: str = "") -> VoiceAgent[Any, Any]:
    """Return an agent that hands the call to the agent `to` if the caller says "over" or "now".

    After "now", `to` already answers the current turn.
    """
    agent: Agent[Turn[Seen], str] = Agent(deps_type=Turn)
    voice = VoiceAgent(name, agent, state=Seen, filler=False)

    def seen(turn: Turn[Seen]) -> str:
        turn.state.by = name
        if to and turn.text in ("over", "now"):
            turn.hand_to(to, now=turn.text == "now")
        return f"seen by {name}"

    def look_and_note(ctx: RunContext[Turn[Seen]]) -> Note:
        return Note(text=seen(ctx.deps))

    def look(ctx: RunContext[Turn[Seen]]) -> str:
        return seen(ctx.deps)

    tool: Any = look_and_note if name == "a" else look
    agent.tool(name="look")(tool)

    @voice.offline
    async def script(scene: Scene) -> AsyncIterator[str | Call]:
        yield f"{scene.results['look']}." if scene.results else Call("look")

    return voice


async def recorded(*said: str) -> list[TurnRecord]:
    async with open_call(looking("a", "b"), others=[looking("b")]) as call:
        for text in said:
            await call.say(text)
        return await call.records()


def told(turn: TurnRecord) -> Any:
    return turn.agent, turn.error, turn.spoken_text, turn.state


async def test_each_agent_gets_the_results_of_its_own_tools() -> None:
    turns = await recorded("x", "over", "x")
    forked = await fork(turns, looking("a", "b"), at=1, changes=Changes(rest=True), others=[looking("b")])
    assert [told(pair.new) for pair in forked.pairs] == [told(turn) for turn in turns]


async def test_after_a_hand_over_at_once_both_agents_get_their_results() -> None:
    turns = await recorded("now")
    forked = await fork(turns, looking("a", "b"), at=1, others=[looking("b")])
    [pair] = forked.pairs
    assert told(pair.new) == told(turns[0])
    assert [tool.result for tool in pair.new.tools] == [{"text": "seen by a"}, "seen by b"]


async def test_an_agent_with_a_new_name_gets_the_results_of_the_agent_in_whose_place_it_answers() -> None:
    turns = await recorded("x")
    forked = await fork(turns, looking("c"), at=1)
    assert [tool.result for tool in forked.pairs[0].new.tools] == [{"text": "seen by a"}]
    result = await replay(Recording(turns), looking("c"))
    assert [turn.differences for turn in result.turns] == [[]]
