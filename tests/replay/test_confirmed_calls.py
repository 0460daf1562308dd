"""A fork and a replay ask the caller before a tool runs, as the recorded call did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic_ai import Agent

from layercode_app import Call, VoiceAgent
from layercode_app.journal.record import TurnRecord
from layercode_app.replay.fork import Changes, fork
from layercode_app.replay.recording import Recording
from layercode_app.replay.replay import Options, replay
from layercode_app.testing import open_call, scripted

pytestmark = pytest.mark.anyio


class Bakery:
    """An agent that asks before it orders, and counts its orders."""

    def __init__(self) -> None:
        self.ordered = 0
        agent = Agent()
        self.voice = VoiceAgent("bakery", agent, confirm={"order": "Shall I order?"}, filler=False)

        @agent.tool_plain
        async def order() -> str:
            """Place the order."""
            self.ordered += 1
            return "ordered"

    async def call(self, *said: str, answers: Sequence[Any]) -> list[TurnRecord]:
        async with open_call(self.voice, model=scripted(*answers)) as call:
            for text in said:
                await call.say(text)
            return await call.records()


async def test_a_fork_asks_and_gives_the_recorded_result_only_after_the_yes() -> None:
    bakery = Bakery()
    turns = await bakery.call("a bun", "yes", answers=[Call("order"), "It is ordered."])
    bakery.voice.use_model(scripted(Call("order"), "It is ordered."))
    pairs = (await fork(turns, bakery.voice, at=1, changes=Changes(rest=True))).pairs
    assert [pair.new.spoken_text for pair in pairs] == ["Shall I order?", "It is ordered."]
    assert [[call.result for call in pair.new.tools] for pair in pairs] == [[], ["ordered"]]
    assert bakery.ordered == 1


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        ("yes", ["It is ordered."]),
        ("no", ["As you like."]),
        ("go on then", [Call("order"), "It is ordered."]),
        ("what time is it", ["It is nine."]),
    ],
)
@pytest.mark.parametrize("run_tools", [False, True])
async def test_a_replay_of_a_confirmed_call_shows_no_difference(
    said: str, answers: Sequence[Any], run_tools: bool
) -> None:
    bakery = Bakery()
    turns = await bakery.call("a bun", said, "bye", answers=[Call("order"), *answers, "Goodbye."])
    result = await replay(Recording(turns), bakery.voice, Options(run_tools=run_tools))
    assert [turn.differences for turn in result.turns] == [[], [], []]
    assert [turn.new and turn.new.spoken_text for turn in result.turns] == [turn.spoken_text for turn in turns]
