"""The agent's side of simulated calls: mocked tools, tools that have started, and sessions that have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

from ....agent.runner import AgentRunner
from ....agent.voice_agent import VoiceAgent
from ....conversation.turn import Turn
from ....journal.record import Json, ToolCall
from ....webhook import SessionEnd
from ...mocks import Mocks, check_tool


class CallWatch:
    """The agent's side of one simulated call: its mocked tools, and two events.

    One event tells that a tool has started, the other that the session has ended.

    `answers` maps the names of mocked tools to their answers.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._mocks = Mocks()
        for tool, answer in answers.items():
            self._mocks.set(tool, returns=answer)
        self.tool_started = asyncio.Event()
        """Set when a tool starts."""
        self.session_ended = asyncio.Event()
        """Set when the `on_session_end` hooks have ended, even if one failed."""

    def stand_in(self, call: ToolCall) -> Awaitable[Json] | None:
        """Record that a tool has started. Return the mocked answer to its call; None lets the tool run."""
        self.tool_started.set()
        return self._mocks.stand_in(call)


def watch_for(
    voice: VoiceAgent[Any, Any], answers: Mapping[str, Any], others: Iterable[VoiceAgent[Any, Any]]
) -> CallWatch:
    """Return a `CallWatch` for a new call. `others` are the agents to which the agent may hand the call.

    Raises DeveloperError if `answers` names an unknown tool. Each tool must belong to the agent or to one of `others`.
    """
    for tool in answers:
        check_tool(voice, tool, others)
    return CallWatch(answers)


class WatchedRunner(AgentRunner):
    """An agent runner that mocks the tools of simulated calls, and reports each call's events to its `CallWatch`.

    `watches` maps conversation ids to `CallWatch` objects.
    """

    def __init__(self, voice: VoiceAgent[Any, Any], *, watches: Mapping[str, CallWatch]) -> None:
        super().__init__(voice)
        self._watches = watches

    async def answer(self, turn: Turn[Any, Any]) -> None:
        """Answer a turn. In a simulated call, mocked tools do not run, but return their mocked answers."""
        if (watch := self._watches.get(turn.conversation_id)) is not None:
            turn.live.run.stand_in = watch.stand_in
        await super().answer(turn)

    async def end_session(self, event: SessionEnd) -> None:
        """Run the `on_session_end` hooks, then set `session_ended` of the call's `CallWatch`, even if a hook failed."""
        try:
            await super().end_session(event)
        finally:
            if (watch := self._watches.get(event.conversation_id)) is not None:
                watch.session_ended.set()
