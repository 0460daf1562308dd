"""Run turns of an agent in this process with a journal in memory and no HTTP, to measure the turn alone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ...agent.voice_agent import VoiceAgent
from ...conversation.listener import Listener
from ...journal.record import Frame, TurnRecord
from ...journal.stores.memory import MemoryStore
from ...server.app import LayerCode
from ...settings import Settings
from ...webhook import Message

SECRET = "unused"  # noqa: S105 - nothing is signed here
OVERRIDES = {"budget_conversation": "", "budget_day": "", "alerts": (), "handoff_url": None}
"""Values that replace the project's own settings, which would disturb a measurement."""


@dataclass
class Caller:
    """A simulated caller who talks to one agent, always in the same conversation."""

    app: LayerCode
    agent: VoiceAgent[Any, Any]
    texts: Sequence[str]
    said: int = 0

    async def say(self, turns: int) -> list[TurnRecord]:
        """Run `turns` turns and return their records."""
        records = []
        for _ in range(turns):
            event = self._event()
            await self.app.turns.admit(
                self.app.runners[self.agent.name], event, Listener(_drop), received=time.perf_counter()
            )
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
    """Discard frames, so that the time for sending is not measured."""


@asynccontextmanager
async def rehearsing(
    agent: VoiceAgent[Any, Any], *, settings: Settings, model: str | None, texts: Sequence[str]
) -> AsyncIterator[Caller]:
    """Yield a caller of the agent after one warm-up turn, so that first-turn costs are not measured."""
    own = settings.model_copy(update={name: value for name, value in OVERRIDES.items() if hasattr(settings, name)})
    app = LayerCode(agent, settings=own, store=MemoryStore(), model=model, offline_without_key=True)
    await app.start()
    try:
        caller = Caller(app, agent, texts)
        await caller.say(1)
        yield caller
    finally:
        await app.stop()
