"""Where a recorded turn is answered again: the conversation as it stood before it, beside the journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from ..conversation.answerer import Answerer, Limits
from ..conversation.handler import TurnHandler
from ..conversation.listener import Listener
from ..conversation.record import Frame, TurnRecord, clone
from ..conversation.record_json import to_json
from ..conversation.stores.memory import MemoryStore
from ..webhook import TurnEvent, parse_event


class Sandbox:
    """The past of one turn, under a conversation id of its own; turns that are answered here add to it."""

    def __init__(self, turn: TurnRecord, limits: Limits | None) -> None:
        self.conversation_id = f"fork-{uuid4().hex[:8]}-{turn.conversation_id}"[:512]
        self._turn = turn
        self._store = MemoryStore()
        self._background = _Background()
        self._handler = TurnHandler(self._store, limits=limits, background=self._background)

    @classmethod
    async def before(cls, turns: Sequence[TurnRecord], turn: TurnRecord, *, limits: Limits | None = None) -> Sandbox:
        """Everything that had happened in the conversation when this turn of it began."""
        sandbox = cls(turn, limits)
        state: dict[str, Any] = {}
        for past in turns:
            if past.position < turn.position and past.finished:
                state = past.state or state
                copy = replace(clone(past), conversation_id=sandbox.conversation_id)
                await sandbox._store.begin(copy, history_tokens=0)
        await sandbox._store.save_state(sandbox.conversation_id, state)
        await sandbox._store.establish(sandbox.conversation_id, turn.metadata)
        return sandbox

    def event(self, text: str | None = None) -> TurnEvent:
        """The recorded event with other ids, and other words where they are given.

        What was heard before it is in the history already.
        """
        values = {name: value for name, value in (self._turn.event or {}).items() if name != "interruption_context"}
        values |= {"conversation_id": self.conversation_id, "turn_id": f"fork-{uuid4().hex[:12]}"}
        if text is not None:
            values |= {"type": "message", "text": text}
        event = parse_event(to_json(values))
        assert isinstance(event, TurnEvent)
        return event

    async def answer(self, agent: Answerer, event: TurnEvent, listener: Listener | None = None) -> TurnRecord:
        """Let the agent answer; the record of what it said and did."""
        await self._handler.answer(agent, event, listener or Listener(_nobody), received=time.perf_counter())
        record = await self._store.get(event.conversation_id, event.turn_id or "")
        assert record is not None
        return record

    async def finish(self) -> None:
        """Wait for the background work of the turns."""
        await self._background.finish()


async def _nobody(frames: Sequence[Frame]) -> None:
    """Nobody hears a rehearsal as it runs."""


class _Background:
    """Background work of a rehearsal: done before the rehearsal is."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def __call__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def finish(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
