"""A fork or replay of a turn begins with what the conversation knew before it: its summary, greeting and state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from layercode_app import Summary, Turn, VoiceAgent
from layercode_app.cli.sessions.view import write_export
from layercode_app.journal.record import TurnRecord
from layercode_app.replay.fork import fork
from layercode_app.replay.recording import Recording, read_export
from layercode_app.replay.replay import replay
from layercode_app.settings.limits import Limits
from layercode_app.testing import AgentCall, open_call, scripted

pytestmark = pytest.mark.anyio

TOKENS = 1000
FACT = "I am allergic to nuts."


class Bakery:
    """An agent whose summary keeps the caller's words about allergies. `requests` holds the requests to its model."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        agent = Agent(FunctionModel(stream_function=self._answer))
        self.voice = VoiceAgent("bakery", agent, summary=self._sum_up, filler=False)

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        self.requests.append(str(messages))
        yield "Gladly."

    async def _sum_up(self, before: Summary | None, transcript: str) -> Summary:
        facts = [line for line in transcript.splitlines() if "allergic" in line]
        return Summary("Rolls.", [*(before.facts if before else ()), *facts])

    async def call(self) -> list[TurnRecord]:
        async with open_call(self.voice, settings={"history_tokens": TOKENS}) as call:
            await call.say(FACT)
            while "Earlier in this call" not in self.requests[-1]:
                await call.say("Another roll, please.")
                await summarised(call)
            return await call.records()

    async def forked(self, turns: list[TurnRecord], at: int) -> str:
        """Fork turn number `at`, and return the request that the model gets."""
        await fork(turns, self.voice, at=at, limits=replace(Limits(), history_tokens=TOKENS))
        return self.requests[-1]


async def summarised(call: AgentCall) -> None:
    """Wait until no summary is being written."""
    pending = call.app.store.pending_jobs
    while any(job.name == "task" for job in await pending()):
        await asyncio.sleep(0.01)


async def test_a_fork_has_the_summary_of_that_time(tmp_path: Path) -> None:
    bakery = Bakery()
    turns = await bakery.call()
    last = await bakery.forked(turns, len(turns))
    assert "Earlier in this call" in last
    assert FACT in last
    assert "Earlier in this call" not in await bakery.forked(turns, len(turns) - 1), "it was written later"
    path = tmp_path / "call.json"
    write_export(turns, html=False, output=path, redacted=True)
    assert FACT in await bakery.forked(list(read_export(path).turns), len(turns))


async def test_a_delayed_greeting_is_not_spoken_again() -> None:
    voice = VoiceAgent("caller", Agent(), greeting="Hello, this is Ada.", greeting_waits=True, filler=False)
    async with open_call(voice, model=scripted("Fine.", "Bye.")) as call:
        await call.greet()
        for text in ("Hello?", "How are you?", "Goodbye"):
            await call.say(text)
        recording = Recording(await call.records())
    result = await replay(recording, voice)
    assert [turn.new and turn.new.spoken_text for turn in result.turns] == ["", "Hello, this is Ada.", "Fine.", "Bye."]
    assert result.same


async def test_only_the_first_messages_are_checked_for_voicemail() -> None:
    voice = VoiceAgent("caller", Agent(), voicemail="Please call back.", filler=False)
    async with open_call(voice, model=scripted(*["Fine."] * 4)) as call:
        for text in ("Hello?", "Who is this?", "I see", "Please leave a message after the tone"):
            await call.say(text)
        recording = Recording(await call.records())
    result = await replay(recording, voice)
    assert [turn.new and turn.new.spoken_text for turn in result.turns] == ["Fine."] * 4
    assert result.same


class Caller(BaseModel):
    name: str = "-"


class Payer(BaseModel):
    name: int = 0


def two_agents() -> tuple[VoiceAgent[Any, Any], VoiceAgent[Any, Any]]:
    """Two agents whose states have a field of the same name. Each says its value, and then changes it."""
    front, back = VoiceAgent("front", state=Caller), VoiceAgent("back", state=Payer)

    @front.on_message
    async def greet(turn: Turn[Caller]) -> str:
        before, turn.state.name = turn.state.name, "Ada"
        if turn.text == "I pay":
            turn.hand_to("back")
        return f"front: {before}"

    @back.on_message
    async def charge(turn: Turn[Payer]) -> str:
        turn.state.name += 5
        return f"back: {turn.state.name - 5}"

    return front, back


async def test_each_agent_has_its_own_state_even_if_another_one_answered() -> None:
    front, back = two_agents()
    async with open_call(front, others=[back]) as call:
        for text in ("Hi", "I pay", "Once", "Twice"):
            await call.say(text)
        turns = await call.records()
    result = await replay(Recording(turns), front, others=[back])
    assert [(turn.new and turn.new.spoken_text) for turn in result.turns] == [turn.spoken_text for turn in turns]

    async def told(at: int, voice: VoiceAgent[Any, Any], other: VoiceAgent[Any, Any]) -> str:
        return (await fork(turns, voice, at=at, others=[other])).pairs[0].new.spoken_text

    assert [await told(4, front, back), await told(4, back, front)] == ["front: Ada", "back: 5"]
    assert [await told(2, front, back), await told(2, back, front)] == ["front: Ada", "back: 0"]


async def test_an_agent_that_the_call_did_not_have_gets_the_state_of_the_one_that_answered() -> None:
    front, back = two_agents()
    async with open_call(front, others=[back]) as call:
        for text in ("Hi", "Again"):
            await call.say(text)
        turns = await call.records()
    new = copy(front)
    new.name = "new"
    assert (await fork(turns, new, at=2)).pairs[0].new.spoken_text == "front: Ada"
