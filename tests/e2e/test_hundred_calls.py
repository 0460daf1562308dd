"""During a hundred calls with random interruptions, the server's history equals the texts that the platform reports."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from layercode_app import LayerCode, Turn, VoiceAgent
from layercode_app.emulator.agents import AgentSpec
from layercode_app.emulator.emulator import Emulator
from layercode_app.emulator.session import Session
from layercode_app.emulator.speech import Silence
from layercode_app.emulator.turn import AssistantTurn
from layercode_app.journal.record import Status, TurnRecord
from layercode_app.journal.stores import create_store
from layercode_app.server.serve import uvicorn_options

from ..calling import SECRET, settings
from ..serving import serve
from ..thoroughness import times

pytestmark = [pytest.mark.anyio, pytest.mark.repeated]

CALLS, TURNS = times(100), 5
WORDS = "one two three four five six seven eight nine ten. "


def counting_agent() -> VoiceAgent[None, dict[str, object]]:
    agent = VoiceAgent("counting", greeting="Hello, I can count.")

    @agent.on_message
    async def count(turn: Turn) -> AsyncIterator[str]:
        yield f"{turn.text}: "
        for word in WORDS.split(" ")[:-1] * 3:
            await asyncio.sleep(0.01)
            yield word + " "

    return agent


async def call(emulator: Emulator, number: int) -> Session:
    """Make a call with a greeting and five turns, and return its session.

    Before about half of the turns, the caller does not wait until the agent has finished. Instead the caller waits for
    a random time of at most one second, and then speaks.
    """
    chance = random.Random(number)
    session = emulator.open(emulator.authorize("counting"), send=lambda _: None, hang_up=lambda _: None)
    session.receive({"type": "client.ready"})
    for turn in range(TURNS):
        if chance.random() < 0.5:
            await asyncio.sleep(chance.uniform(0, 1))
        else:
            await session.idle()
        session.receive({"type": "client.response.text", "content": f"call {number} turn {turn}"})
    async with asyncio.timeout(300):
        await session.idle()
    await emulator.close(session)
    return session


def judge(turn: AssistantTurn, record: TurnRecord) -> None:
    assert record.turn_id == turn.id
    assert record.user_text == (turn.said_by_user or "")
    assert turn.heard is not None
    assert turn.error is None
    assert record.heard.split() == turn.heard.split()
    assert (record.status is Status.COMPLETE) == (turn.interrupted is None)


async def test_no_call_is_stuck_or_wrong_or_lost(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    store = create_store(chosen.store)
    connection = {"http": uvicorn_options(chosen)["http"]}
    async with serve(LayerCode(counting_agent(), settings=chosen, store=store), **connection) as url:
        emulator = Emulator(AgentSpec("counting", f"{url}/api/agent", SECRET), voice=Silence(pace=15))
        sessions = await asyncio.gather(*(call(emulator, number) for number in range(CALLS)))
        records = {s.conversation_id: await store.history(s.conversation_id, tokens=10**6) for s in sessions}
        await emulator.aclose()
    interrupted = 0
    for session in sessions:
        for turn, record in zip(session.turns, records[session.conversation_id], strict=True):
            judge(turn, record)
            interrupted += turn.interrupted is not None
    assert interrupted > CALLS, "there was something to judge"
