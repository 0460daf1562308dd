"""A fork asks the caller before a tool runs, as the recorded call did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic_ai import Agent

from layercode_app import Call, VoiceAgent
from layercode_app.journal.record import TurnRecord
from layercode_app.replay.fork import Changes, fork
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
