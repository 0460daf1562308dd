"""Run turns of an agent in this process, on a journal in memory and with no HTTP: what is measured is the turn."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ..agent.voice_agent import VoiceAgent
from ..conversation.listener import Listener
from ..conversation.record import Frame, TurnRecord
from ..conversation.stores.memory import MemoryStore
from ..server.app import LayerCode
from ..settings import Settings
from ..webhook import Message

SECRET = "unused"  # noqa: S105 - nothing is signed here
APART = {"budget_conversation": "", "budget_day": "", "alerts": (), "handoff_url": None}
"""Settings of the project that have no place in a measurement."""


@dataclass
class Caller:
    """Somebody who talks to one agent, always in the same conversation."""

    app: LayerCode
    agent: VoiceAgent[Any, Any]
    texts: Sequence[str]
    said: int = 0

    async def say(self, turns: int) -> list[TurnRecord]:
        """Take so many turns; their records."""
        records = []
        for _ in range(turns):
            event = self._event()
            await self.app.turns.answer(self.agent, event, Listener(_drop), received=time.perf_counter())
            record = await self.app.store.get(event.conversation_id, event.turn_id)
            assert record is not None
            records.append(record)
        return records

    def _event(self) -> Message:
        text = self.texts[self.said % len(self.texts)]
        self.said += 1
        return Message(
            type="message", text=text, conversation_id="profile", session_id="profile", turn_id=f"turn-{self.said}"
        )


async def _drop(frames: Sequence[Frame]) -> None:
    """A listener at the other end of an infinitely fast line."""


@asynccontextmanager
async def rehearsing(
    agent: VoiceAgent[Any, Any], *, settings: Settings, model: str | None, texts: Sequence[str]
) -> AsyncIterator[Caller]:
    """A caller of the agent, its first turn already taken: what only the first one pays for is left out."""
    own = settings.model_copy(update={name: value for name, value in APART.items() if hasattr(settings, name)})
    app = LayerCode(agent, settings=own, store=MemoryStore(), model=model)
    await app.start()
    try:
        caller = Caller(app, agent, texts)
        await caller.say(1)
        yield caller
    finally:
        await app.stop()
