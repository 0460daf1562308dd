"""Answer a recorded turn again in a sandbox: an in-memory copy of the conversation before this turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from ..conversation.admission import TurnHandler
from ..conversation.agent_protocol import AgentProtocol
from ..conversation.listener import Listener
from ..journal.record import Frame, TurnRecord, clone
from ..journal.record_json import to_json
from ..journal.stores.memory import MemoryStore
from ..observability.failure import keep_failure
from ..settings.limits import Limits
from ..webhook import TurnEvent, parse_event
from .state_before import state_before


class Sandbox:
    """A copy of a conversation before one turn. The copy has a new id, and `answer` adds further turns to it."""

    def __init__(self, turn: TurnRecord, limits: Limits | None) -> None:
        self.conversation_id = f"fork-{uuid4().hex[:8]}-{turn.conversation_id}"[:512]
        self._turn = turn
        self._store = MemoryStore()
        self._background = _Background()
        self._handler = TurnHandler(self._store, limits=limits, background=self._background)
        self._handler.services.failed = keep_failure

    @classmethod
    async def before(
        cls, turns: Sequence[TurnRecord], turn: TurnRecord, *, agent: str = "", limits: Limits | None = None
    ) -> Sandbox:
        """Return a sandbox with the conversation's turns, state and metadata from before this turn.

        The agent that answers in the sandbox gets the state that the recorded agent named `agent` had. By default,
        `agent` is the agent that answered `turn`.
        """
        sandbox = cls(turn, limits)
        earlier = [past for past in turns if past.position < turn.position and past.finished]
        positions: dict[int, int] = {}
        for past in earlier:
            copy = replace(clone(past), conversation_id=sandbox.conversation_id)
            copy.history_start = positions.get(past.history_start, 0)
            await sandbox._store.begin(copy, history_tokens=0)
            positions[past.position] = copy.position
        by_id = {past.turn_id: positions[past.position] for past in earlier}
        state = state_before(earlier, turn, by_id, agent=agent or turn.agent)
        await sandbox._store.save_state(sandbox.conversation_id, state)
        await sandbox._store.establish(sandbox.conversation_id, turn.metadata)
        return sandbox

    def serve(self, agents: Sequence[AgentProtocol]) -> None:
        """Let a call be handed to these agents."""
        by_name = {agent.name: agent for agent in agents}
        self._handler.services.agents = lambda: by_name

    def event(self, text: str | None = None) -> TurnEvent:
        """Return the recorded event with new conversation and turn ids, and with `text` as the caller's words if given.

        The interruption context is left out, because the history already holds what was heard.
        """
        values = {name: value for name, value in (self._turn.event or {}).items() if name != "interruption_context"}
        values |= {"conversation_id": self.conversation_id, "turn_id": f"fork-{uuid4().hex[:12]}"}
        if text is not None:
            values |= {"type": "message", "text": text}
        event = parse_event(to_json(values))
        assert isinstance(event, TurnEvent)
        return event

    async def answer(self, agent: AgentProtocol, event: TurnEvent, listener: Listener | None = None) -> TurnRecord:
        """Let the agent answer the event, and return the record of the turn."""
        await self._handler.admit(agent, event, listener or Listener(_nobody), received=time.perf_counter())
        record = await self._store.get(event.conversation_id, event.turn_id or "")
        assert record is not None
        return record

    async def finish(self) -> None:
        """Wait until the turns' background work is done."""
        await self._background.finish()


async def _nobody(frames: Sequence[Frame]) -> None:
    """Discard the frames, because no client listens to a turn in a sandbox."""


class _Background:
    """The background work of the turns in a sandbox. `finish` waits for it."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def __call__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def finish(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
